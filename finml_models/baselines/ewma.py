"""EWMA: the exponentially weighted variance of RiskMetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.batches import Windows
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._residual import ResidualForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class EWMAHyperparameters(Hyperparameters):
    """The decay."""

    decay: float = Field(0.94, gt=0, lt=1, description="weight that yesterday's estimate keeps; RiskMetrics takes 0.94 for daily data")


CARD = ModelCard(
    name="EWMA",
    description="Exponentially weighted moving average of daily variance with RiskMetrics' decay, the same for every horizon.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=EWMAHyperparameters,
    strengths=("one parameter that works for most assets", "the reference that risk departments know"),
    weaknesses=("does not revert to the mean, so long horizons suffer", "treats rises and falls alike"),
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


class EWMA(ResidualForecaster[EWMAHyperparameters]):
    """f(t, h) = log Σ w_k v(t-k), w_k ∝ decay^k over the window, weights summing to one."""

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        if not isinstance(batch, Windows):
            raise TypeError(f"batch: EWMA reads windows, not {type(batch).__name__}")
        weights = self.hyperparameters.decay ** np.arange(batch.length - 1, -1, -1.0)
        variance = np.exp(batch.gather(self.column("log_var_d")).astype(np.float64)) @ (weights / weights.sum())
        return np.repeat(np.log(variance)[:, None], len(self.signature.horizons), axis=1)
