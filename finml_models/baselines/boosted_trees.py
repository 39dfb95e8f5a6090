"""Boosted trees: what a practitioner tries on a table before any network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._boosted_forecast import BoostedMean
from ._standardised import StandardisedForecaster, VolatilityScale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class BoostedTreesHyperparameters(Hyperparameters):
    """Size and pace of the boosting."""

    learning_rate: float = Field(0.05, ge=0.005, le=0.5, description="share of each tree that is added", json_schema_extra={"scale": "log"})
    trees: int = Field(200, ge=1, le=2_000, description="most trees; the validation rows say how many", json_schema_extra={"scale": "log"})
    leaves: int = Field(8, ge=2, le=64, description="most leaves a tree", json_schema_extra={"scale": "log"})
    leaf_rows: int = Field(100, ge=5, le=2_000, description="least training rows a leaf", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="Boosted trees",
    description="Histogram gradient boosting of standardised returns, as many trees as the validation rows like best, possibly none; quantiles from its "
    "residuals in units of a volatility regressed on daily, weekly and monthly variance.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=BoostedTreesHyperparameters,
    strengths=("thresholds and interactions without any preparation", "stops before the first tree where there is nothing to learn", "trains in seconds"),
    weaknesses=("sees the newest row alone", "steps where the truth is smooth", "a table of trees that nobody reads"),
    best_for=("tables of tens of thousands of rows",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(Paper(title="Greedy Function Approximation: A Gradient Boosting Machine", year=2001, link="https://doi.org/10.1214/aos/1013203451"),),
    implementation="https://github.com/scikit-learn/scikit-learn",
)


class BoostedTrees(StandardisedForecaster[BoostedTreesHyperparameters]):
    """return(h) / scale(t, h) = Σ trees + e. Fitted by scikit-learn's `HistGradientBoostingRegressor`, kept and predicted as arrays."""

    boosted: BoostedMean

    def learn(self, train: Batch, valid: Batch) -> None:
        h = self.hyperparameters
        boosting = {"trees": h.trees, "rate": h.learning_rate, "leaves": h.leaves, "rows": h.leaf_rows}
        self.boosted = BoostedMean.learn(train, valid, self._columns, stride=self.config.stride, **boosting)

    def centre(self, batch: Batch) -> NDArray[np.float64]:
        return self.boosted.mean(batch)

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        return self.boosted.width(batch)

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), **self.boosted.state()}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.boosted = BoostedMean.restore(state, self._columns, len(self.signature.horizons))

    @property
    def _columns(self) -> tuple[int, ...]:
        return tuple(self.column(name) for name in VolatilityScale.NAMES)
