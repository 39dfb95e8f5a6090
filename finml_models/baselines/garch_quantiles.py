"""GARCH quantiles: the distribution of coming returns with the width that GARCH(1,1)-t expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._entities import EntityNames
from ._garch import Garch
from ._standardised import StandardisedForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class GARCHQuantilesHyperparameters(Hyperparameters):
    """Nothing to choose: orders (1, 1), constant mean, t innovations."""


CARD = ModelCard(
    name="GARCH(1,1)-t quantiles",
    description="Each asset's constant mean, and the quantiles of past returns in units of the conditional deviation over the horizon that GARCH(1,1) with "
    "Student's t innovations expects, which reverts to its mean.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=GARCHQuantilesHyperparameters,
    strengths=("reverts to the mean over long horizons", "needs closes only", "decades of evidence for it"),
    weaknesses=("sees squared returns only, so it wastes bars", "rises and falls count alike", "its mean is a historical one, which seldom beats 0"),
    best_for=("assets with closes alone", "multi-week horizons"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=500, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(title="Generalized Autoregressive Conditional Heteroskedasticity", year=1986, link="https://doi.org/10.1016/0304-4076(86)90063-1"),
        Paper(
            title="A Conditionally Heteroskedastic Time Series Model for Speculative Prices and Rates of Return",
            year=1987,
            link="https://doi.org/10.2307/1925546",
        ),
    ),
    implementation="https://github.com/bashtage/arch",
)


class GARCHQuantiles(StandardisedForecaster[GARCHQuantilesHyperparameters]):
    """centre(h) = h μ, scale(t, h)² = Σ over the next h sessions of the variance that GARCH expects. t innovations shape the estimate,
    the empirical quantiles the tails: a sum of h of them is no t.
    """

    explains = "spread"

    fitted: Garch

    def learn(self, train: Batch, valid: Batch) -> None:
        self.fitted = Garch.of(train.join(valid), self.column("return_d"))

    def centre(self, batch: Batch) -> NDArray[np.float64]:
        return self.fitted.mean(batch)[:, None] * np.asarray(self.signature.horizons, np.float64)

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        return np.sqrt(self.fitted.variance(batch, self.column("return_d"), self.signature.horizons)) * self.root

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), **self.fitted.state()}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.fitted = Garch(EntityNames(state["names"]), state["parameters"])
