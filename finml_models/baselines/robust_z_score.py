"""Robust z-score: how many robust standard deviations the strangest feature of the newest session is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._alarms import Detector, newest, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Windows

NORMAL_MEDIAN, NORMAL_MEAN = 1.482602, 1.253314
"""Standard deviation of a normal variable over its median, and over its mean, absolute deviation."""


class RobustZScoreHyperparameters(Hyperparameters):
    """How long a session is looked at."""

    sessions: int = Field(1, ge=1, le=60, description="newest sessions whose mean absolute z-score is taken; 1 looks at the newest alone")


CARD = ModelCard(
    name="Robust z-score",
    description="The largest distance of a feature from its median, in units of its median absolute deviation: one session and one feature at a time.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.SCORE}),
    hyperparameters=RobustZScoreHyperparameters,
    strengths=("what most data desks run", "says which feature it is", "anomalies in training hardly move it"),
    weaknesses=("sees no relation between features, nor between sessions", "heavy tails raise alarms on ordinary days"),
    best_for=("spikes and level shifts", "a first check of any feed"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=100, recommended_samples=1_000),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="Alternatives to the Median Absolute Deviation", year=1993, link="https://doi.org/10.1080/01621459.1993.10476408"),),
)


class RobustZScore(Detector[RobustZScoreHyperparameters]):
    """max over features of |x - median| / scale; the scale is the mean absolute deviation where more than half of the rows agree."""

    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def learn(self, known: Windows) -> None:
        values = known.inputs.astype(np.float64)
        self.center = np.median(values, axis=0)
        away = np.abs(values - self.center)
        middle, mean = np.median(away, axis=0), away.mean(axis=0)
        scale = np.where(middle > 0, NORMAL_MEDIAN * middle, NORMAL_MEAN * mean)
        # A feature that never moved has no unit: a first move would be infinitely strange.
        self.scale = np.where(scale > 0, scale, 1.0)

    def score(self, batch: Windows) -> NDArray[np.float64]:
        return self.distances(batch).max(axis=1)

    def distances(self, batch: Windows) -> NDArray[np.float64]:
        """(n, f) distance of each feature from its median, mean over the newest sessions."""
        z = np.abs(newest(batch, min(self.hyperparameters.sessions, batch.length)) - self.center) / self.scale
        return np.asarray(z.mean(axis=1), np.float64)

    def explain(self, batch: Batch) -> Explanation:
        """The distances that the score is the largest of."""
        weights = self.distances(windows(batch)).astype(np.float32)
        part = Attribution("features", self.signature.feature_names, weights, "distance from the median, in robust deviations; the largest is the score")
        return Explanation("robust z-scores, feature by feature", "Features are looked at one by one: a strange relation between two does not show.", (part,))

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "center": self.center, "scale": self.scale}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.center, self.scale = state["center"], state["scale"]
