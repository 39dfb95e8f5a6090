"""Volatility terciles: a calm, a normal and a turbulent third of the days, by the last month's volatility."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training
from finml_models.training.regimes import Laws

from ._regimes import RegimeBaseline, hard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows

THIRDS = 3


class VolatilityTercilesHyperparameters(Hyperparameters):
    """Nothing to choose: three thirds of the training days."""


CARD = ModelCard(
    name="Volatility terciles",
    description="Which third of the training days the market's volatility of the last 22 sessions lies in; a normal law for each third.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES}),
    hyperparameters=VolatilityTercilesHyperparameters,
    strengths=("anybody can compute it", "volatility clusters, so yesterday's third is mostly today's"),
    weaknesses=("lags a break by weeks", "bounds are those of the training days, however calm these were", "never in doubt: probabilities are 0 and 1"),
    best_for=("the rule of thumb that a model of regimes has to improve on",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=100, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
)


class VolatilityTerciles(RegimeBaseline[VolatilityTercilesHyperparameters]):
    """Thirds by trailing monthly variance, put in the order of the variance that followed."""

    bounds: NDArray[np.float64]
    order: NDArray[np.int64]

    def learn(self, known: Windows, following: NDArray[np.float64]) -> None:
        self.bounds = np.quantile(self._volatility(known), [1 / THIRDS, 2 / THIRDS])
        laws = Laws.of(hard(self._third(known), THIRDS), following)
        self.order = np.asarray(laws.calmest_first, np.int64)
        self.laws = laws.take(self.order)

    def probabilities(self, windows: Windows) -> NDArray[np.float64]:
        return hard(self._third(windows), THIRDS)[:, self.order]

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "bounds": self.bounds, "order": self.order}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.bounds, self.order = state["bounds"], state["order"]

    def _volatility(self, windows: Windows) -> NDArray[np.float64]:
        return windows.inputs[:, self.column("market_log_var_m")].astype(np.float64)

    def _third(self, windows: Windows) -> NDArray[np.int64]:
        return np.searchsorted(self.bounds, self._volatility(windows))
