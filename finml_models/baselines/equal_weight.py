"""Equal weight: 1/N, rebalanced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Paper

from ._allocation import Allocation, AllocationHyperparameters, card

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "Equal weight",
    "The same share of every asset, restored each week; it estimates nothing, and so has no estimation error.",
    strengths=("no estimation error at all", "small turnover: it sells what rose and buys what fell, by their drift alone"),
    weaknesses=("blind to risk: the most volatile assets make most of it", "depends on which assets somebody chose"),
    best_for="the naive reference that estimated allocations rarely beat out of sample",
    references=(
        Paper(
            title="Optimal Versus Naive Diversification: How Inefficient is the 1/N Portfolio Strategy?", year=2009, link="https://doi.org/10.1093/rfs/hhm075"
        ),
    ),
)


class EqualWeight(Allocation[AllocationHyperparameters]):
    """1 / m each."""

    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full((len(past), past.shape[2]), 1 / past.shape[2])
