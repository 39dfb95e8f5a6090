"""One regime: every day has the same law; what any regime has to improve on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training
from finml_models.training.regimes import Laws

from ._regimes import RegimeBaseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows


class OneRegimeHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="One regime",
    description="A normal law with the mean and variance of all training days, the same on calm and on stormy ones.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES}),
    hyperparameters=OneRegimeHyperparameters,
    strengths=("cannot be beaten on a random walk of constant variance", "two numbers"),
    weaknesses=("knows nothing of the present", "a storm has next to no density under it"),
    best_for=("showing whether there are regimes at all",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
)


class OneRegime(RegimeBaseline[OneRegimeHyperparameters]):
    """N(mean, variance) of the returns that followed the training rows."""

    def learn(self, known: Windows, following: NDArray[np.float64]) -> None:
        self.laws = Laws.of(np.ones((len(known), 1)), following)

    def probabilities(self, windows: Windows) -> NDArray[np.float64]:
        return np.ones((len(windows), 1))
