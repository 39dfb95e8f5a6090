"""Minibatches of graphs: the snapshots of some dates side by side, as one graph without edges between them.

Nodes that are absent on a date do not enter, nor do their edges. All of it is index arithmetic on the device: no list of graphs
is built, and two snapshots with one graph share its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finml_models.core.errors import DataError
from finml_models.core.graphs import Graphs

from .minibatch import Source

NODES_A_PASS = 16_384
"""Nodes of a forward pass without gradients, absent ones included."""


@dataclass(frozen=True, slots=True)
class GraphTensors:
    """Snapshots as one block-diagonal graph, standardised.

    Shapes: nodes (m, features), edge_source and edge_target (e,) node numbers, edge_weight (e,) as the batch has it, signs
    included; block (m,) the number of each node's snapshot among those of the minibatch; answered (b,) the nodes that a network
    answers, in the order of its answers, or the numbers of the snapshots where rows are whole ones; target (b, horizons).
    """

    nodes: Tensor
    edge_source: Tensor
    edge_target: Tensor
    edge_weight: Tensor
    answered: Tensor
    target: Tensor | None = None
    block: Tensor | None = None


class GraphSource(Source):
    """The snapshots that a batch has rows of, oldest first; a unit is a snapshot."""

    def __init__(self, graphs: Graphs, nodes: Tensor, target: Tensor | None = None) -> None:
        """`nodes` (t, s, f) are the batch's own, scaled and on the device; `target` (n, horizons) too.

        Raises `DataError` for a row of an absent node: it would be answered from zeros.
        """
        self._of_snapshots = graphs.of_snapshots
        absent = ~(graphs.present[graphs.snapshot].any(axis=1) if self._of_snapshots else graphs.present[graphs.snapshot, graphs.node])
        if absent.any():
            row = int(np.argmax(absent))
            raise DataError(f"row {row} ({graphs.entity[row]}, {graphs.time[row]}): the node, or every node, is absent on that date: rebuild the view")
        self.device, self._size = nodes.device, nodes.shape[1]
        order = np.argsort(graphs.snapshot, kind="stable")
        snapshots, first, count = np.unique(graphs.snapshot[order], return_index=True, return_counts=True)
        self._rows, self._first, self._count = (self._index(values) for values in (order, first, count))
        self._snapshots, self._node = self._index(snapshots), self._index(graphs.node)
        self._nodes, self._present = nodes.flatten(0, 1), torch.from_numpy(graphs.present.ravel().copy()).to(self.device)
        edges = graphs.edges
        self._graph, self._begin, self._edges = self._index(graphs.graph), self._index(edges.offsets[:-1]), self._index(np.diff(edges.offsets))
        self._source, self._target_node = self._index(edges.source), self._index(edges.target)
        self._weight = torch.from_numpy(np.array(edges.weight, np.float32)).to(self.device)
        self._target = target
        self._is_whole = bool(graphs.present[snapshots].all())
        self.chunk = max(1, NODES_A_PASS // max(self._size, 1))

    def __len__(self) -> int:
        return len(self._snapshots)

    @property
    def samples(self) -> int:
        """Rows of all snapshots."""
        return len(self._rows)

    def gather(self, units: Tensor) -> GraphTensors:
        """The snapshots with these numbers (b,), given on the CPU."""
        units = units.to(self.device, non_blocking=True)
        snapshots = _take(self._snapshots, units)
        cells = (snapshots[:, None] * self._size + torch.arange(self._size, device=self.device)).flatten()
        of_cell = torch.arange(len(units), device=self.device).repeat_interleave(self._size)
        graph = _take(self._graph, snapshots)
        edges, block = _ranges(_take(self._begin, graph), _take(self._edges, graph))
        source, target = (_take(nodes, edges) + block * self._size for nodes in (self._source, self._target_node))
        rows, block = _ranges(_take(self._first, units), _take(self._count, units))
        rows = _take(self._rows, rows)
        answered = block if self._of_snapshots else _take(self._node, rows) + block * self._size
        if not self._is_whole:
            held = _take(self._present, cells)
            number = held.cumsum(0) - 1  # of each cell among the nodes that are there
            kept = (_take(held, source) & _take(held, target)).nonzero()[:, 0]
            edges, source, target = _take(edges, kept), _take(number, _take(source, kept)), _take(number, _take(target, kept))
            cells, of_cell = cells[held], of_cell[held]
            answered = answered if self._of_snapshots else _take(number, answered)
        return GraphTensors(
            nodes=_take(self._nodes, cells),
            edge_source=source,
            edge_target=target,
            edge_weight=_take(self._weight, edges),
            answered=answered,
            target=None if self._target is None else _take(self._target, rows),
            block=of_cell,
        )

    def rows(self, units: Tensor) -> Tensor:
        """The rows of the batch on these snapshots, snapshot by snapshot; on the CPU."""
        units = units.to(self.device)
        return _take(self._rows, _ranges(_take(self._first, units), _take(self._count, units))[0]).cpu()

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.int64)).to(self.device)


def _ranges(begin: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """begin[i] … begin[i] + count[i] - 1 one after another, and the i of each. Shapes: (b,), (b,) -> (sum,), (sum,)."""
    block = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    before = count.cumsum(0) - count
    return torch.arange(len(block), device=count.device) + _take(begin - before, block), block


def _take(values: Tensor, rows: Tensor) -> Tensor:
    # Twice as fast as values[rows] where there is little to take.
    return values.index_select(0, rows)
