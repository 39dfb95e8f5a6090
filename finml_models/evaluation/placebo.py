"""The whole way from raw rows to the gate on data whose truth is known: nothing to find, or a signal of known size.

A pipeline that finds alpha in a random walk does not build. Every repetition runs what a real run does: rules, features,
views, walk-forward fits of the model and of every baseline, tests, gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig, ignore

from . import report as reporting
from .backtest import Walk

if TYPE_CHECKING:
    from finml_models.core.catalog import Pair
    from finml_models.core.spec import Hyperparameters
    from finml_models.evaluation.report import Report

Rows = tuple[pd.DataFrame, pd.DataFrame]
"""Features and targets, side by side."""


@dataclass(frozen=True)
class Rate:
    """How often something that must not pass did, with its 95 % interval (Wilson 1927)."""

    passed: int
    runs: int

    @property
    def share(self) -> float:
        """Passes a run."""
        return self.passed / self.runs

    @property
    def interval(self) -> tuple[float, float]:
        """Score interval of the share, which is honest at 0 of n too."""
        z, n, p = 1.959964, self.runs, self.share
        middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, float((middle - half) / (1 + z * z / n))), min(1.0, float((middle + half) / (1 + z * z / n)))


def computed(pair: Pair, raw: pd.DataFrame) -> Rows:
    """What the features step makes of raw rows."""
    task = pair.task()
    return task.features(raw), task.target(raw)


def shuffled_labels(rng: np.random.Generator, rows: Rows) -> Rows:
    """Real features with targets of other dates: one permutation of the dates of each entity, all horizons together."""
    x, y = rows
    names = [name for name in y.columns if name not in {"entity", "time", "until"}]
    values, usable = y[names].to_numpy(copy=True), y[names].notna().all(axis=1).to_numpy()
    for entity in y["entity"].unique():
        at = np.flatnonzero(usable & (y["entity"] == entity).to_numpy())
        values[at] = values[rng.permutation(at)]
    return x, y.assign(**dict(zip(names, values.T, strict=True)))


def judged(pair: Pair, rows: Rows, *, config: TrainingConfig, hyperparameters: Hyperparameters | None = None, seed: int = 0) -> Report:
    """The report of a model trained and scored on these rows beside every baseline of its task, gate included."""
    predictions = {p.entry.id: _predictions(p, rows, config, hyperparameters if p is pair else None, seed) for p in (*_baselines(pair), pair)}
    return reporting.assess(
        pair,
        predictions,
        data=reporting.DataSection(dataset="synthetic", snapshot="", rows=len(rows[0]), entities=rows[0]["entity"].nunique(), first="", last="", repairs={}),
        training=reporting.TrainingSummary(profile="placebo", seconds=0.0, fits=1, epochs=None, parameters=None, curve=()),
        resources=reporting.Resources(milliseconds=0.0, megabytes=0.0),
        fingerprint={},
        version="",
        reproduce="make placebo",
    )


def ceiling(rows: Rows, log_forecast: Mapping[int, NDArray[np.float64]], report: Report) -> float:
    """The primary metric of the forecast that knows the truth, on the rows that the report scored.

    `log_forecast` holds, a horizon, the point forecast of every row of the frame, in its order.
    """
    from .metrics import metric

    x, y = rows
    scored = (x["time"] >= pd.Timestamp(report.scored.first)).to_numpy() & (x["time"] <= pd.Timestamp(report.scored.last)).to_numpy()
    targets = y[[f"h{h}" for h in log_forecast]].to_numpy(np.float64)
    usable = scored & np.isfinite(targets).all(axis=1)
    points = np.column_stack([log_forecast[h] for h in log_forecast])
    losses = metric(report.metrics[0].id).rowwise(targets[usable], points[usable], np.empty((usable.sum(), points.shape[1], 0)), ())
    return float(losses.mean())


def rate(runs: int, passes: Callable[[np.random.Generator], bool], *, seed: int) -> Rate:
    """Repeat a placebo with generators that follow from the seed."""
    return Rate(sum(passes(rng) for rng in np.random.default_rng(seed).spawn(runs)), runs)


def _baselines(pair: Pair) -> list[Pair]:
    return [other for other in catalog.contenders(pair.task.id()) if other.entry.is_baseline]


def _predictions(pair: Pair, rows: Rows, config: TrainingConfig, hyperparameters: Hyperparameters | None, seed: int) -> pd.DataFrame:
    batch = pair.task().view(pair.kind, *rows)
    chosen: Any = hyperparameters or pair.entry.card.hyperparameters()
    return Walk(pair, batch, chosen, config, (seed,)).score(lambda _fold, _seed: ignore)[0]
