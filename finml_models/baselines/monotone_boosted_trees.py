"""Monotone boosted trees: gradient boosting that may not contradict what an expert expects of each input."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._boosted_classes import BoostedClasses


class MonotoneBoostedTreesHyperparameters(Hyperparameters):
    """Size and pace of the boosting."""

    learning_rate: float = Field(0.06, ge=0.005, le=0.5, description="share of each tree that is added", json_schema_extra={"scale": "log"})
    trees: int = Field(400, ge=1, le=2_000, description="most trees; the validation rows say how many", json_schema_extra={"scale": "log"})
    leaves: int = Field(6, ge=2, le=64, description="most leaves a tree", json_schema_extra={"scale": "log"})
    leaf_rows: int = Field(40, ge=5, le=1_000, description="least training rows a leaf", json_schema_extra={"scale": "log"})
    l2: float = Field(1.0, ge=0, le=100, description="shrinkage of leaf values")
    constrained: bool = Field(True, description="hold the signs that the signature expects; off, plain boosted trees (ablation)")


CARD = ModelCard(
    name="Monotone boosted trees",
    description="Histogram gradient boosting on log loss, each input bound to the sign that a credit officer expects of it, stopped by the validation rows "
    "and then fitted once more on all rows with the number of trees that was found.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=MonotoneBoostedTreesHyperparameters,
    strengths=("thresholds, interactions and missing numbers without any preparation", "never says that more arrears are better", "trains in seconds"),
    weaknesses=("steps where risk is smooth", "a constraint that is wrong costs accuracy", "hundreds of trees that nobody reads"),
    best_for=("tables of tens of thousands of rows", "regulated scores where signs must be defended"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(Paper(title="Greedy Function Approximation: A Gradient Boosting Machine", year=2001, link="https://doi.org/10.1214/aos/1013203451"),),
    implementation="https://github.com/scikit-learn/scikit-learn",
)


class MonotoneBoostedTrees(BoostedClasses[MonotoneBoostedTreesHyperparameters]):
    """Log odds = base + Σ trees, each tree monotone in every input whose sign the signature states (`Signature.monotone`)."""

    label = CARD.name

    def signs(self) -> tuple[int, ...]:
        """Those of the signature, unless the ablation frees them."""
        free = (0,) * self.signature.features
        return (self.signature.monotone or free) if self.hyperparameters.constrained else free
