"""Gymnasium's Pendulum-v1 as a market: the same equations for many copies at once, an episode an initial state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.estimator import Signature
from finml_models.core.market import Market, Step
from finml_models.core.spec import Kind, Objective

STEPS = 200
MOST_TORQUE, MOST_SPEED = 2.0, 8.0
SIGNATURE = Signature(kind=Kind.MARKET, objective=Objective.CONTROL, feature_names=("cosine", "sine", "speed"), actions=("torque",))


@dataclass(frozen=True)
class Pendulums(Market):
    """Initial angles and speeds, (n, 2)."""

    initial: NDArray[np.float64]
    target: None = None
    until: None = None

    @classmethod
    def drawn(cls, count: int, seed: int) -> Pendulums:
        """From the distribution of Gymnasium's `reset`."""
        return cls(np.random.default_rng(seed).uniform(-1, 1, (count, 2)) * (np.pi, 1.0))

    def __len__(self) -> int:
        return len(self.initial)

    def take(self, rows: NDArray[np.int64]) -> Pendulums:
        return Pendulums(self.initial[rows])

    def join(self, other: Pendulums) -> Pendulums:
        return Pendulums(np.concatenate([self.initial, other.initial]))

    def environment(self, copies: int) -> Swing:
        return Swing(self.initial, copies)

    @property
    def steps(self) -> int:
        return STEPS

    @property
    def time(self) -> NDArray[np.datetime64]:
        return np.full(len(self), np.datetime64("2020-01-01", "us"))

    @property
    def entity(self) -> NDArray[np.str_]:
        return np.array([f"P{i}" for i in range(len(self))])

    @property
    def inputs(self) -> NDArray[np.float32]:
        return observed(self.initial)


class Swing:
    """Copies of the pendulum."""

    def __init__(self, initial: NDArray[np.float64], copies: int) -> None:
        self.copies, self.initial = copies, initial
        self.state, self.at, self.total = np.zeros((copies, 2)), np.zeros(copies, np.int64), np.zeros(copies)

    def begin(self, copies: NDArray[np.int64], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.state[copies], self.at[copies], self.total[copies] = self.initial[episodes], 0, 0.0
        return observed(self.state[copies])

    def step(self, actions: NDArray[np.float32]) -> Step:
        angle, speed = self.state.T
        torque = (2 * np.clip(actions[:, 0].astype(np.float64), 0, 1) - 1) * MOST_TORQUE
        cost = ((angle + np.pi) % (2 * np.pi) - np.pi) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * 0.05, -MOST_SPEED, MOST_SPEED)
        self.state = np.column_stack([angle + speed * 0.05, speed])
        self.at += 1
        self.total -= cost
        return Step(observed(self.state), -cost.astype(np.float32), np.zeros(self.copies, np.bool_), self.at >= STEPS)

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        return {"total": self.total.copy()}


def observed(state: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.column_stack([np.cos(state[:, 0]), np.sin(state[:, 0]), state[:, 1]]).astype(np.float32)
