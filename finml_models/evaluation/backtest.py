"""The walk-forward run of one pair: a fit a fold and seed, every test row predicted once a seed, and the fit that is released."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finml_models.core.errors import TooFewSamples
from finml_models.core.estimator import Embeds, OnProgress
from finml_models.core.market import Dated
from finml_models.core.predictions import Regimes
from finml_models.core.spec import Objective

from . import splits
from .tracing import picture
from .trials import MemoryTrials, Trials

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import Estimator, TrainingConfig
    from finml_models.core.predictions import Prediction
    from finml_models.core.spec import Hyperparameters

    from .states import Embedding


@dataclass(frozen=True, slots=True)
class Fit:
    """One fit: where, on how many rows, for how long, and what it scored out of sample (None for the released fit)."""

    fold: int | None
    seed: int
    rows: int
    seconds: float
    value: float | None = None
    variance: float | None = None
    samples: int = 0
    curve: tuple[tuple[int, float, float], ...] = ()
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """Out-of-sample predictions in long form, the fits behind them, and the estimator fitted on everything.

    `embedding` is a picture of what the newest fold's fit makes of each date, of its first seed; None for an estimator that embeds nothing.
    """

    predictions: pd.DataFrame
    fits: tuple[Fit, ...]
    released: Estimator[Any]
    embedding: Embedding | None = None


Listeners = Callable[[int | None, int], OnProgress]
"""listeners(fold, seed) is the listener of one fit."""
Looks = Callable[["splits.Fold", int, "Estimator[Any]"], None]
"""looks(fold, seed, estimator) sees each fitted estimator of a walk before it is gone."""


@dataclass(frozen=True)
class Walk:
    """Everything that defines a walk-forward run of a pair; `run` does it."""

    pair: Pair
    batch: Batch
    hyperparameters: Hyperparameters
    config: TrainingConfig
    seeds: tuple[int, ...]
    trials: Trials = field(default_factory=MemoryTrials)
    """Where every fit is counted; nothing is scored that was not."""
    resume_root: Path | None = None
    """Where interrupted fits leave what they had, a folder a fold and seed."""

    def run(self, on_progress: Listeners) -> Backtest:
        """`score`, then one fit more on all rows: the one that is released."""
        pictures: list[Embedding] = []

        def look(fold: splits.Fold, seed: int, estimator: Estimator[Any]) -> None:
            if fold is self._folds[-1] and seed == self._seeds[0] and isinstance(estimator, Embeds):
                pictures.append(picture(estimator, self.batch, fold, seed))

        fits, parts = zip(*self.scores(on_progress, look), strict=True)
        predictions = pd.concat(parts, ignore_index=True)
        train, valid = splits.latest(self.pair.task, self.batch)
        seed = self._seeds[0]
        with self.trials.open(None, seed):
            fit, released = self._fit(train, valid, None, seed, on_progress)
        return Backtest(predictions, (*fits, fit), released, pictures[0] if pictures else None)

    def rows(self) -> tuple[int, ...]:
        """How many rows each fit of `score` learns from, in the order of the fits."""
        return tuple(len(fold.train) for fold in self._folds for _ in self._seeds)

    def score(self, on_progress: Listeners) -> tuple[pd.DataFrame, tuple[Fit, ...]]:
        """Fit every fold and seed and predict its test rows; `on_progress(fold, seed)` listens to one fit."""
        fits, predictions = zip(*self.scores(on_progress), strict=True)
        return pd.concat(predictions, ignore_index=True), fits

    def scores(self, on_progress: Listeners, look: Looks = lambda fold, seed, estimator: None) -> Iterator[tuple[Fit, pd.DataFrame]]:
        """`score`, one fit with its predictions after the other, so that whoever has seen enough may stop."""
        task = self.pair.task
        smallest = min(len(fold.train) for fold in self._folds)
        if smallest < (least := self.pair.entry.card.training.minimum_samples):
            raise TooFewSamples(f"{self.pair.id}: the first fold has {smallest} training rows, the card asks for {least}; add history or assets")
        earlier: dict[int, Estimator[Any]] = {}
        for fold in self._folds:
            for seed in self._seeds:
                with self.trials.open(fold.number, seed) as trial:
                    fit, estimator = self._fit(fold.train, fold.valid, fold.number, seed, on_progress)
                    test = self.batch.take(fold.test)
                    look(fold, seed, estimator)
                    own = task().scored(test)
                    frame = long_form(own, task().decide(test, estimator.predict), task.horizons, fold.number, seed)
                    if task.objective is Objective.REGIMES:
                        frame["before"] = _labels(earlier.get(seed), test)
                        earlier[seed] = estimator
                    scored = trial.score(frame.assign(**task().facts(own)), task.metrics[0])
                yield replace(fit, value=scored.value, variance=scored.variance, samples=scored.samples), scored.frame

    @cached_property
    def _folds(self) -> list[splits.Fold]:
        return splits.of_task(self.pair.task, self.batch)

    @property
    def _seeds(self) -> tuple[int, ...]:
        return self.seeds if self.pair.entry.estimator().seeded else self.seeds[:1]

    def _fit(self, train: np.ndarray, valid: np.ndarray, fold: int | None, seed: int, on_progress: Listeners) -> tuple[Fit, Estimator[Any]]:
        estimator = self.pair.entry.estimator()(
            self.hyperparameters,
            self.pair.task().signature(self.batch),
            self.config.model_copy(update={"seed": seed}),
        )
        if self.resume_root is not None:
            estimator.resume_folder = self.resume_root / f"{'final' if fold is None else f'fold{fold}'}-seed{seed}"
        started = time.perf_counter()
        estimator.fit(self.batch.take(train), self.batch.take(valid), on_progress(fold, seed))
        curve = tuple(getattr(estimator, "history", ()))
        seconds = time.perf_counter() - started
        return Fit(fold, seed, len(train), seconds, curve=curve, parameters=getattr(estimator, "parameters_count", None)), estimator


def _labels(estimator: Estimator[Any] | None, batch: Batch) -> np.ndarray:
    """(n,) the likeliest regime of each row by the fit of the fold before: what a refit would have to agree with. NaN where there was none."""
    if estimator is None:
        return np.full(len(batch), np.nan)
    found = estimator.predict(batch)
    if not isinstance(found, Regimes):
        raise TypeError(f"{type(estimator).__name__}: it answers {type(found).__name__}, and regimes were asked")
    return np.asarray(found.probabilities.argmax(axis=1), np.float64)


def long_form(batch: Batch, prediction: Prediction, horizons: tuple[int, ...], fold: int, seed: int) -> pd.DataFrame:
    """Predictions as rows: one a row of the batch and horizon, or one a row where the task has no horizons (horizon 0).

    Outcomes of several moments are a row a moment. Columns entity, time, fold, seed, horizon, target, then those of the
    prediction: point and q<level>…, p<class>…, the regimes' p<i>, mean<i> and std<i>, or the outcome of an episode.
    """
    if batch.target is None:
        raise ValueError("batch: scoring needs targets; build the view with y")
    n, width = batch.target.shape
    ahead = horizons if len(horizons) == width else (0,) * width
    columns = {
        "entity": np.repeat(batch.entity, width),
        "time": batch.sessions.ravel() if isinstance(batch, Dated) else np.repeat(batch.time, width),
        "fold": np.full(n * width, fold, dtype=np.int16),
        "seed": np.full(n * width, seed, dtype=np.int32),
        "horizon": np.tile(np.asarray(ahead, dtype=np.int16), n),
        "target": batch.target.ravel(),
    }
    return pd.DataFrame(columns | {name: np.asarray(values).ravel() for name, values in prediction.columns().items()})
