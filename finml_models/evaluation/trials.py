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

from .metrics import RowLoss, inputs
from .metrics import metric as metric_of
from .statistics.independent import jackknife

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

GROUPS = 20
_SEAL = object()


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Out-of-sample predictions of one trial, with the value of a metric and the variance of one of its `samples` rows."""

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
        """Score predictions (long: a row a sample and horizon); the trial keeps what came of it.

        The variance is that of a row, so that its share by the number of rows is the squared standard error: of a metric of whole
        sets by a jackknife over groups of entities, of equal numbers of rows where there are few entities.

        Raises `Conflict` when the trial has ended or has been scored, `DataError` for predictions that cannot be scored.
        """
        if not self.is_open or self.result is not None:
            raise Conflict(f"trial {self.id}: it {'was scored already' if self.is_open else 'has ended'}; open another trial for another look")
        value, variance = _moments(frame, metric) if len(frame) else (float("nan"), float("nan"))
        if not np.isfinite([value, variance]).all():
            raise DataError(f"trial {self.id}: {metric} of {len(frame)} rows is {value} with variance {variance}; predict finite values")
        self.result = Scored(_SEAL, self.id, frame, metric, value, variance, len(frame))
        return self.result


def _moments(frame: DataFrame, name: str) -> tuple[float, float]:
    """Value of a metric on a frame, and variance of a row."""
    given, chosen = inputs(frame), metric_of(name)
    if isinstance(chosen, RowLoss):
        rows = chosen.rows(given)
        return float(rows.mean()), float(rows.var())
    size = len(frame)
    _, entity = np.unique(frame["entity"].to_numpy().astype(str), return_inverse=True)
    group = (entity if entity.max() + 1 >= GROUPS else np.arange(size)) % GROUPS

    def without(kept: NDArray[np.bool_]) -> float:
        return chosen.value({key: held[kept] if isinstance(held, np.ndarray) and len(held) == size else held for key, held in given.items()})

    pseudo = jackknife(without, group)
    return chosen.value(given), float(pseudo.var(ddof=1) / len(pseudo) * size)


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
