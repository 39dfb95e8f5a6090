"""A recurrent graph network over stamped snapshots: a GRU whose gates are diffusion convolutions.

The form is that of GConvGRU (Seo et al. 2016) and T-GCN (Zhao et al. 2020); the convolution is DCRNN's (Li et al. 2018, equation 2) in the
direction of the edges, from who leads to who follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from finml_models.training.encoder import NumericEncoder
from finml_models.training.graph_encoder import GraphEncoder
from finml_models.training.heads import ForecastHead, ForecastOutput
from finml_models.training.torch_estimator import TorchEstimator

from .card import TemporalGNNHyperparameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.graph_minibatch import GraphGrid
    from finml_models.training.graph_sequence import GraphSequence


class Diffusion(NamedTuple):
    """D^-1 A by its entries: a node reads the weighted mean of the nodes that point to it, and nothing where none does.

    Shapes: source, target and weight (e,). An edge weighs its |correlation|, as in our GCN.
    """

    source: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def of(cls, grid: GraphGrid) -> Diffusion:
        """The normalised edges of a step."""
        weight = grid.edge_weight.abs()
        total = weight.new_zeros(grid.nodes.shape[0]).index_add_(0, grid.edge_target, weight)
        return cls(grid.edge_source, grid.edge_target, weight / total[grid.edge_target].clamp_min(1e-12))

    def __call__(self, x: Tensor) -> Tensor:
        """(m, f) -> (m, f)"""
        return torch.zeros_like(x).index_add(0, self.target, self.weight[:, None] * x.index_select(0, self.source))


class DiffusionConvolution(nn.Module):
    """Σ_k (D^-1 A)^k X W_k + b over 0 to `hops` edges. Shape: (m, inputs) -> (m, outputs)."""

    def __init__(self, inputs: int, outputs: int, hops: int) -> None:
        super().__init__()
        self.hops = hops
        self.linear = nn.Linear(inputs * (hops + 1), outputs)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, diffusion: Diffusion) -> Tensor:
        reached = [x]
        for _ in range(self.hops):
            reached.append(diffusion(reached[-1]))
        return self.linear(torch.cat(reached, dim=-1))


class Cell(nn.Module):
    """A gated recurrent unit a node whose gates read its neighbourhood. Shape: (m, inputs), (m, hidden) -> (m, hidden)."""

    def __init__(self, inputs: int, hidden: int, hops: int) -> None:
        super().__init__()
        self.gates = DiffusionConvolution(inputs + hidden, 2 * hidden, hops)
        self.candidate = DiffusionConvolution(inputs + hidden, hidden, hops)

    def forward(self, x: Tensor, state: Tensor, diffusion: Diffusion) -> Tensor:
        update, reset = self.gates(torch.cat([x, state], dim=-1), diffusion).sigmoid().chunk(2, dim=-1)
        new = self.candidate(torch.cat([x, reset * state], dim=-1), diffusion).tanh()
        return update * state + (1 - update) * new


class Network(nn.Module):
    """Cells run over the snapshots, oldest first, and a head on the newest state. Shape: GraphSequence -> (b, horizons), (b, horizons, levels).

    A node that is absent on a date keeps the state that it had. The head reads a node's newest features too: its variance is mostly its own.
    """

    def __init__(self, h: TemporalGNNHyperparameters, s: Signature) -> None:
        super().__init__()
        self.recurrent, self.hidden = h.recurrent, h.hidden
        self.cells = nn.ModuleList(Cell(s.features if i == 0 else h.hidden, h.hidden, h.hops) for i in range(h.layers))
        self.dropout = nn.Dropout(h.dropout)
        self.head = ForecastHead(h.hidden + s.features, s)

    def forward(self, x: GraphSequence) -> ForecastOutput:
        newest = x.steps[-1].nodes
        states = [newest.new_zeros(newest.shape[0], self.hidden) for _ in self.cells]
        for step in x.steps if self.recurrent else x.steps[-1:]:
            diffusion, entering = Diffusion.of(step), step.nodes
            for i, cell in enumerate(self.cells):
                states[i] = torch.where(step.present[:, None], cell(entering, states[i], diffusion), states[i])
                entering = states[i]
        return self.head(self.dropout(torch.cat([states[-1], newest], dim=-1).index_select(0, x.answered)))


class TemporalGNN(TorchEstimator[TemporalGNNHyperparameters]):
    """A recurrent graph network over the newest snapshots of each date."""

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> GraphEncoder:
        """Standardised nodes, the edges that the hyperparameters name, and no more snapshots than a row may read."""
        return GraphEncoder(NumericEncoder.of(train, self.signature), self.hyperparameters.edges, length=self._length)

    def restored_encoder(self, state: Mapping[str, NDArray[np.float32]]) -> GraphEncoder:
        return GraphEncoder(NumericEncoder.restore(state, self.signature), self.hyperparameters.edges, length=self._length)

    @property
    def _length(self) -> int:
        return max(1, min(self.hyperparameters.snapshots, self.signature.length))
