"""Trials: nothing is scored that was not counted before it began.

`Trials.open` is the only maker of a `Trial`, a `Trial` that is still open the only maker of a `Scored`, and a backtest
consists of `Scored`s. So a fit that was tried and not counted has no score that a backtest would accept:

    with trials.open(fold=0, seed=1) as trial:
        estimator.fit(...)
        scored = trial.score(long_form(...), "qlike")
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.errors import Conflict, DataError

from .metrics import score

if TYPE_CHECKING:
    from pandas import DataFrame

_SEAL = object()


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Out-of-sample predictions of one trial, with mean and variance of a row-wise metric over its `samples` rows."""

    seal: InitVar[object]
    trial: str
    frame: DataFrame
    metric: str
    value: float
    variance: float
    samples: int

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("Scored: only an open trial scores; use `with trials.open(fold, seed) as trial: trial.score(frame, metric)`")


@dataclass(slots=True, eq=False)
class Trial:
    """A fit that was counted and has not ended yet. It is scored at most once: a second look would be a second trial."""

    seal: InitVar[object]
    id: str
    is_open: bool = field(default=True, init=False)
    result: Scored | None = field(default=None, init=False)

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("Trial: a trial is opened, not made; use `with trials.open(fold, seed) as trial:`")

    def score(self, frame: DataFrame, metric: str) -> Scored:
        """Score predictions (long: a row a sample and horizon) by a row-wise metric; the trial keeps what came of it.

        Raises `Conflict` when the trial has ended or has been scored, `DataError` for predictions that cannot be scored.
        """
        if not self.is_open or self.result is not None:
            raise Conflict(f"trial {self.id}: it {'was scored already' if self.is_open else 'has ended'}; open another trial for another look")
        rows = score(frame, metric)
        value, variance = float(rows.mean()) if len(rows) else float("nan"), float(rows.var()) if len(rows) else float("nan")
        if not np.isfinite([value, variance]).all():
            raise DataError(f"trial {self.id}: {metric} of {len(rows)} rows is {value} with variance {variance}; predict finite values")
        self.result = Scored(_SEAL, self.id, frame, metric, value, variance, len(rows))
        return self.result


class Trials(ABC):
    """Where the fits of one configuration of an entry are counted."""

    @contextmanager
    def open(self, fold: int | None, seed: int) -> Iterator[Trial]:
        """Count a fit before it begins, and keep what came of it. `fold` is None for the fit that is released, which has no later rows to score.

        Every way out ends the trial: with its score, without one, or failed with the error, which goes on.
        """
        trial = Trial(_SEAL, self._start(fold, seed))
        started = time.perf_counter()
        try:
            yield trial
        except BaseException as error:
            trial.is_open = False
            self._fail(trial.id, error)
            raise
        trial.is_open = False
        self._finish(trial.id, trial.result, time.perf_counter() - started)

    @abstractmethod
    def _start(self, fold: int | None, seed: int) -> str:
        """Count the fit; returns the trial's id."""

    @abstractmethod
    def _finish(self, trial: str, result: Scored | None, seconds: float) -> None:
        """Keep the outcome of a fit."""

    @abstractmethod
    def _fail(self, trial: str, error: BaseException) -> None:
        """Keep why a fit failed."""


@dataclass(slots=True)
class MemoryTrial:
    """What `MemoryTrials` keeps of a trial."""

    fold: int | None
    seed: int
    status: str = "running"
    result: Scored | None = None
    seconds: float | None = None
    error: str | None = None


class MemoryTrials(Trials):
    """Counts in memory: for simulations and tests, whose trials no later decision has to pay for."""

    def __init__(self) -> None:
        self.kept: dict[str, MemoryTrial] = {}

    def _start(self, fold: int | None, seed: int) -> str:
        trial = f"memory-{len(self.kept)}"
        self.kept[trial] = MemoryTrial(fold, seed)
        return trial

    def _finish(self, trial: str, result: Scored | None, seconds: float) -> None:
        kept = self.kept[trial]
        kept.status, kept.result, kept.seconds = "finished", result, seconds

    def _fail(self, trial: str, error: BaseException) -> None:
        kept = self.kept[trial]
        kept.status, kept.error = "failed", f"{type(error).__name__}: {error}"
