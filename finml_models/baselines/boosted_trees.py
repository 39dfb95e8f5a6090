"""Boosted trees: what a table is lost to unless a network can show otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from finml_models.core.estimator import Estimator, OnProgress, Signature, TrainingConfig, ignore
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._boosted_classes import BoostedClasses
from ._boosted_forecast import BoostedMean
from ._standardised import StandardisedForecaster, VolatilityScale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Prediction


class BoostedTreesHyperparameters(Hyperparameters):
    """Size and pace of the boosting."""

    learning_rate: float = Field(0.1, ge=0.005, le=0.5, description="share of each tree that is added", json_schema_extra={"scale": "log"})
    trees: int = Field(400, ge=1, le=2_000, description="most trees; the validation rows say how many", json_schema_extra={"scale": "log"})
    leaves: int = Field(8, ge=2, le=64, description="most leaves a tree", json_schema_extra={"scale": "log"})
    leaf_rows: int = Field(30, ge=5, le=1_000, description="least training rows a leaf", json_schema_extra={"scale": "log"})
    l2: float = Field(5.0, ge=0, le=100, description="shrinkage of leaf values, of classes")


CARD = ModelCard(
    name="Boosted trees",
    description="Histogram gradient boosting, stopped by the validation rows. Classes are fitted once more on all rows with the number of trees that was "
    "found; of returns it forecasts the mean in units of a volatility regressed on daily, weekly and monthly variance, with quantiles from its residuals.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY, Objective.FORECAST}),
    hyperparameters=BoostedTreesHyperparameters,
    strengths=("thresholds, interactions and missing numbers without any preparation", "trains in seconds", "the strongest general method on most tables"),
    weaknesses=("steps where the answer is smooth", "does not extrapolate beyond its training rows", "hundreds of trees that nobody reads"),
    best_for=("tables of tens of thousands of rows", "the reference of every tabular network"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(Paper(title="Greedy Function Approximation: A Gradient Boosting Machine", year=2001, link="https://doi.org/10.1214/aos/1013203451"),),
    implementation="https://github.com/scikit-learn/scikit-learn",
)


class _Classes(BoostedClasses[BoostedTreesHyperparameters]):
    label = CARD.name

    def signs(self) -> tuple[int, ...]:
        return (0,) * self.signature.features


class _Returns(StandardisedForecaster[BoostedTreesHyperparameters]):
    """return(h) / scale(t, h) = Σ trees + e."""

    boosted: BoostedMean

    def learn(self, train: Batch, valid: Batch) -> None:
        h = self.hyperparameters
        boosting = {"trees": h.trees, "rate": h.learning_rate, "leaves": h.leaves, "rows": h.leaf_rows}
        self.boosted = BoostedMean.learn(train, valid, self._columns, stride=self.config.stride, **boosting)

    def centre(self, batch: Batch) -> NDArray[np.float64]:
        return self.boosted.mean(batch)

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        return self.boosted.width(batch)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return {**super().state(), **self.boosted.state()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().restore(state)
        self.boosted = BoostedMean.restore(state, self._columns, len(self.signature.horizons))

    @property
    def _columns(self) -> tuple[int, ...]:
        return tuple(self.column(name) for name in VolatilityScale.NAMES)


PARTS: dict[Objective, type[Estimator[BoostedTreesHyperparameters]]] = {Objective.CLASSIFY: _Classes, Objective.FORECAST: _Returns}
"""What answers each objective."""


class BoostedTrees(Estimator[BoostedTreesHyperparameters]):
    """Hands everything to the part that the signature's objective asks for."""

    seeded = False

    def __init__(self, hyperparameters: BoostedTreesHyperparameters, signature: Signature, config: TrainingConfig | None = None) -> None:
        super().__init__(hyperparameters, signature, config)
        if signature.objective not in PARTS:
            raise NotImplementedError(f"objective {signature.objective.value}: boosted trees answer {', '.join(PARTS)}")
        self.part = PARTS[signature.objective](hyperparameters, signature, config)

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Stop by the validation rows, then learn from both parts."""
        self.part.fit(train, valid, on_progress)
        return self

    def predict(self, batch: Batch) -> Prediction:
        return self.part.predict(batch)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return self.part.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.part.restore(state)
