"""What all policies share, learned ones and rules: playing whole markets, acting on single states, and refusing what does not fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, H
from finml_models.core.market import LaidOut, Market
from finml_models.core.predictions import Actions, Rollout

if TYPE_CHECKING:
    from finml_models.core.batches import Batch, Float

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Observations (n, f) → actions (n, actions), each between 0 and 1."""


@runtime_checkable
class Symmetric(Protocol):
    """A market whose problem has a symmetry, which makes more episodes of the same law out of some."""

    def augmented(self) -> Market:
        """These episodes and their images."""
        ...


def augmented(market: Market) -> Market:
    """The market to learn in and to choose by: its own episodes, with their images where it has a symmetry."""
    return market.augmented() if isinstance(market, Symmetric) else market


@dataclass(frozen=True, slots=True)
class Played:
    """What came of every episode of a market: the environment's outcome, and the sum of its rewards (n,)."""

    rollout: Rollout
    returns: NDArray[np.float64]


def play(market: Market, act: Act) -> Played:
    """Play every episode once, all side by side. Raises `DataError` when some have not ended after `market.steps` steps."""
    count = len(market)
    every = np.arange(count, dtype=np.int64)
    environment = market.environment(count)
    observation = environment.begin(every, every)
    running, returns = np.ones(count, np.bool_), np.zeros(count)
    outcome: dict[str, NDArray[Any]] = {}
    for _ in range(market.steps):
        step = environment.step(act(observation))
        returns += np.where(running, step.reward, 0.0)
        observation, ended = step.observation, step.terminated | step.truncated
        if (new := running & ended).any():
            found = environment.outcome()
            outcome = outcome or {name: np.zeros_like(values) for name, values in found.items()}
            for name, values in found.items():
                outcome[name][new] = values[new]
            running &= ~ended
        if not running.any():
            return Played(Rollout(outcome), returns)
        if ended.any():
            # An environment need not know what to do with an episode that is over: begin it again, and count nothing of it.
            again = np.flatnonzero(ended)
            observation[again] = environment.begin(again, again)
    raise DataError(f"market: {int(running.sum())} of {count} episodes have not ended after {market.steps} steps; correct the market's `steps`")


class PolicyEstimator(Estimator[H]):
    """An estimator whose prediction is what it does: a rollout of a market's episodes, or the actions in single states.

    A policy implements `act`, which is deterministic and reads nothing but the observations.
    """

    @abstractmethod
    def act(self, observations: Float) -> Float:
        """Actions between 0 and 1. Shape: (n, f) → (n, actions)."""

    def predict(self, batch: Batch) -> Rollout | Actions:
        """The outcome of every episode of a `Market`, or the actions in every state of a `Table`; raises `DataError` and `NotFitted`."""
        if isinstance(batch, LaidOut):
            batch = batch.laid_out(self.signature.actions)
        self.check(batch)
        if isinstance(batch, Market):
            return play(batch, self.act).rollout
        if not isinstance(batch, Table):
            raise DataError(f"batch: a policy plays a market or acts in the states of a table, not {type(batch).__name__}")
        broken = ~np.isfinite(batch.values).all(axis=1)
        if broken.any():
            row = int(broken.argmax())
            raise DataError(f"row {row} ({batch.entity[row]}, {batch.time[row]}): its inputs hold NaN or infinity: fill or leave out the row")
        return Actions(self.act(batch.values).astype(np.float32), self.signature.actions)

    def check(self, batch: Batch) -> None:
        """Raise `DataError` for no rows or another number of observations than the signature's."""
        width = batch.inputs.shape[1]
        if not len(batch) or width != self.signature.features:
            raise DataError(f"batch: {len(batch)} rows of {width} observations, the signature says {self.signature.features}: build it with the same task view")

    def market(self, name: str, batch: Batch) -> Market:
        """The batch as a market to learn in; raises `DataError` for anything else."""
        if not isinstance(batch, Market):
            raise DataError(f"{name}: a policy learns in a market, not in {type(batch).__name__}: build the view with its target")
        self.check(batch)
        return batch

    def column(self, name: str) -> int:
        """Position of an observation; raises `DataError` where the signature has none of that name."""
        if name not in self.signature.feature_names:
            raise DataError(f"observations: there is no {name!r} among {', '.join(self.signature.feature_names)}: this policy is not for this task")
        return self.signature.feature_names.index(name)
