"""Random walk with EWMA volatility: RiskMetrics' distribution of the coming returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.batches import Windows
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._standardised import StandardisedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

FLOOR = 1e-8
"""Least daily variance: an asset that did not move all window has no width of 0."""


class EWMARandomWalkHyperparameters(Hyperparameters):
    """The decay."""

    decay: float = Field(0.94, gt=0, lt=1, description="weight that yesterday's variance keeps; RiskMetrics takes 0.94 for daily data")


CARD = ModelCard(
    name="EWMA random walk",
    description="A point of 0, and the quantiles of past returns in units of an exponentially weighted volatility of squared returns that grows with the "
    "square root of the horizon.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=EWMARandomWalkHyperparameters,
    strengths=("one parameter that works for most assets", "follows a change of volatility within weeks"),
    weaknesses=("does not revert to the mean, so long horizons suffer", "sees closes only"),
    best_for=("one-day risk figures", "a sanity check on anything larger"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=500),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(
            title="RiskMetrics: Technical Document, 4th edition", year=1996, link="https://www.msci.com/documents/10199/5915b101-4206-4ba0-aee2-3449d5c7e95a"
        ),
    ),
)


class EWMARandomWalk(StandardisedForecaster[EWMARandomWalkHyperparameters]):
    """scale(t, h)² = h Σ w_k r(t-k)², w_k ∝ decay^k over the window, weights summing to one."""

    explains = "spread"

    def learn(self, train: Batch, valid: Batch) -> None:
        """Nothing but the quantiles."""

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        if not isinstance(batch, Windows):
            raise TypeError(f"batch: the EWMA random walk reads windows, not {type(batch).__name__}")
        weights = self.hyperparameters.decay ** np.arange(batch.length - 1, -1, -1.0)
        variance = np.square(batch.gather(self.column("return_d")).astype(np.float64)) @ (weights / weights.sum())
        return np.sqrt(np.maximum(variance, FLOOR))[:, None] * self.root
