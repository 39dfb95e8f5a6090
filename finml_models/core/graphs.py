"""Graphs: a node an asset, a snapshot a date, and edges that say until when they looked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .batches import Float, Int, Times, both
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


@dataclass(frozen=True, slots=True)
class Graphs:
    """Row i is the node `node[i]` of the snapshot `snapshot[i]`; a network sees whole snapshots and answers rows.

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

    def __len__(self) -> int:
        return len(self.snapshot)

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
        return self.entities[self.node]

    @property
    def inputs(self) -> Float:
        return self.nodes[self.snapshot, self.node]
