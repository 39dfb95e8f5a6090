"""GCN (Kipf & Welling 2017): features averaged over neighbours under symmetric normalisation, then a linear map, layer by layer.

It forecasts nodes, or, as an autoencoder (Kipf & Welling 2016), embeds whole snapshots, whose clusters are regimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from finml_models.core.errors import DataError
from finml_models.core.estimator import Signature
from finml_models.core.spec import Objective
from finml_models.training.encoder import NumericEncoder
from finml_models.training.graph_encoder import GraphEncoder
from finml_models.training.graph_minibatch import GraphTensors
from finml_models.training.heads import ForecastHead, ForecastOutput
from finml_models.training.regimes import RegimeMixture
from finml_models.training.representation import RegimesAnswer
from finml_models.training.torch_estimator import TorchEstimator

from .card import GCNHyperparameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.training.answers import Answer
    from finml_models.training.rare import Rarity

PAIRS = 4_000_000
"""Pairs of nodes that are compared in a minibatch."""


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


class Convolutions(nn.Module):
    """Convolutions with ReLU and dropout. Shape: GraphTensors -> (m, width).

    An edge counts by its |correlation|: the variances of two assets that mirror each other move together, and a degree of
    mixed signs could vanish. With `skip`, which the paper does not have, every layer adds a linear map of the node's own
    features before its ReLU and the result holds them too: averaging washes them out, and an asset's variance is mostly its own.
    """

    convolutions: nn.ModuleList
    own: nn.ModuleList

    def __init__(self, h: GCNHyperparameters, s: Signature) -> None:
        super().__init__()
        self.edge_weights, self.skip = h.edge_weights, h.skip
        widths = [s.features] + [h.hidden] * h.layers
        self.convolutions = nn.ModuleList(GraphConvolution(*pair) for pair in pairwise(widths))
        self.own = nn.ModuleList(nn.Linear(s.features, h.hidden, bias=False) for _ in range(h.layers * h.skip))
        self.dropout = nn.Dropout(h.dropout)
        self.width = h.hidden + s.features * h.skip

    def spread(self, x: GraphTensors) -> Propagation:
        """The normalised edges of a minibatch."""
        weight = x.edge_weight.abs() if self.edge_weights else torch.ones_like(x.edge_weight)
        return Propagation.of(x.edge_source, x.edge_target, weight, x.nodes.shape[0])

    def encode(self, x: GraphTensors, propagation: Propagation) -> Tensor:
        """What the layers make of every node."""
        hidden = x.nodes
        for layer, convolution in enumerate(self.convolutions):
            spread = convolution(hidden, propagation)
            hidden = self.dropout((spread + self.own[layer](x.nodes) if self.skip else spread).relu())
        return torch.cat([hidden, x.nodes], dim=-1) if self.skip else hidden


class Network(Convolutions):
    """Convolutions, then a forecast head on the answered nodes. Shape: GraphTensors -> (b, horizons), (b, horizons, levels)."""

    def __init__(self, h: GCNHyperparameters, s: Signature) -> None:
        super().__init__(h, s)
        self.head = ForecastHead(self.width, s)

    def forward(self, x: GraphTensors) -> ForecastOutput:
        return self.head(self.encode(x, self.spread(x)).index_select(0, x.answered))


class GraphOutput(NamedTuple):
    """Shapes: embedding (b, latent), one an answered snapshot; latent (m, latent) and nodes (m, f), one a node."""

    embedding: Tensor
    latent: Tensor
    nodes: Tensor


class GraphAutoencoder(Convolutions):
    """Kipf & Welling (2016), not variational: latent nodes Z by convolutions, edges back as σ(Z Z'), and here features back too.

    The paper gives back the edges alone; regimes of a market are in the features of its assets as well, so a small network gives
    these back from each latent node. A snapshot's embedding is the mean of its latent nodes, whatever their number and order.
    """

    def __init__(self, h: GCNHyperparameters, s: Signature) -> None:
        super().__init__(h, s)
        self.latent = GraphConvolution(self.width, h.latent)
        self.features = nn.Sequential(nn.Linear(h.latent, h.hidden), nn.ReLU(), nn.Linear(h.hidden, s.features))

    def forward(self, x: GraphTensors) -> GraphOutput:
        propagation = self.spread(x)
        latent = self.latent(self.encode(x, propagation), propagation)
        return GraphOutput(pooled(latent, _block(x)).index_select(0, x.answered), latent, self.features(latent))


def pooled(latent: Tensor, block: Tensor) -> Tensor:
    """Mean over the nodes of each snapshot. Shapes: (m, d), (m,) -> (b, d)."""
    counts = torch.bincount(block)
    return latent.new_zeros(len(counts), latent.shape[1]).index_add(0, block, latent) / counts[:, None]


def edge_loss(latent: Tensor, x: GraphTensors) -> Tensor:
    """Cross-entropy of σ(z_i z_j) with the edges, a mean over edges plus a mean over pairs without one: most pairs have none.

    Of the first snapshots of the minibatch, as many as have `PAIRS` pairs: minibatches are in random order, and a market of
    hundreds of assets has hundreds of thousands of pairs a day. 0 without any edge.
    """
    block = _block(x)
    counts = torch.bincount(block)
    size = int(counts.max())
    snapshots = min(len(counts), max(1, PAIRS // size**2))
    place = torch.arange(len(block), device=block.device) - (counts.cumsum(0) - counts)[block]
    shown = block < snapshots
    nodes = latent.new_zeros(snapshots, size, latent.shape[1]).index_put((block[shown], place[shown]), latent[shown])
    there = torch.zeros(snapshots, size, dtype=torch.bool, device=block.device)
    there[block[shown], place[shown]] = True
    kept = shown[x.edge_source]
    source, target = x.edge_source[kept], x.edge_target[kept]
    joined = torch.zeros(snapshots, size, size, dtype=torch.bool, device=block.device)
    joined[block[target], place[target], place[source]] = True
    pairs = there[:, :, None] & there[:, None, :] & ~torch.eye(size, dtype=torch.bool, device=block.device)
    logits = nodes @ nodes.mT
    parts = [softplus(sign * logits[chosen]).mean() for sign, chosen in ((-1, joined), (1, pairs & ~joined)) if chosen.any()]
    return torch.stack(parts).mean() if len(source) else latent.new_zeros(())


class GCN(TorchEstimator[GCNHyperparameters]):
    """Graph convolutional network over the snapshots of a batch: forecasts of nodes, or regimes of whole snapshots by an autoencoder."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature."""
        kind = GraphAutoencoder if self._finds_regimes else Network
        return kind(self.hyperparameters, self.signature)

    def loss(self, output: ForecastOutput | GraphOutput, batch: GraphTensors) -> Tensor:
        """The forecast's, or squared error of the features plus `adjacency` times `edge_loss`."""
        if not isinstance(output, GraphOutput):
            return super().loss(output, batch)
        features = mse_loss(output.nodes, batch.nodes)
        return features + self.hyperparameters.adjacency * edge_loss(output.latent, batch) if self.hyperparameters.adjacency else features

    def answer(self, train: Batch, rarity: Rarity | None) -> Answer:
        """Quantiles, or regimes: clusters of the embeddings."""
        return self._regimes() if self._finds_regimes else super().answer(train, rarity)

    def restored_answer(self, state: Mapping[str, NDArray[np.float32]]) -> Answer:
        """The same of a saved state."""
        return self._regimes(RegimeMixture.restore(state)) if self._finds_regimes else super().restored_answer(state)

    def encoder(self, train: Batch) -> GraphEncoder:
        """Standardised nodes, and the edges that the hyperparameters name."""
        return GraphEncoder(NumericEncoder.of(train, self.signature), self.hyperparameters.edges)

    def restored_encoder(self, state: Mapping[str, NDArray[np.float32]]) -> GraphEncoder:
        """The same of a saved state."""
        return GraphEncoder(NumericEncoder.restore(state, self.signature), self.hyperparameters.edges)

    @property
    def _finds_regimes(self) -> bool:
        return self.signature.objective is Objective.REGIMES

    def _regimes(self, mixture: RegimeMixture | None = None) -> RegimesAnswer:
        return RegimesAnswer(self.hyperparameters.latent, self.hyperparameters.max_regimes, self.config.seed, mixture)


def _block(x: GraphTensors) -> Tensor:
    if x.block is None:
        raise DataError("graphs: the minibatch does not say which snapshot a node is of; take it from a `GraphSource`")
    return x.block
