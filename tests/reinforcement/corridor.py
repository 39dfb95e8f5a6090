"""A market small enough to know everything of: a walk along a corridor, whose ends belong to the problem and whose time is cut from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import Table
from finml_models.core.estimator import Signature
from finml_models.core.market import Market, Step
from finml_models.core.spec import Kind, Objective

SIGNATURE = Signature(kind=Kind.MARKET, objective=Objective.CONTROL, feature_names=("place", "time"), actions=("speed",))
WIDTH, LIMIT = 3.0, 8


@dataclass(frozen=True)
class Corridor(Market):
    """Starting places (n,) between -3 and 3. A step moves by action - 1/2 and pays 3 less the distance from the middle; beyond 3 the
    episode terminates, after `limit` steps it is truncated. With `endless` it never ends, whatever `steps` says."""

    start: NDArray[np.float64]
    limit: int = LIMIT
    endless: bool = False
    target: None = None
    until: None = None

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: NDArray[np.int64]) -> Corridor:
        return Corridor(self.start[rows], self.limit, self.endless)

    def join(self, other: Corridor) -> Corridor:
        return Corridor(np.concatenate([self.start, other.start]), self.limit, self.endless)

    def environment(self, copies: int) -> Walk:
        return Walk(self, copies)

    @property
    def steps(self) -> int:
        return self.limit

    @property
    def time(self) -> NDArray[np.datetime64]:
        return np.datetime64("2020-01-01", "us") + np.arange(len(self)) * np.timedelta64(1, "D")

    @property
    def entity(self) -> NDArray[np.str_]:
        return np.array([f"C{i}" for i in range(len(self))])

    @property
    def inputs(self) -> NDArray[np.float32]:
        return np.column_stack([self.start, np.zeros(len(self))]).astype(np.float32)


class Walk:
    """Copies of the corridor. `begun` remembers the episodes in the order in which they began."""

    def __init__(self, market: Corridor, copies: int) -> None:
        self.copies, self.market = copies, market
        self.place, self.at = np.zeros(copies), np.zeros(copies)
        self.begun: list[int] = []

    def begin(self, copies: NDArray[np.int64], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.place[copies], self.at[copies] = self.market.start[episodes], 0
        self.begun += np.asarray(episodes).tolist()
        return self._observe()[copies]

    def step(self, actions: NDArray[np.float32]) -> Step:
        self.place = self.place + np.clip(actions[:, 0], 0, 1) - 0.5
        self.at = self.at + 1
        out, late = np.abs(self.place) > WIDTH, self.at >= self.market.limit
        running = np.zeros(self.copies, np.bool_)
        return Step(
            self._observe(), (WIDTH - np.abs(self.place)).astype(np.float32), running if self.market.endless else out, running if self.market.endless else late
        )

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        return {"place": self.place.copy(), "taken": self.at.copy()}

    def _observe(self) -> NDArray[np.float32]:
        return np.column_stack([self.place, self.at]).astype(np.float32)


def corridor(count: int = 64, seed: int = 0) -> Corridor:
    return Corridor(np.random.default_rng(seed).uniform(-WIDTH, WIDTH, count))


def states(values: NDArray[np.float32]) -> Table:
    return Table(values=values, columns=SIGNATURE.feature_names, times=corridor(len(values)).time, entities=corridor(len(values)).entity)
