"""Isolation forest: how few random cuts it takes to set a session apart from the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._alarms import Detector, newest
from ._isolation import IsolationTrees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows


class IsolationForestHyperparameters(Hyperparameters):
    """Size of the forest, and how long a session is looked at."""

    trees: int = Field(100, ge=1, le=128, description="isolation trees", json_schema_extra={"scale": "log"})
    rows: int = Field(
        2_048,
        ge=16,
        le=4_096,
        description="training rows that each tree is grown on; of the paper's 256 hardly one is anomalous where faults are rare",
        json_schema_extra={"scale": "log"},
    )
    sessions: int = Field(1, ge=1, le=60, description="newest sessions whose mean absolute features are looked at; 1 looks at the newest alone")


CARD = ModelCard(
    name="Isolation forest",
    description="Trees of random cuts: what is set apart by few of them is rare and far away. Sees the absolute "
    "features of the newest session: how far, not which way.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.SCORE}),
    hyperparameters=IsolationForestHyperparameters,
    strengths=("no distances, no distribution, no units", "small samples a tree keep masking and swamping low", "quick to train"),
    weaknesses=("cuts are parallel to the axes: a broken relation of two ordinary values is missed", "scores are a rank, not a probability"),
    best_for=("many features of different kinds", "a reference that needs no tuning"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=256, recommended_samples=5_000),
    deployment=Deployment(memory_mb=10),
    references=(Paper(title="Isolation Forest", year=2008, link="https://doi.org/10.1109/ICDM.2008.17"),),
)


class IsolationForest(Detector[IsolationForestHyperparameters]):
    """Scikit-learn's forest, kept and evaluated as arrays."""

    seeded = True

    trees: IsolationTrees

    def learn(self, known: Windows) -> None:
        from sklearn.ensemble import IsolationForest as Fitted

        h = self.hyperparameters
        forest = Fitted(n_estimators=h.trees, max_samples=min(h.rows, len(known)), random_state=self.config.seed)
        self.trees = IsolationTrees.of(forest.fit(self.inputs(known)))

    def score(self, batch: Windows) -> NDArray[np.float64]:
        return self.trees.score(self.inputs(batch))

    def inputs(self, batch: Windows) -> NDArray[np.float32]:
        """Mean absolute features of the newest sessions. Shape: (n, f)."""
        return np.asarray(np.abs(newest(batch, min(self.hyperparameters.sessions, batch.length))).mean(axis=1), np.float32)

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), **self.trees.state()}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.trees = IsolationTrees.restore(state)
