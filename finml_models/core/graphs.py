"""Graphs: a node an asset, a snapshot a date, and edges that say until when they looked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .batches import Float, Int, Times, both
from .errors import DataError
from .spec import Kind


@dataclass(frozen=True, slots=True)
class Edges:
    """Several graphs over the same nodes, one behind the other.

    Graph g holds the edges `offsets[g]` to `offsets[g + 1]`. Shapes: offsets (g + 1,), source and target (e,) node
    numbers, weight (e,), stamped (g,) the newest date that went into the graph. An undirected edge stands twice, once each way.
    """

    offsets: Int
    source: Int
    target: Int
    weight: Float
    stamped: Times

    def of(self, graph: int) -> tuple[Int, Int, Float]:
        """(source, target, weight) of one graph."""
        part = slice(int(self.offsets[graph]), int(self.offsets[graph + 1]))
        return self.source[part], self.target[part], self.weight[part]


WHOLE = -1
"""The `node` of a row about a whole snapshot."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """Row i is the node `node[i]` of the snapshot `snapshot[i]`; a network sees whole snapshots and answers rows.

    Where all of `node` is `WHOLE`, a row is the whole snapshot, such as the market of a day: its entity is `whole`, its newest
    inputs the means over the nodes that are there. A batch holds rows of one of the two sorts.

    Shapes: nodes (t, s, f), present (t, s) says which nodes exist on a date (absent ones hold zeros and have no part in
    any message), times (t,), entities (s,), graph (t,) the graph of each snapshot, never stamped later than its date;
    snapshot and node (n,), target (n, horizons), until (n,).
    """

    kind: ClassVar[Kind] = Kind.GRAPHS

    nodes: Float
    present: NDArray[np.bool_]
    times: Times
    entities: NDArray[np.str_]
    edges: Edges
    graph: Int
    snapshot: Int
    node: Int
    target: Float | None = None
    until: Times | None = None
    whole: str = ""

    def __len__(self) -> int:
        return len(self.snapshot)

    @property
    def of_snapshots(self) -> bool:
        """Whether rows are whole snapshots. Raises `DataError` for a mixture of both sorts."""
        about = self.node == WHOLE
        if about.any() and not about.all():
            raise DataError(f"node: {int(about.sum())} of {len(about)} rows are whole snapshots, the others nodes; make a batch of each")
        return bool(about.any())

    def take(self, rows: Int) -> Graphs:
        return replace(
            self,
            snapshot=self.snapshot[rows],
            node=self.node[rows],
            target=None if self.target is None else self.target[rows],
            until=None if self.until is None else self.until[rows],
        )

    def join(self, other: Self) -> Self:
        if other.nodes is not self.nodes:
            raise TypeError("batches: the two are not parts of one view")
        return replace(
            self,
            snapshot=np.concatenate([self.snapshot, other.snapshot]),
            node=np.concatenate([self.node, other.node]),
            target=both(self.target, other.target),
            until=both(self.until, other.until),
        )

    @property
    def time(self) -> Times:
        return self.times[self.snapshot]

    @property
    def entity(self) -> NDArray[np.str_]:
        return np.full(len(self), self.whole) if self.of_snapshots else self.entities[self.node]

    @property
    def inputs(self) -> Float:
        if not self.of_snapshots:
            return self.nodes[self.snapshot, self.node]
        # Absent nodes hold zeros.
        total, count = self.nodes.sum(axis=1, dtype=np.float64), np.maximum(self.present.sum(axis=1), 1)
        means: Float = (total / count[:, None])[self.snapshot].astype(np.float32)
        return means
