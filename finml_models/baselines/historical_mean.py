"""Historical mean: variance is what it was on average; the best forecast where volatility does not cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training

from ._entities import EntityNames
from ._residual import ResidualForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class HistoricalMeanHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="Historical mean",
    description="A constant for each asset and horizon: the mean variance of its training data, the same on calm and on stormy days.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=HistoricalMeanHyperparameters,
    strengths=("cannot be beaten on a random walk of constant variance", "one number an asset and horizon"),
    weaknesses=("knows nothing of the present", "lags for years after a change of level"),
    best_for=("showing whether volatility can be forecast at all",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
)


class HistoricalMean(ResidualForecaster[HistoricalMeanHyperparameters]):
    """f(t, h) = mean of the training targets of the asset, or of the pool for an asset that was not in training."""

    names: EntityNames
    means: NDArray[np.float64]

    def learn(self, train: Batch) -> None:
        if train.target is None:
            raise ValueError("target: a fit needs a batch with targets; build the view with y")
        target = train.target.astype(np.float64)
        self.names = EntityNames.of(train.entity)
        rows = self.names.rows(train.entity)
        sums = np.zeros((len(self.names), target.shape[1]))
        np.add.at(sums, rows, target)
        self.means = np.vstack([target.mean(axis=0), sums[1:] / np.bincount(rows, minlength=len(self.names))[1:, None]])

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        return self.means[self.names.rows(batch.entity)]

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "means": self.means, "names": self.names.letters}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.means, self.names = state["means"], EntityNames(state["names"])
