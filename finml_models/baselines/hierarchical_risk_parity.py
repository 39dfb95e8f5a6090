"""Hierarchical risk parity: assets in a tree of correlation, and risk halved from branch to branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Paper

from ._allocation import Allocation, AllocationHyperparameters, card, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "Hierarchical risk parity",
    "Assets ordered by single-linkage clustering of their correlations, and weight divided between halves of that order by inverse variance, down "
    "to single assets; no covariance is inverted.",
    strengths=("inverts no matrix, so that noise in small eigenvalues does no harm", "spreads weight over clusters, not over names"),
    weaknesses=("halves of the order are not the tree's branches", "an asset that changes its cluster makes jumps and turnover"),
    best_for="many correlated assets and a short window",
    references=(Paper(title="Building Diversified Portfolios that Outperform Out of Sample", year=2016, link="https://doi.org/10.3905/jpm.2016.42.4.059"),),
)


class HierarchicalRiskParity(Allocation[AllocationHyperparameters]):
    """López de Prado's (2016) tree clustering, quasi-diagonalisation and recursive bisection."""

    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([bisected(covariance, order_of(covariance)) for covariance in covariances(past)])


def order_of(covariance: NDArray[np.float64]) -> NDArray[np.int64]:
    """(m,) the assets in the order of the tree's leaves: single linkage of the distances between rows of sqrt((1 - ρ) / 2)."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    deviation = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    return np.asarray(leaves_list(linkage(pdist(np.sqrt((1 - correlation) / 2)), "single")), np.int64)


def bisected(covariance: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m,) weights: each stretch of the order is halved, and its weight goes to the halves in inverse proportion to their variances."""
    weights = np.ones(len(order))
    waiting = [order]
    while waiting:
        stretch = waiting.pop()
        if len(stretch) < 2:
            continue
        halves = stretch[: len(stretch) // 2], stretch[len(stretch) // 2 :]
        first, second = (_variance(covariance[np.ix_(half, half)]) for half in halves)
        weights[halves[0]] *= second / (first + second)
        weights[halves[1]] *= first / (first + second)
        waiting += halves
    return weights


def _variance(covariance: NDArray[np.float64]) -> float:
    """Variance of the inverse-variance portfolio of a cluster."""
    inverse = 1 / np.diag(covariance)
    weights = inverse / inverse.sum()
    return float(weights @ covariance @ weights)
