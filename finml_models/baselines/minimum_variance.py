"""Minimum variance: the long-only portfolio of least estimated risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Paper
from finml_models.environments.long_only import best_weights

from ._allocation import Allocation, AllocationHyperparameters, card, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "Minimum variance",
    "Long-only weights of least variance under Ledoit and Wolf's shrunk covariance of the trailing window; expected returns are not asked.",
    strengths=("needs no expected returns, the worst estimated input", "no short positions, which works like shrinkage of the covariance"),
    weaknesses=("concentrates in a few calm assets", "turnover from the noise of the covariance"),
    best_for="the expert's reference where risk is what can be forecast",
    references=(
        Paper(title="Risk Reduction in Large Portfolios: Why Imposing the Wrong Constraints Helps", year=2003, link="https://doi.org/10.1111/1540-6261.00580"),
        Paper(title="A well-conditioned estimator for large-dimensional covariance matrices", year=2004, link="https://doi.org/10.1016/S0047-259X(03)00096-4"),
    ),
)


class MinimumVariance(Allocation[AllocationHyperparameters]):
    """argmin w'Σw over w ≥ 0, Σ w = 1."""

    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        return best_weights(np.zeros((len(past), past.shape[2])), covariances(past), risk_aversion=1.0)
