"""Velocity rules: what a fraud analyst writes down, with thresholds that hold on the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._classes import pair_of, table, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Table

RULES: dict[str, tuple[str, ...]] = {
    "many within an hour": ("count_1h",),
    "much within a day, at new places": ("log_sum_1d", "new_1d"),
    "many new places within a week": ("new_7d",),
    "a large amount at a new place": ("amount_z", "new_terminal"),
    "a large amount online, where little was": ("amount_vs_own", "online_vs_own"),
    "small amounts again and again": ("small_7d",),
    "a terminal that frauds were reported of": ("log_terminal_reports_28d",),
}
"""Each rule fires where all of its columns reach their thresholds."""
LEVELS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
"""Quantiles of the training rows that thresholds are chosen from; one a rule, for all of its columns."""


class VelocityRulesHyperparameters(Hyperparameters):
    """How sure a rule has to be."""

    least_hits: int = Field(5, ge=1, le=1_000, description="cases of fraud that a rule must have caught, or it is left out", json_schema_extra={"scale": "log"})
    inverse_penalty: float = Field(1.0, ge=1e-3, le=1e3, description="C of the calibration; smaller trusts the rules less", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="Velocity rules",
    description="Seven rules on counts, sums and amounts of an account and its terminal, each with the threshold that parts frauds best on the training "
    "rows, and a logistic regression of fraud on which of them fire.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=VelocityRulesHyperparameters,
    strengths=("says which rule fired, in words", "few numbers, all of which an analyst can change", "at home in every authorisation system"),
    weaknesses=("knows the patterns that somebody thought of", "steps: a cent below a threshold is no signal at all", "reads features by their names"),
    best_for=("the reference that a fraud model must replace",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="Statistical Fraud Detection: A Review", year=2002, link="https://doi.org/10.1214/ss/1042727940"),),
)


class VelocityRules(Estimator[VelocityRulesHyperparameters]):
    """log odds = intercept + Σ points of the rules that fire.

    Shapes: thresholds (rules, features), -inf where a rule does not look, +inf in a rule that is left out; points (rules,), intercept (1,).
    """

    seeded = False

    thresholds: NDArray[np.float64]
    points: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early. `DataError` where no rule finds its columns."""
        from sklearn.linear_model import LogisticRegression

        rows = table(train.join(valid), CARD.name)
        y = two_classes(rows, self.signature, CARD.name)
        names, x = self.signature.feature_names, rows.values.astype(np.float64)
        rules = [tuple(names.index(column) for column in rule) for rule in RULES.values() if set(rule) <= set(names)]
        if not rules:
            raise DataError(f"features: none of the rules finds its columns in {names}; give {sorted({c for rule in RULES.values() for c in rule})}")
        self.thresholds = np.stack([self._best(x, y, rule) for rule in rules])
        fired = self._fired(rows)
        fitted = LogisticRegression(C=self.hyperparameters.inverse_penalty, max_iter=1_000).fit(fired, y)
        self.points, self.intercept = np.asarray(fitted.coef_[0], np.float64), np.asarray(fitted.intercept_, np.float64)
        p = self.predict(rows).values[np.arange(len(y)), y.astype(np.int64)].astype(np.float64)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=-float(np.log(np.maximum(p, 1e-12)).mean()), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(pair_of(self.intercept[0] + (self._fired(table(batch, CARD.name)) * self.points).sum(axis=1)), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {"thresholds": self.thresholds, "points": self.points, "intercept": self.intercept}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.thresholds, self.points, self.intercept = state["thresholds"], state["points"], state["intercept"]

    def _fired(self, batch: Table) -> NDArray[np.float64]:
        """(n, rules) 1 where a rule fires; a number that is missing reaches no threshold."""
        looks = self.thresholds > -np.inf
        x = batch.values.astype(np.float64)
        return np.stack([(x[:, own] >= row[own]).all(axis=1) for row, own in zip(self.thresholds, looks, strict=True)], axis=1).astype(np.float64)

    def _best(self, x: NDArray[np.float64], y: NDArray[np.float64], rule: tuple[int, ...]) -> NDArray[np.float64]:
        """(features,) the thresholds of the level at which the rule separates best: by the F1 of what fires (van Rijsbergen 1979)."""
        thresholds, best = np.full(x.shape[1], -np.inf), 0.0
        thresholds[list(rule)] = np.inf
        for level in LEVELS:
            cut = np.array([_cut(x[:, column], level) for column in rule])
            fired = (x[:, rule] >= cut).all(axis=1)
            hits = float(y[fired].sum())
            f1 = 2 * hits / (float(fired.sum()) + float(y.sum()))
            if hits >= self.hyperparameters.least_hits and f1 > best:
                thresholds[list(rule)], best = cut, f1
        return thresholds


def _cut(column: NDArray[np.float64], level: float) -> float:
    """A quantile of the numbers that are there, above the least of them: a threshold that everything reaches is none."""
    known = column[np.isfinite(column)]
    if not len(known) or known.min() == known.max():
        return np.inf
    return float(max(np.quantile(known, level, method="higher"), known[known > known.min()].min()))
