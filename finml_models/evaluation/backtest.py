"""The walk-forward run of one pair: a fit a fold and seed, every test row predicted once a seed, and the fit that is released."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finml_models.core.errors import TooFewSamples

from . import splits
from .metrics import score

if TYPE_CHECKING:
    from finml_models.core.batches import Batch, Forecast
    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import Estimator, OnProgress, TrainingConfig
    from finml_models.core.spec import Hyperparameters


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
    """Out-of-sample predictions in long form, the fits behind them, and the estimator fitted on everything."""

    predictions: pd.DataFrame
    fits: tuple[Fit, ...]
    released: Estimator[Any]


Recorder = Callable[[int | None, int], AbstractContextManager[Callable[[Fit], None]]]
"""recorder(fold, seed) brackets a fit and is given its outcome: how a trial gets into the ledger."""


def unrecorded(_fold: int | None, _seed: int) -> AbstractContextManager[Callable[[Fit], None]]:
    """The recorder that keeps nothing."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Walk:
    """Everything that defines a walk-forward run of a pair; `run` does it."""

    pair: Pair
    batch: Batch
    hyperparameters: Hyperparameters
    config: TrainingConfig
    seeds: tuple[int, ...]
    recorder: Recorder = field(default=unrecorded)
    resume_root: Path | None = None
    """Where interrupted fits leave what they had, a folder a fold and seed."""

    def run(self, on_progress: Callable[[int | None, int], OnProgress]) -> Backtest:
        """Fit every fold and seed, then once more on all rows; `on_progress(fold, seed)` listens to one fit."""
        task = self.pair.task
        folds = splits.of_task(task, self.batch)
        smallest = min(len(fold.train) for fold in folds)
        if smallest < (least := self.pair.entry.card.training.minimum_samples):
            raise TooFewSamples(f"{self.pair.id}: the first fold has {smallest} training rows, the card asks for {least}; add history or assets")
        seeds = self.seeds if self.pair.entry.estimator().seeded else self.seeds[:1]
        predictions, fits = [], []
        for fold in folds:
            for seed in seeds:
                with self.recorder(fold.number, seed) as record:
                    fit, estimator = self._fit(fold.train, fold.valid, fold.number, seed, on_progress)
                    test = self.batch.take(fold.test)
                    forecast = estimator.predict(test)
                    frame = long_form(test, forecast, task.horizons, fold.number, seed)
                    losses = score(frame, task.metrics[0])
                    scored = replace(fit, value=float(losses.mean()), variance=float(losses.var()), samples=len(test))
                    record(scored)
                    fits.append(scored)
                    predictions.append(frame)
        train, valid = splits.latest(task, self.batch)
        with self.recorder(None, seeds[0]) as record:
            fit, released = self._fit(train, valid, None, seeds[0], on_progress)
            record(fit)
            fits.append(fit)
        return Backtest(pd.concat(predictions, ignore_index=True), tuple(fits), released)

    def _fit(
        self, train: np.ndarray, valid: np.ndarray, fold: int | None, seed: int, on_progress: Callable[[int | None, int], OnProgress]
    ) -> tuple[Fit, Estimator[Any]]:
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


def long_form(batch: Batch, forecast: Forecast, horizons: tuple[int, ...], fold: int, seed: int) -> pd.DataFrame:
    """Predictions as rows: one a row of the batch and horizon. Columns entity, time, fold, seed, horizon, target, point, q<level>…"""
    n, width = len(batch), len(horizons)
    if batch.target is None:
        raise ValueError("batch: scoring needs targets; build the view with y")
    columns = {
        "entity": np.repeat(batch.entity, width),
        "time": np.repeat(batch.time, width),
        "fold": np.full(n * width, fold, dtype=np.int16),
        "seed": np.full(n * width, seed, dtype=np.int32),
        "horizon": np.tile(np.asarray(horizons, dtype=np.int16), n),
        "target": batch.target.ravel(),
        "point": forecast.point.ravel(),
    }
    return pd.DataFrame(columns | {f"q{level:g}": forecast.quantiles[..., i].ravel() for i, level in enumerate(forecast.levels)})
