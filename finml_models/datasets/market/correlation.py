"""Graphs of trailing correlation: who moved with whom, as far as was known at each stamp.

A graph is built anew every few weeks and used until the next one. When, follows from the dates alone and not from where the
data begin: on the first session of each block of `refresh_days` calendar days since 1970. So the service, which sees half a
year of rows, builds the very graph that training used on that day.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.graphs import Edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.8
"""Share of the window's returns that an asset needs; the others count as its mean."""


def correlation_graphs(
    returns: NDArray[np.float64],
    times: NDArray[np.datetime64],
    *,
    window: int,
    refresh_days: int,
    neighbours: int,
    least: float,
) -> tuple[Edges, NDArray[np.int64]]:
    """Graphs over all assets, and for each date the newest graph that is not stamped later, -1 before the first.

    An edge joins two assets when either is among the `neighbours` largest |correlations| of the other and theirs is at least
    `least`; it weighs the correlation with its sign and stands twice, once each way, sorted by (target, source). A graph
    stamped t uses the `window` returns up to and with t. Shapes: returns (t, s), NaN where an asset has none; times (t,).
    """
    stamps = refresh_dates(times, window=window, refresh_days=refresh_days)
    found = [_graph(returns[at - window + 1 : at + 1], neighbours, least) for at in stamps]
    empty = np.empty(0, np.int64)
    sizes = [len(weight) for _, _, weight in found]
    edges = Edges(
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        source=np.concatenate([empty, *(source for source, _, _ in found)]),
        target=np.concatenate([empty, *(target for _, target, _ in found)]),
        weight=np.concatenate([empty, *(weight for _, _, weight in found)]).astype(np.float32),
        stamped=times[stamps],
    )
    return edges, np.searchsorted(stamps, np.arange(len(times)), side="right") - 1


def refresh_dates(times: NDArray[np.datetime64], *, window: int, refresh_days: int) -> NDArray[np.int64]:
    """Positions of the dates on which a graph is built: the first of each block that has `window` returns behind it. Shape: (g,)."""
    block = times.astype("datetime64[D]").astype(np.int64) // refresh_days
    first = np.flatnonzero(np.append(True, block[1:] != block[:-1])) if len(block) else np.empty(0, np.int64)
    # Whether the first date of the data begins its block cannot be known; with `window` returns before it, it never matters.
    return first[first >= window]


def neighbour_mean(values: NDArray[np.float64], present: NDArray[np.bool_], edges: Edges, graph: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over each asset's present neighbours, weighted by |correlation|; its own value where it has none.

    Shapes: values and present (t, s), graph (t,) as `correlation_graphs` gives it; the result is (t, s).
    """
    from scipy.sparse import csr_array

    known = np.where(present, values, 0.0)
    means = values.copy()
    starts = np.searchsorted(graph, np.arange(len(edges.stamped) + 1))
    for number, (start, end) in enumerate(pairwise(starts)):
        source, target, weight = edges.of(number)
        # Sparse rows are summed one edge after another: the bits depend neither on the number of dates nor on that of assets.
        weights = csr_array((np.abs(weight).astype(np.float64), (target, source)), shape=(values.shape[1],) * 2)
        total = weights @ present[start:end].T.astype(np.float64)
        summed = weights @ known[start:end].T
        means[start:end] = np.where(total > 0, summed / np.where(total > 0, total, 1.0), values[start:end].T).T
    return means


def _graph(block: NDArray[np.float64], neighbours: int, least: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(source, target, correlation) of one window of returns, (window, s)."""
    known = np.isfinite(block)
    # Only the assets that take part enter the product: an asset that comes later must not change the bits of an earlier graph.
    held = np.flatnonzero(known.sum(axis=0) >= SHARE * len(block))
    block, known = block[:, held], known[:, held]
    mean = np.where(known, block, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, block - mean, 0.0)
    norm = np.sqrt((centred**2).sum(axis=0))
    moved = norm > 1e-12
    held, centred = held[moved], centred[:, moved] / norm[moved]
    chosen = min(neighbours, len(held) - 1)
    if chosen < 1:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    product = centred.T @ centred
    correlation = (product + product.T) / 2
    size = np.abs(correlation)
    np.fill_diagonal(size, -1.0)
    nearest = np.argpartition(size, len(held) - chosen, axis=1)[:, -chosen:]
    joined = np.zeros(size.shape, dtype=bool)
    np.put_along_axis(joined, nearest, values=True, axis=1)
    target, source = np.nonzero((joined | joined.T) & (size >= least))
    return held[source], held[target], np.clip(correlation[target, source], -1.0, 1.0)
