"""Random walk: tomorrow's price is today's, give or take a volatility that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._entities import EntityNames
from ._standardised import StandardisedForecaster, target_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class RandomWalkHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="Random walk",
    description="No return can be foreseen, and volatility is what it was on average: a point of 0, and the quantiles of past returns in units of "
    "each asset's own standard deviation.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=RandomWalkHyperparameters,
    strengths=("a point that hardly anything beats out of sample", "fat tails and drift as they were, without an assumed law"),
    weaknesses=("too wide on calm days and too narrow on stormy ones", "lags for years after a change of level"),
    best_for=("showing whether anything at all can be forecast",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="The Behavior of Stock-Market Prices", year=1965, link="https://doi.org/10.1086/294743"),),
)


class RandomWalk(StandardisedForecaster[RandomWalkHyperparameters]):
    """scale(h) = root mean square of the asset's one-session training returns × sqrt(h); of the pool for an asset that was not in training."""

    explains = "spread"

    names: EntityNames
    deviation: NDArray[np.float64]

    def learn(self, train: Batch, valid: Batch) -> None:
        known = train.join(valid)
        squared = np.square(target_of(known)[:, 0])
        self.names = EntityNames.of(known.entity)
        rows = self.names.rows(known.entity)
        mean = np.bincount(rows, weights=squared, minlength=len(self.names))[1:] / np.bincount(rows, minlength=len(self.names))[1:]
        # An asset that never moved in training has no width of its own.
        self.deviation = np.sqrt(np.append(squared.mean(), np.where(mean > 0, mean, squared.mean())))

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        return self.deviation[self.names.rows(batch.entity)][:, None] * self.root

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "deviation": self.deviation, "names": self.names.letters}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.deviation, self.names = state["deviation"], EntityNames(state["names"])
