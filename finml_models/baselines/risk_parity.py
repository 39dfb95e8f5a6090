"""Risk parity: every asset contributes the same risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Paper

from ._allocation import Allocation, AllocationHyperparameters, card, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "Risk parity",
    "Long-only weights with which every asset adds the same part to the portfolio's variance, under Ledoit and Wolf's covariance of the trailing window.",
    strengths=("between equal weight and minimum variance, without the latter's concentration", "needs no expected returns; small turnover"),
    weaknesses=("holds everything, good or bad", "equal risk is not least risk"),
    best_for="a diversified reference that estimates risk alone",
    references=(
        Paper(title="The Properties of Equally Weighted Risk Contribution Portfolios", year=2010, link="https://doi.org/10.3905/jpm.2010.36.4.060"),
        Paper(title="A Fast Algorithm for Computing High-dimensional Risk Parity Portfolios", year=2013, link="https://arxiv.org/abs/1311.4057"),
    ),
)

SWEEPS = 200
TOLERANCE = 1e-10


class RiskParity(Allocation[AllocationHyperparameters]):
    """w_i (Σw)_i alike for all i."""

    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        return equal_contributions(covariances(past))


def equal_contributions(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) weights by cyclical coordinate descent on ½ y'Σy - Σ ln y / m (Griveau-Billion, Richard and Roncalli 2013), y then scaled to sum to 1."""
    diagonal = np.einsum("nii->ni", covariance)
    m = diagonal.shape[1]
    y = 1 / np.sqrt(diagonal) / m
    for _ in range(SWEEPS):
        before = y.copy()
        for i in range(m):
            others = np.einsum("nj,nj->n", covariance[:, i], y) - diagonal[:, i] * y[:, i]
            y[:, i] = (-others + np.sqrt(others**2 + 4 * diagonal[:, i] / m)) / (2 * diagonal[:, i])
        if np.abs(y / before - 1).max() < TOLERANCE:
            break
    return np.asarray(y / y.sum(axis=1, keepdims=True))
