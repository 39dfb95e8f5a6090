"""NLinear: one linear layer on what the window has left when its newest value is taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._linear import LinearForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NLinearHyperparameters(Hyperparameters):
    """The penalty."""

    ridge: float = Field(0.01, ge=0, le=10, description="penalty on the weights, in multiples of the regressors' mean variance")


CARD = ModelCard(
    name="NLinear",
    description="The window minus its newest value, a linear layer for each horizon, and the newest value put back; solved as ridge regression.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=NLinearHyperparameters,
    strengths=("follows a shift of level at once", "solved in a second, without epochs or learning rate"),
    weaknesses=("one feature alone", "the newest value's noise goes into every forecast and the weights have to average it out"),
    best_for=("a check of whether a transformer earns its place",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=200, recommended_samples=2_000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(title="Are Transformers Effective for Time Series Forecasting?", year=2023, link="https://arxiv.org/abs/2205.13504"),
        Paper(title="An Analysis of Linear Time Series Forecasting Models", year=2024, link="https://arxiv.org/abs/2403.14587"),
    ),
    implementation="https://github.com/cure-lab/LTSF-Linear",
)


class NLinear(LinearForecaster[NLinearHyperparameters]):
    """y(t, h) = x(t) + Σ_k w(h, k) (x(t-k) - x(t)) + b(h) (Zeng et al. 2023, section 4)."""

    @property
    def ridge(self) -> float:
        return self.hyperparameters.ridge

    def anchor(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        return window[:, -1:]

    def regressors(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        # The newest value itself is 0 after it is taken off.
        return window[:, :-1] - window[:, -1:]
