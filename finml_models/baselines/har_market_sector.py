"""HAR with market and sector: log-HAR that also sees the variance of the market and of an asset's neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from .log_har import REGRESSORS, LogHAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class HARMarketSectorHyperparameters(Hyperparameters):
    """Nothing to choose: day, week and month of the asset, the market and its neighbours are the model."""


CARD = ModelCard(
    name="HAR with market and sector",
    description="log-HAR with the same three averages of the market and of the asset's neighbours in the correlation graph, who stand for "
    "its sector, as further regressors; least squares for each horizon, pooled over assets, smeared back.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=HARMarketSectorHyperparameters,
    strengths=("spillovers by ten coefficients that a person can read", "estimated in milliseconds", "sees the same graph as a graph network"),
    weaknesses=("linear, one hop, one weight for all neighbours", "its regressors move together, so single coefficients mean little"),
    best_for=("telling whether a graph network adds anything to the averages that it could have been given",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=300, recommended_samples=2000),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="A Simple Approximate Long-Memory Model of Realized Volatility", year=2009, link="https://doi.org/10.1093/jjfinec/nbp001"),),
)


class HARMarketSector(LogHAR):
    """log v(t+1..t+h) = b0 + Σ over day, week and month of b log v_own + c log v_market + d log v_neighbours + e."""

    def _design(self, batch: Batch) -> NDArray[np.float64]:
        columns = [self.column(prefix + name) for prefix in ("", "market_", "near_") for name in REGRESSORS]
        return np.column_stack([np.ones(len(batch)), batch.inputs[:, columns].astype(np.float64)])
