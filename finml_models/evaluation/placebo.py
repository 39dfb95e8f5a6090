"""The whole way from raw rows to the gate on data whose truth is known: nothing to find, or a signal of known size.

A pipeline that finds alpha in a random walk does not build. Every repetition runs what a real run does: rules, features,
views, walk-forward fits of the model and of every baseline, tests, gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig, ignore

from . import report as reporting
from .backtest import Walk
from .ceiling import known_best
from .verdict import ablated

if TYPE_CHECKING:
    from finml_models.core.catalog import Pair
    from finml_models.core.spec import Hyperparameters
    from finml_models.core.task import Unit
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


def shuffled_labels(rng: np.random.Generator, rows: Rows, *, unit: Unit = "date") -> Rows:
    """Real features with targets of other rows, all horizons together: of other dates of each entity, or of other entities where those are the units."""
    x, y = rows
    names = [name for name in y.columns if name not in {"entity", "time", "until"}]
    values, usable = y[names].to_numpy(copy=True), y[names].notna().all(axis=1).to_numpy()
    groups = y["entity"].to_numpy() if unit == "date" else np.zeros(len(y), dtype=np.int64)
    for group in np.unique(groups):
        at = np.flatnonzero(usable & (groups == group))
        values[at] = values[rng.permutation(at)]
    return x, y.assign(**dict(zip(names, values.T, strict=True)))


def judged(
    pair: Pair,
    rows: Rows,
    *,
    config: TrainingConfig,
    hyperparameters: Hyperparameters | None = None,
    seed: int = 0,
    truth: pd.DataFrame | None = None,
) -> Report:
    """The report of a model trained and scored on these rows beside every baseline of its task, gate included.

    `truth` holds the perfect predictions (`ceiling.known_best`), where the data were planted.
    """
    chosen = hyperparameters or pair.entry.card.hyperparameters()
    predictions = {p.entry.id: _predictions(p, rows, config, chosen if p is pair else p.entry.card.hyperparameters(), seed) for p in (*_baselines(pair), pair)}
    for name, changes in pair.entry.card.ablations.items():
        other = type(chosen).model_validate(chosen.model_dump() | dict(changes))
        predictions[ablated(pair.entry.id, name)] = _predictions(pair, rows, config, other, seed)
    return reporting.assess(
        pair,
        predictions,
        data=reporting.DataSection(dataset="synthetic", snapshot="", rows=len(rows[0]), entities=rows[0]["entity"].nunique(), first="", last="", repairs={}),
        training=reporting.TrainingSummary(profile="placebo", seconds=0.0, fits=1, epochs=None, parameters=None, curve=()),
        resources=reporting.Resources(milliseconds=0.0, megabytes=0.0),
        fingerprint={},
        version="",
        reproduce="make placebo",
        ceilings=() if truth is None else known_best(pair.task, truth, predictions[pair.entry.id]),
    )


def _baselines(pair: Pair) -> list[Pair]:
    return [other for other in catalog.contenders(pair.task.id()) if other.entry.is_baseline]


def _predictions(pair: Pair, rows: Rows, config: TrainingConfig, hyperparameters: Hyperparameters, seed: int) -> pd.DataFrame:
    batch = pair.task().view(pair.kind, *rows)
    return Walk(pair, batch, hyperparameters, config, (seed,)).score(lambda _fold, _seed: ignore)[0]
