"""DLinear: a linear layer on the window's trend and another on the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._linear import LinearForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNEL = 25
"""Values of the moving average that is the trend, the paper's for every data set; a shorter window takes the longest odd number that it has."""


class DLinearHyperparameters(Hyperparameters):
    """The penalty."""

    ridge: float = Field(0.01, ge=0, le=10, description="penalty on the weights, in multiples of the regressors' mean variance")


CARD = ModelCard(
    name="DLinear",
    description="A moving average splits the window into trend and remainder, each with a linear layer for each horizon; solved as ridge regression.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=DLinearHyperparameters,
    strengths=("a slow trend and fast swings have weights of their own", "solved in a second, without epochs or learning rate"),
    weaknesses=(
        "one feature alone",
        "without the penalty the two layers are no more than one",
        "a shift of level that training never saw goes straight into the forecast",
    ),
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


class DLinear(LinearForecaster[DLinearHyperparameters]):
    """y(t, h) = Σ_k w(h, k) trend(t-k) + Σ_k v(h, k) (x(t-k) - trend(t-k)) + b(h) (Zeng et al. 2023, section 4).

    Both layers together span what one layer on the window spans; they differ in what the penalty shrinks.
    """

    @property
    def ridge(self) -> float:
        return self.hyperparameters.ridge

    def anchor(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros((len(window), 1))

    def regressors(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        trend = moving_average(window, min(KERNEL, window.shape[1] - 1 + window.shape[1] % 2))
        return np.hstack([trend, window - trend])


def moving_average(window: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """Centred mean of `kernel` values, an odd number, the ends repeated beyond the window. Shape: (n, length) -> (n, length)."""
    half = kernel // 2
    padded = np.pad(window, ((0, 0), (half + 1, half)), mode="edge")
    # One more value in front, so that differences of the cumulated sum begin with the first mean.
    total = padded.cumsum(axis=1)
    return (total[:, kernel:] - total[:, :-kernel]) / kernel
