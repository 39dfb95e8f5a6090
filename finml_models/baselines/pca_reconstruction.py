"""PCA reconstruction: what the principal components of windows cannot give back of the newest session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._alarms import CHUNK, MOST_ROWS, Detector, newest, spread, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Windows


class PCAReconstructionHyperparameters(Hyperparameters):
    """How much is kept, and of how long a window."""

    components: int = Field(
        16, ge=1, le=256, description="principal components kept, at most the window's numbers less one", json_schema_extra={"scale": "log"}
    )
    sessions: int = Field(20, ge=1, le=60, description="sessions of a window, at most those that the task gives")


CARD = ModelCard(
    name="PCA reconstruction",
    description="Principal components of whole windows; the score is the squared prediction error of the newest session, each feature in units of "
    "its mean error on the training rows.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.SCORE}),
    hyperparameters=PCAReconstructionHyperparameters,
    strengths=("knows how features and sessions move together", "a closed form without a seed", "hard to beat for an autoencoder on windows of returns"),
    weaknesses=("linear", "a component can be spent on an outlier of the training rows"),
    best_for=("broken relations between features", "the reference for autoencoders"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=10),
    references=(
        Paper(title="Control Procedures for Residuals Associated with Principal Component Analysis", year=1979, link="https://doi.org/10.2307/1267757"),
    ),
)


class PCAReconstruction(Detector[PCAReconstructionHyperparameters]):
    """Σ over features of (x - x̂)² / mean (x - x̂)², of the newest row of x̂ = center + scale · P Pᵀ (x - center) / scale.

    Shapes: center and scale (sessions × f,), parts (sessions × f, components), unit (f,).
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    parts: NDArray[np.float64]
    unit: NDArray[np.float64]

    def learn(self, known: Windows) -> None:
        some = known.take(spread(len(known), MOST_ROWS))
        rows = np.concatenate(list(self._flat(some)))
        self.center, scale = rows.mean(axis=0), rows.std(axis=0)
        self.scale = np.where(scale > 0, scale, 1.0)
        scaled = (rows - self.center) / self.scale
        _, vectors = np.linalg.eigh(scaled.T @ scaled)
        # Ascending eigenvalues. With as many components as numbers nothing would be left to score.
        self.parts = np.ascontiguousarray(vectors[:, -min(self.hyperparameters.components, vectors.shape[1] - 1) :])
        unit = np.square(self._left(rows)).mean(axis=0)
        self.unit = np.where(unit > 0, unit, 1.0)

    def score(self, batch: Windows) -> NDArray[np.float64]:
        return self.errors(batch).sum(axis=1)

    def errors(self, batch: Windows) -> NDArray[np.float64]:
        """(n, f) what each feature of the newest session adds to the score."""
        return np.concatenate([np.zeros((0, self.signature.features)), *(np.square(self._left(rows)) / self.unit for rows in self._flat(batch))])

    def explain(self, batch: Batch) -> Explanation:
        """The squared errors that the score is the sum of."""
        errors = self.errors(windows(batch))
        part = Attribution("features", self.signature.feature_names, errors.astype(np.float32), "what the feature adds to the score", adds=True)
        caveat = "A feature that stands out may be the one that kept to its course while the others left theirs."
        return Explanation(
            "the newest session's reconstruction, feature by feature", caveat, (part,), "anomaly score", errors.sum(axis=1), np.zeros(len(errors))
        )

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "center": self.center, "scale": self.scale, "parts": self.parts, "unit": self.unit}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.center, self.scale, self.parts, self.unit = state["center"], state["scale"], state["parts"], state["unit"]

    def _left(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is not given back of the newest session, in units of the standard deviation. Shape: (n, sessions × f) -> (n, f)."""
        scaled, f = (rows - self.center) / self.scale, self.signature.features
        return np.asarray(scaled[:, -f:] - (scaled @ self.parts) @ self.parts[-f:].T)

    def _flat(self, batch: Windows) -> Iterator[NDArray[np.float64]]:
        """The windows as rows, some thousands at a time. Shape: (n, sessions × f)."""
        sessions = min(self.hyperparameters.sessions, batch.length)
        for first in range(0, len(batch), CHUNK):
            part = newest(batch.take(np.arange(first, min(first + CHUNK, len(batch)))), sessions)
            yield part.reshape(len(part), -1).astype(np.float64)
