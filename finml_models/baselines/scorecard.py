"""Scorecard: weight of evidence and logistic regression, the model that lenders have defended for fifty years."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._binning import bins_of, edges_of, weight_of_evidence
from ._classes import categories, pair_of, table, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Table

BASE_POINTS, BASE_ODDS, DOUBLING = 600.0, 30.0, 20.0
"""600 points are odds of 30 repaid to 1 default, and 20 points double the odds: a common scale, and no more than that."""


class ScorecardHyperparameters(Hyperparameters):
    """How the columns are binned and chosen."""

    least_share: float = Field(0.03, ge=0.01, le=0.3, description="least share of the rows in a bin")
    least_information: float = Field(0.005, ge=0, le=0.5, description="information value below which a column is left out; tradition says 0.02")
    inverse_penalty: float = Field(1.0, ge=1e-3, le=1e3, description="C of the logistic regression; smaller shrinks more", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="Scorecard",
    description="Each column cut into bins whose default rates keep the order that an expert expects, each bin replaced by its weight of evidence, "
    "and a logistic regression on top; columns that say little or whose sign turns are left out.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=ScorecardHyperparameters,
    strengths=("fits on one page of points", "missing values are a bin like any other", "no value, however wild, can run away with the score"),
    weaknesses=("no interactions", "steps at the edges of its bins", "binning throws order within a bin away"),
    best_for=("decisions that must be explained line by line", "the reference of every credit model"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=8),
    references=(
        Paper(
            title="Statistical Classification Methods in Consumer Credit Scoring: a Review", year=1997, link="https://doi.org/10.1111/j.1467-985X.1997.00078.x"
        ),
        Paper(
            title="A survey of credit and behavioural scoring: forecasting financial risk of lending to consumers",
            year=2000,
            link="https://doi.org/10.1016/S0169-2070(00)00034-0",
        ),
    ),
)


class Scorecard(Estimator[ScorecardHyperparameters]):
    """log odds of default = intercept + Σ coefficient × weight of evidence of the column's bin.

    Arrays of the columns, numbers first, then categories: edges (numbers, bins - 1) padded with infinity; worth (columns, bins):
    coefficient × weight of evidence, bin 0 missing or unknown; intercept (1,).
    """

    seeded = False

    edges: NDArray[np.float64]
    worth: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early."""
        rows = table(train.join(valid), CARD.name)
        y = two_classes(rows, self.signature, CARD.name)
        signs = self.signature.monotone or (0,) * self.signature.features
        values = rows.values.astype(np.float64)
        found = [edges_of(column, y, sign, self.hyperparameters.least_share) for column, sign in zip(values.T, signs, strict=True)]
        self.edges = np.full((len(found), max((len(e) for e in found), default=0)), np.inf)
        for row, own in zip(self.edges, found, strict=True):
            row[: len(own)] = own
        bins = self._bins(rows)
        size = 1 + max(self.edges.shape[1] + 1, *self.signature.category_sizes, 0)
        weights, information = zip(*(weight_of_evidence(column, y, size) for column in bins.T), strict=True)
        evidence = np.stack(weights)
        coefficients, self.intercept = self._regression(evidence[np.arange(bins.shape[1]), bins], y, np.array(information))
        self.worth = coefficients[:, None] * evidence
        p = self.predict(rows).values[np.arange(len(y)), y.astype(np.int64)].astype(np.float64)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=-float(np.log(np.maximum(p, 1e-12)).mean()), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        bins = self._bins(table(batch, CARD.name))
        return Probabilities(pair_of(self.intercept[0] + self.worth[np.arange(bins.shape[1]), bins].sum(axis=1)), self.signature.classes)

    def points(self) -> NDArray[np.float64]:
        """(columns, bins) points of each bin, so that the points of a row sum to its score: `BASE_POINTS` at `BASE_ODDS` to one."""
        factor = DOUBLING / np.log(2)
        share = (BASE_POINTS - factor * (np.log(BASE_ODDS) + self.intercept[0])) / len(self.worth)
        return share - factor * self.worth

    def state(self) -> Mapping[str, NDArray]:
        return {"edges": self.edges, "worth": self.worth, "intercept": self.intercept}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.edges, self.worth, self.intercept = state["edges"], state["worth"], state["intercept"]

    def _bins(self, batch: Table) -> NDArray[np.intp]:
        """(n, columns) number of the bin of each value."""
        numbers = [bins_of(column, edges) for column, edges in zip(batch.values.T.astype(np.float64), self.edges, strict=True)]
        return np.column_stack([*numbers, categories(batch, self.signature)])

    def _regression(self, x: NDArray[np.float64], y: NDArray[np.float64], information: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(columns,) coefficients, 0 where a column is left out, and (1,) intercept.

        A coefficient of the wrong sign means that the column repeats others and corrects them: the worst goes, until none is left.
        """
        from sklearn.linear_model import LogisticRegression

        chosen = np.flatnonzero(information >= self.hyperparameters.least_information)
        coefficients = np.zeros(x.shape[1])
        while len(chosen):
            fitted = LogisticRegression(C=self.hyperparameters.inverse_penalty, tol=1e-8, max_iter=1_000).fit(x[:, chosen], y)
            if fitted.coef_[0].max() <= 0:
                coefficients[chosen] = fitted.coef_[0]
                return coefficients, np.asarray(fitted.intercept_, np.float64)
            chosen = np.delete(chosen, int(fitted.coef_[0].argmax()))
        mean = float(y.mean())
        return coefficients, np.array([np.log(mean / (1 - mean))])
