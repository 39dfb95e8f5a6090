"""Monotone boosted trees: gradient boosting that may not contradict what an expert expects of each input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._classes import categories, class_numbers, pair_of, table, two_classes
from ._trees import CategoryOrder, Forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Table


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


class MonotoneBoostedTrees(Estimator[MonotoneBoostedTreesHyperparameters]):
    """Log odds = base + Σ trees, each tree monotone in every input whose sign the signature states (`Signature.monotone`).

    Fitted by scikit-learn's `HistGradientBoostingClassifier`, kept and predicted as arrays. Numbers may be missing.
    """

    seeded = False

    forest: Forest
    order: CategoryOrder

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Find the number of trees on the validation rows, then learn from both parts."""
        first, y, y_valid = table(train, CARD.name), two_classes(train, self.signature, CARD.name), class_numbers(valid, self.signature)
        self.order = CategoryOrder.of(categories(first, self.signature), y, self.signature.category_sizes)
        stopped = self._boosting(self.hyperparameters.trees, patience=20)
        stopped.fit(self._inputs(first), y, X_val=self._inputs(table(valid, CARD.name)), y_val=y_valid)
        # The last trees before stopping brought nothing: what counts is the best number, not the last one.
        best = max(1, int(np.argmax(stopped.validation_score_)))

        both = table(train.join(valid), CARD.name)
        target = np.concatenate([y, y_valid])
        self.order = CategoryOrder.of(categories(both, self.signature), target, self.signature.category_sizes)
        self.forest = Forest.of(self._boosting(best).fit(self._inputs(both), target))
        loss = -float(stopped.validation_score_[best])
        on_progress(Progress(epoch=1, epochs=1, step=best, steps=best, loss=loss, metric=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(pair_of(self.forest.score(self._inputs(table(batch, CARD.name)))), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {**self.forest.state(), "order": self.order.rank}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.forest, self.order = Forest.restore(state), CategoryOrder(state["order"])

    def _inputs(self, batch: Table) -> NDArray[np.float64]:
        """(n, features + categories)."""
        return np.concatenate([batch.values.astype(np.float64), self.order.apply(categories(batch, self.signature))], axis=1)

    def _boosting(self, trees: int, patience: int = 0) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        h, s = self.hyperparameters, self.signature
        signs = (s.monotone or (0,) * s.features) if h.constrained else (0,) * s.features
        return HistGradientBoostingClassifier(
            learning_rate=h.learning_rate,
            max_iter=trees,
            max_leaf_nodes=h.leaves,
            min_samples_leaf=h.leaf_rows,
            l2_regularization=h.l2,
            monotonic_cst=[*signs, *(0 for _ in s.category_sizes)],
            categorical_features=None,
            early_stopping=bool(patience),
            n_iter_no_change=patience or 10,
            random_state=0,
        )
