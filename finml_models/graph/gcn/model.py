"""GCN (Kipf & Welling 2017): features averaged over neighbours under symmetric normalisation, then a linear map, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from finml_models.core.errors import NotBuilt
from finml_models.core.estimator import Signature
from finml_models.core.spec import Objective
from finml_models.training.encoder import NumericEncoder
from finml_models.training.graph_encoder import GraphEncoder
from finml_models.training.graph_minibatch import GraphTensors
from finml_models.training.heads import ForecastHead, ForecastOutput
from finml_models.training.torch_estimator import TorchEstimator

from .card import GCNHyperparameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class Propagation(NamedTuple):
    """D^-1/2 (A + I) D^-1/2 by its entries. Shapes: source, target and weight (e,) off the diagonal, own (m,) on it."""

    source: Tensor
    target: Tensor
    weight: Tensor
    own: Tensor

    @classmethod
    def of(cls, source: Tensor, target: Tensor, weight: Tensor, nodes: int) -> Propagation:
        """The normalisation of an undirected graph whose edges stand twice, with weights that are not negative (equation 2).

        D counts a node's weights and its self-loop of weight 1, so that an isolated node keeps its own features unchanged.
        """
        degree = torch.ones(nodes, device=weight.device, dtype=weight.dtype).index_add_(0, target, weight)
        scale = degree.rsqrt()
        return cls(source, target, scale[source] * weight * scale[target], scale.square())

    def __call__(self, x: Tensor) -> Tensor:
        """(m, f) -> (m, f)"""
        return (self.own[:, None] * x).index_add(0, self.target, self.weight[:, None] * x.index_select(0, self.source))


class GraphConvolution(nn.Module):
    """D^-1/2 (A + I) D^-1/2 X W + b, Glorot weights. Shape: (m, inputs) -> (m, outputs); x may be sparse."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, propagation: Propagation) -> Tensor:
        return propagation(x @ self.weight) + self.bias


class Network(nn.Module):
    """Convolutions with ReLU and dropout, then a forecast head on the answered nodes. Shape: GraphTensors -> (b, horizons), (b, horizons, levels).

    An edge counts by its |correlation|: the variances of two assets that mirror each other move together, and a degree of
    mixed signs could vanish. With `skip`, which the paper does not have, every layer adds a linear map of the node's own
    features before its ReLU and the head reads them too: averaging washes them out, and an asset's variance is mostly its own.
    """

    def __init__(self, h: GCNHyperparameters, s: Signature) -> None:
        super().__init__()
        self.edge_weights, self.skip = h.edge_weights, h.skip
        widths = [s.features] + [h.hidden] * h.layers
        self.convolutions = nn.ModuleList(GraphConvolution(*pair) for pair in pairwise(widths))
        self.own = nn.ModuleList(nn.Linear(s.features, h.hidden, bias=False) for _ in range(h.layers * h.skip))
        self.dropout = nn.Dropout(h.dropout)
        self.head = ForecastHead(h.hidden + s.features * h.skip, s)

    def forward(self, x: GraphTensors) -> ForecastOutput:
        weight = x.edge_weight.abs() if self.edge_weights else torch.ones_like(x.edge_weight)
        propagation = Propagation.of(x.edge_source, x.edge_target, weight, len(x.nodes))
        hidden = x.nodes
        for layer, convolution in enumerate(self.convolutions):
            spread = convolution(hidden, propagation)
            hidden = self.dropout((spread + self.own[layer](x.nodes) if self.skip else spread).relu())
        if self.skip:
            hidden = torch.cat([hidden, x.nodes], dim=-1)
        return self.head(hidden.index_select(0, x.answered))


class GCN(TorchEstimator[GCNHyperparameters]):
    """Graph convolutional network over the snapshots of a batch."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature; `NotBuilt` for regimes."""
        if self.signature.objective is not Objective.FORECAST:
            raise NotBuilt(f"gcn: its graph autoencoder for {self.signature.objective.value} is described and not built yet; use it to forecast")
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> GraphEncoder:
        """Standardised nodes, and the edges that the hyperparameters name."""
        return GraphEncoder(NumericEncoder.of(train, self.signature), self.hyperparameters.edges)

    def restored_encoder(self, state: Mapping[str, NDArray[np.float32]]) -> GraphEncoder:
        """The same of a saved state."""
        return GraphEncoder(NumericEncoder.restore(state, self.signature), self.hyperparameters.edges)
