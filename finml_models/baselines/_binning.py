"""Weight of evidence: a column cut into bins whose default rates keep their order, each bin worth the log of its odds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]

FINE_BINS = 20
FREE_BINS = 5
"""Bins of equal size of a column that nobody has an expectation of: few enough to follow a bend and not the noise."""
SHRINK = 20.0
"""Rows of the average default rate that are added to each bin: an empty bin says nothing, a small one little."""


def edges_of(x: Float, y: Float, sign: int, least_share: float) -> Float:
    """Upper edges of the bins but the last, ascending; missing values have no part. Shapes: x and y (n,) -> (bins - 1,).

    The column is cut into `FINE_BINS` bins of equal size; neighbours whose rates break the order that `sign` expects (1: rising)
    are pooled (isotonic regression), and so is what holds less than `least_share` of the rows, with the neighbour whose
    rate is nearer. With sign 0 the column is cut into `FREE_BINS` and its rates may bend.
    """
    from scipy.optimize import isotonic_regression

    there, mean = ~np.isnan(x), float(y.mean())
    x, y = x[there], y[there]
    if not len(x):
        return np.zeros(0)
    cuts = np.unique(np.quantile(x, np.linspace(0, 1, (FINE_BINS if sign else FREE_BINS) + 1)[1:-1], method="inverted_cdf"))
    cuts = cuts[cuts < x.max()]
    place = np.searchsorted(cuts, x)
    rows = np.bincount(place, minlength=len(cuts) + 1).astype(np.float64)
    bad = np.bincount(place, weights=y, minlength=len(cuts) + 1)
    if sign:
        pooled = isotonic_regression(bad / rows, weights=rows, increasing=sign > 0)
        starts = pooled.blocks[:-1]
        cuts, rows, bad = cuts[starts[1:] - 1], np.add.reduceat(rows, starts), np.add.reduceat(bad, starts)
    while len(rows) > 1 and (first := _to_pool(rows, bad, mean, sign, least_share)) is not None:
        rows[first + 1] += rows[first]
        bad[first + 1] += bad[first]
        rows, bad, cuts = np.delete(rows, first), np.delete(bad, first), np.delete(cuts, first)
    return np.asarray(cuts, np.float64)


def _to_pool(rows: Float, bad: Float, mean: float, sign: int, least_share: float) -> int | None:
    """The first of two neighbouring bins to be made one, or None where all is well."""
    small = int(rows.argmin())
    if rows[small] < least_share * rows.sum():
        rate = bad / rows
        neighbours = [i for i in (small - 1, small + 1) if 0 <= i < len(rows)]
        return min(small, min(neighbours, key=lambda i: abs(rate[i] - rate[small])))
    # What shrinks a small bin more than a large one may turn their order.
    steps = np.diff(_shrunk(rows, bad, mean)) * sign
    return int(steps.argmin()) if steps.min() < 0 else None


def _shrunk(rows: Float, bad: Float, mean: float) -> Float:
    return (bad + SHRINK * mean) / (rows + SHRINK)


def bins_of(x: Float, edges: Float) -> NDArray[np.intp]:
    """Number of each value's bin, from 1; 0 where it is missing. Shapes: x (n,), edges (bins - 1,)."""
    return np.where(np.isnan(x), 0, 1 + np.searchsorted(edges, x))


def weight_of_evidence(bins: NDArray[np.intp], y: Float, size: int) -> tuple[Float, float]:
    """log(odds of repayment in the bin / odds overall) of each of `size` bins, and the column's information value.

    Good, Probability and the Weighing of Evidence, 1950; the information value is Kullback and Leibler's symmetric divergence between the
    good and the bad rows over the bins.
    """
    rows, bad = np.bincount(bins, minlength=size).astype(np.float64), np.bincount(bins, weights=y, minlength=size)
    mean = float(y.mean())
    rate = _shrunk(rows, bad, mean)
    woe = np.log((1 - rate) / rate) - np.log((1 - mean) / mean)
    share_good, share_bad = (rows - bad) / (len(y) - y.sum()), bad / y.sum()
    return woe, float((share_good - share_bad) @ woe)
