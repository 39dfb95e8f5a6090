"""Minibatches of sequences of snapshots: for each date the newest ones up to it, node by node on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .minibatch import Source

if TYPE_CHECKING:
    from torch import Tensor

    from .graph_minibatch import GraphGrid, GraphSource


@dataclass(frozen=True, slots=True)
class GraphSequence:
    """`steps`, oldest first, of the same b × s nodes; answered (n,) the nodes that a network answers, target (n, horizons)."""

    steps: tuple[GraphGrid, ...]
    answered: Tensor
    target: Tensor | None = None


class SequenceSource(Source):
    """The dates of a `GraphSource`, each with the `length` snapshots up to it. Those before the first have no node that is present."""

    def __init__(self, graphs: GraphSource, length: int) -> None:
        self._graphs, self._length, self.device = graphs, length, graphs.device
        self.chunk = max(1, graphs.chunk // length)

    def __len__(self) -> int:
        return len(self._graphs)

    @property
    def samples(self) -> int:
        """Rows of all dates."""
        return self._graphs.samples

    def gather(self, units: Tensor) -> GraphSequence:
        """The sequences that end on these dates (b,), given on the CPU."""
        answered, target = self._graphs.answered(units)
        return GraphSequence(tuple(self._graphs.grid(units, back) for back in reversed(range(self._length))), answered, target)

    def rows(self, units: Tensor) -> Tensor:
        """The rows of the batch on these dates, date by date; on the CPU."""
        return self._graphs.rows(units)
