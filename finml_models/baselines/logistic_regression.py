"""Logistic regression: what a straight line through the columns finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._classes import categories, pair_of, table, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Table

CLIP = 10.0
"""Standard deviations at which a number is cut: beyond, a straight line promises certainty."""


class LogisticRegressionHyperparameters(Hyperparameters):
    """How much the coefficients are shrunk."""

    inverse_penalty: float = Field(1.0, ge=1e-3, le=1e3, description="C of the regression; smaller shrinks more", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="Logistic regression",
    description="Log odds as a weighted sum of standardised numbers and of an indicator a category, with an L2 penalty.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=LogisticRegressionHyperparameters,
    strengths=("one coefficient a column", "calibrated by construction while nothing drifts", "fits in a second"),
    weaknesses=("no interactions and no thresholds but those that the features hold", "correlated columns share their weight arbitrarily"),
    best_for=("the linear reference of a classifier",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=200, recommended_samples=2_000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(title="The Regression Analysis of Binary Sequences", year=1958, link="https://doi.org/10.1111/j.2517-6161.1958.tb00292.x"),
        Paper(title="Ridge Estimators in Logistic Regression", year=1992, link="https://doi.org/10.2307/2347628"),
    ),
)


class LogisticRegression(Estimator[LogisticRegressionHyperparameters]):
    """log odds = intercept + Σ coefficient × standardised number + Σ coefficient of the category; a missing number counts as the mean.

    Shapes: mean and std (features,), coefficients (features + all categories,), intercept (1,).
    """

    seeded = False

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early."""
        from sklearn.linear_model import LogisticRegression as Solver

        rows = table(train.join(valid), CARD.name)
        y = two_classes(rows, self.signature, CARD.name)
        values = rows.values.astype(np.float64)
        there = np.isfinite(values)
        count = np.maximum(there.sum(axis=0), 1)
        self.mean = np.where(there, values, 0).sum(axis=0) / count
        deviation = np.sqrt((np.where(there, values - self.mean, 0) ** 2).sum(axis=0) / count)
        # A constant column has only rounding noise left.
        self.std = np.where(deviation > 1e-6 * np.maximum(np.abs(self.mean), 1e-6), deviation, 1.0)
        fitted = Solver(C=self.hyperparameters.inverse_penalty, max_iter=1_000).fit(self._inputs(rows), y)
        self.coefficients, self.intercept = np.asarray(fitted.coef_[0], np.float64), np.asarray(fitted.intercept_, np.float64)
        p = self.predict(rows).values[np.arange(len(y)), y.astype(np.int64)].astype(np.float64)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=-float(np.log(np.maximum(p, 1e-12)).mean()), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        # A sum a row, not a product of matrices: a row alone then gives the same bits as among others.
        weighted = (self._inputs(table(batch, CARD.name)) * self.coefficients).sum(axis=1)
        return Probabilities(pair_of(self.intercept[0] + weighted), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {"mean": self.mean, "std": self.std, "coefficients": self.coefficients, "intercept": self.intercept}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.mean, self.std, self.coefficients, self.intercept = (state[name] for name in ("mean", "std", "coefficients", "intercept"))

    def _inputs(self, batch: Table) -> NDArray[np.float64]:
        """(n, features + all categories); an unknown category sets no indicator."""
        numbers = np.clip(np.nan_to_num((batch.values.astype(np.float64) - self.mean) / self.std, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)
        codes = categories(batch, self.signature)
        indicators = [(codes[:, i, None] == np.arange(1, size + 1)) for i, size in enumerate(self.signature.category_sizes)]
        return np.concatenate([numbers, *indicators], axis=1, dtype=np.float64)
