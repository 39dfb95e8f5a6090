"""Standardised graphs with their edges as they are, rewired at random, or left out: the ablations of every graph model."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from finml_models.core.graphs import Graphs

from .encoder import Encoder, NumericEncoder
from .graph_sequence import SequenceSource
from .rewiring import rewired, without

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from finml_models.core.batches import Batch
    from finml_models.core.graphs import Edges

    from .encoder import Shared
    from .minibatch import Source

EdgeChoice = Literal["correlation", "none", "random"]


class GraphEncoder(Encoder):
    """Moments of the nodes, and what edges a network gets to see, in training and in service alike."""

    def __init__(self, nodes: NumericEncoder, edges: EdgeChoice, *, length: int | None = None) -> None:
        """`length` snapshots up to each date where a network reads sequences of them."""
        self._nodes, self._edges, self._length = nodes, edges, length
        self._changed: tuple[weakref.ref[np.ndarray], Edges] | None = None

    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> Source:
        if not isinstance(batch, Graphs):
            raise TypeError(f"batch: a graph model reads graphs, not {type(batch).__name__}")
        found = self._nodes.source(replace(batch, edges=self._seen(batch.edges, len(batch.entities))), target, device, shared)
        return found if self._length is None else SequenceSource(found, self._length)

    def state(self) -> dict[str, NDArray[Any]]:
        return self._nodes.state()

    def _seen(self, edges: Edges, nodes: int) -> Edges:
        """The edges as chosen; a rewiring is kept for as long as the graphs that it was made of."""
        if self._edges == "correlation":
            return edges
        if self._edges == "none":
            return without(edges)
        if self._changed is None or self._changed[0]() is not edges.source:
            self._changed = weakref.ref(edges.source), rewired(edges, nodes)
        return self._changed[1]
