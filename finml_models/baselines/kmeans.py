"""K-means on raw features: the nearest of a few typical days, each with its own law of the next return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training
from finml_models.training.regimes import Laws, number_of_regimes

from ._regimes import RegimeBaseline, hard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows

STARTS = 10


class KMeansHyperparameters(Hyperparameters):
    """How many typical days are tried."""

    max_regimes: int = Field(4, ge=2, le=8, description="largest number of regimes tried on the training data")


CARD = ModelCard(
    name="K-means on features",
    description="The newest features of the market, standardised, and the nearest of k centres; k by the log-likelihood of the newest training returns.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES}),
    hyperparameters=KMeansHyperparameters,
    strengths=("no network between the data and the regimes", "sees volatility, dispersion and correlation together"),
    weaknesses=("every feature counts alike", "never in doubt: probabilities are 0 and 1", "regimes flicker at the borders of the cells"),
    best_for=("showing whether an embedding is worth its training",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=200, recommended_samples=2000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(
            title="Some Methods for Classification and Analysis of Multivariate Observations",
            year=1967,
            link="https://projecteuclid.org/euclid.bsmsp/1200512992",
        ),
    ),
    implementation="https://github.com/scikit-learn/scikit-learn",
)


class KMeans(RegimeBaseline[KMeansHyperparameters]):
    """Regime = nearest centre (MacQueen 1967) among the newest standardised features of the window."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    centres: NDArray[np.float64]

    def learn(self, known: Windows, following: NDArray[np.float64]) -> None:
        inputs = known.inputs.astype(np.float64)
        self.mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)

        def score(number: int, older: slice, newer: slice) -> NDArray[np.float64]:
            centres, laws = self._fitted(inputs[older], following[older], number)
            return laws.log_density(hard(self._nearest(inputs[newer], centres), number), following[newer])

        number = number_of_regimes(self.hyperparameters.max_regimes, len(inputs), score)
        self.centres, self.laws = self._fitted(inputs, following, number)

    def probabilities(self, windows: Windows) -> NDArray[np.float64]:
        return hard(self._nearest(windows.inputs, self.centres), len(self.centres))

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "mean": self.mean, "scale": self.scale, "centres": self.centres}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.mean, self.scale, self.centres = state["mean"], state["scale"], state["centres"]

    def _nearest(self, inputs: NDArray[np.floating], centres: NDArray[np.float64]) -> NDArray[np.intp]:
        x = (inputs - self.mean) / self.scale
        return np.square(x[:, None, :] - centres).sum(axis=2).argmin(axis=1)

    def _fitted(self, inputs: NDArray[np.float64], following: NDArray[np.float64], number: int) -> tuple[NDArray[np.float64], Laws]:
        from sklearn import cluster

        centres = cluster.KMeans(number, n_init=STARTS, random_state=0).fit((inputs - self.mean) / self.scale).cluster_centers_
        laws = Laws.of(hard(self._nearest(inputs, centres), number), following)
        order = laws.calmest_first
        return centres[order], laws.take(order)
