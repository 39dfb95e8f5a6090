"""Mean-variance: Markowitz's long-only portfolio with shrunk means and covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Paper
from finml_models.environments.long_only import best_weights

from ._allocation import SCALE, Allocation, AllocationHyperparameters, card, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "Mean-variance",
    "Long-only weights of the largest mean less 3/2 variance, with Jorion's shrunk means and Ledoit and Wolf's covariance of the trailing window.",
    strengths=("optimal where the estimates are the truth", "the very utility that the certainty equivalent scores"),
    weaknesses=("means of half a year are mostly noise, and it bets on them", "large turnover and few assets"),
    best_for="showing what estimated means cost",
    references=(
        Paper(title="Portfolio Selection", year=1952, link="https://doi.org/10.2307/2975974"),
        Paper(title="Bayes-Stein Estimation for Portfolio Analysis", year=1986, link="https://doi.org/10.2307/2331042"),
    ),
)

RISK_AVERSION = 3.0


class MeanVariance(Allocation[AllocationHyperparameters]):
    """argmax μ'w - 3/2 w'Σw over w ≥ 0, Σ w = 1."""

    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        covariance = covariances(past)
        # Mean and covariance of fractions, both times SCALE: the same weights.
        return best_weights(shrunk_means(past, covariance / SCALE) * SCALE, covariance, risk_aversion=RISK_AVERSION)


def shrunk_means(past: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) means moved towards that of the minimum-variance portfolio, by Jorion's (1986, eq. 17) share.

    share = (m + 2) / (m + 2 + T d'Σ⁻¹d), d being the means less the target.
    """
    mean = past.mean(axis=1)
    ones = np.ones_like(mean)
    solved = np.linalg.solve(covariance, np.stack([mean, ones], axis=-1))
    target = solved[..., 0].sum(axis=1, keepdims=True) / solved[..., 1].sum(axis=1, keepdims=True)
    away = mean - target
    distance = (away * np.linalg.solve(covariance, away[..., None])[..., 0]).sum(axis=1, keepdims=True)
    m, window = mean.shape[1], past.shape[1]
    share = (m + 2) / (m + 2 + window * distance)
    return np.asarray(target * share + mean * (1 - share))
