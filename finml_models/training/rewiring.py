"""Graphs to doubt a graph with: the same degrees and weights with random neighbours, and no edges at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from finml_models.core.graphs import Edges

ROUNDS = 24
"""Rounds of swaps. In each every edge is proposed one swap: about ten accepted swaps an edge, where a graph is mixed after a few
(Milo et al., On the uniform generation of random graphs with prescribed degree sequences, arXiv:cond-mat/0312028)."""


def without(edges: Edges) -> Edges:
    """As many graphs with the same stamps, and no edge."""
    none = np.empty(0, np.int64)
    return replace(edges, offsets=np.zeros_like(edges.offsets), source=none, target=none, weight=np.empty(0, np.float32))


def rewired(edges: Edges, nodes: int, *, seed: int = 0) -> Edges:
    """Each undirected graph after double edge swaps: a-b and c-d become a-d and c-b, unless that makes a loop or a second edge.

    Every node keeps its number of neighbours, every graph its weights, each of which moves with its edge (Maslov & Sneppen,
    Specificity and stability in topology of protein networks, 2002, doi:10.1126/science.1065103). A graph's randomness follows
    from `seed` and its stamp alone, so a graph is rewired alike in training and in service. `nodes` is the number of node numbers.
    """
    graph = np.repeat(np.arange(len(edges.stamped)), np.diff(edges.offsets))
    once = np.flatnonzero(edges.source < edges.target)
    graph, weight = graph[once], edges.weight[once]
    ends = np.stack([edges.source[once], edges.target[once]], axis=1)
    sizes = np.bincount(graph, minlength=len(edges.stamped))
    draws = _draws(edges.stamped, sizes, seed)
    position = np.arange(len(graph)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Shuffled within its graph, each edge at an even place is paired with the next one.
    first = np.flatnonzero((position % 2 == 0) & (position + 1 < sizes[graph]))
    for order_draw, coin in draws:
        order = np.lexsort((order_draw, graph))
        i, j = order[first], order[first + 1]
        flip = coin[i] < 0.5
        a, b = ends[i].T
        c, d = np.where(flip, ends[j, 1], ends[j, 0]), np.where(flip, ends[j, 0], ends[j, 1])
        held = np.sort(_codes(graph, ends[:, 0], ends[:, 1], nodes))
        one, other = _codes(graph[i], a, d, nodes), _codes(graph[i], c, b, nodes)
        new = np.concatenate([one, other])
        found, count = np.unique(new, return_counts=True)
        taken = np.concatenate([held, found[count > 1]])
        fine = (a != d) & (c != b) & ~np.isin(one, taken) & ~np.isin(other, taken)
        ends[i[fine]] = np.stack([a, d], axis=1)[fine]
        ends[j[fine]] = np.stack([c, b], axis=1)[fine]
    source, target = np.concatenate([ends[:, 0], ends[:, 1]]), np.concatenate([ends[:, 1], ends[:, 0]])
    order = np.lexsort((source, target, np.concatenate([graph, graph])))
    return replace(edges, source=source[order], target=target[order], weight=np.concatenate([weight, weight])[order])


def _draws(stamped: NDArray[np.datetime64], sizes: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """(rounds, 2, edges) uniform numbers, each graph's from a generator of its own."""
    days = stamped.astype("datetime64[D]").astype(np.int64)
    # Days before 1970 are negative, and a seed may not be.
    parts = [np.random.default_rng([seed, int(day) + 1_000_000]).random((ROUNDS, 2, size)) for day, size in zip(days, sizes, strict=True)]
    return np.concatenate([np.empty((ROUNDS, 2, 0)), *parts], axis=2)


def _codes(graph: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], nodes: int) -> NDArray[np.int64]:
    """One number for each undirected edge of each graph."""
    return (graph * nodes + np.minimum(a, b)) * nodes + np.maximum(a, b)
