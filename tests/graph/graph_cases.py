"""Small graphs for the tests of graph models."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from finml_models.core.estimator import Signature
from finml_models.core.graphs import Edges, Graphs
from finml_models.core.spec import Kind, Objective
from finml_models.training.graph_minibatch import GraphTensors

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def signature(features: int = 3) -> Signature:
    return Signature(
        kind=Kind.GRAPHS, objective=Objective.FORECAST, feature_names=tuple(f"x{i}" for i in range(features)), horizons=(1, 5), levels=LEVELS, loss="squared"
    )


def weights(rng: np.random.Generator, nodes: int, share: float = 0.4) -> NDArray[np.float64]:
    """A symmetric matrix of edge weights of both signs."""
    upper = np.triu(rng.uniform(-1, 1, (nodes, nodes)) * (rng.random((nodes, nodes)) < share), 1)
    return upper + upper.T


def edges_of(matrices: list[NDArray[np.float64]], stamped: NDArray[np.datetime64] | None = None) -> Edges:
    """The graphs of symmetric matrices."""
    found = [np.nonzero(matrix) for matrix in matrices]
    return Edges(
        offsets=np.cumsum([0, *(len(target) for target, _ in found)]),
        source=np.concatenate([source for _, source in found]),
        target=np.concatenate([target for target, _ in found]),
        weight=np.concatenate([matrix[cells] for matrix, cells in zip(matrices, found, strict=True)]).astype(np.float32),
        stamped=np.datetime64("2020-01-01", "us") + 28 * np.arange(len(matrices)) * np.timedelta64(1, "D") if stamped is None else stamped,
    )


def tensors(nodes: NDArray[np.float64], matrix: NDArray[np.float64], answered: list[int] | None = None) -> GraphTensors:
    """One snapshot, all of whose nodes are answered unless said otherwise."""
    target, source = np.nonzero(matrix)
    return GraphTensors(
        nodes=torch.from_numpy(nodes),
        edge_source=torch.from_numpy(source),
        edge_target=torch.from_numpy(target),
        edge_weight=torch.from_numpy(matrix[target, source]),
        answered=torch.tensor(range(len(nodes)) if answered is None else answered),
    )


def snapshots(*, dates: int = 12, nodes: int = 7, features: int = 3, seed: int = 0, absent: float = 0.2) -> Graphs:
    """Random snapshots with three graphs, some nodes absent; every present node is a row, by (time, entity)."""
    rng = np.random.default_rng(seed)
    present = rng.random((dates, nodes)) >= absent
    values = np.where(present[:, :, None], rng.standard_normal((dates, nodes, features)), 0).astype(np.float32)
    times = np.datetime64("2020-01-01", "us") + 7 * np.arange(dates) * np.timedelta64(1, "D")
    edges = edges_of([weights(rng, nodes) for _ in range(3)])
    snapshot, node = np.nonzero(present)
    return Graphs(
        nodes=values,
        present=present,
        times=times,
        entities=np.array([f"E{i}" for i in range(nodes)]),
        edges=edges,
        graph=np.searchsorted(edges.stamped, times, side="right") - 1,
        snapshot=snapshot,
        node=node,
        target=rng.standard_normal((len(node), 2)).astype(np.float32),
        until=times[snapshot] + np.timedelta64(5, "D"),
    )
