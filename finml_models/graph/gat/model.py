"""GAT (Veličković et al. 2018) in the order of operations of version 2 (Brody, Alon & Yahav 2022): attention over neighbours, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import elu
from torch_geometric.nn import GATConv, GATv2Conv

from finml_models.core.errors import DataError
from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.graphs import Graphs
from finml_models.training.encoder import NumericEncoder
from finml_models.training.graph_encoder import GraphEncoder
from finml_models.training.heads import ForecastHead, ForecastOutput
from finml_models.training.torch_estimator import TorchEstimator

from .card import GATHyperparameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.graph_minibatch import GraphTensors

CAVEAT = (
    "Attention weights say how the first layer mixed what the assets know of themselves. They are no proof of influence: assets that move "
    "together share their weight at random, and what an asset knows of itself reaches the answer past the attention too."
)


class Network(nn.Module):
    """Attention layers with ELU and dropout, then a forecast head. Shape: GraphTensors -> (b, horizons), (b, horizons, levels).

    The layers are those of torch-geometric: a node attends over its neighbours and itself, and heads are laid side by side. An
    edge enters by its correlation with its sign; the edge to itself by the mean of a node's edges. `skip` is as in our GCN.
    """

    def __init__(self, h: GATHyperparameters, s: Signature) -> None:
        super().__init__()
        self.edge_features, width = h.edge_features, h.heads * h.head_width
        layer = GATv2Conv if h.dynamic_attention else GATConv
        entering = [s.features] + [width] * (h.layers - 1)
        self.layers = nn.ModuleList(
            layer(inputs, h.head_width, h.heads, dropout=h.attention_dropout, edge_dim=1 if h.edge_features else None) for inputs in entering
        )
        self.own = nn.ModuleList(nn.Linear(s.features, width, bias=False) for _ in range(h.layers * h.skip))
        self.dropout = nn.Dropout(h.dropout)
        self.head = ForecastHead(width + s.features * h.skip, s)

    def forward(self, x: GraphTensors) -> ForecastOutput:
        edges, features = self._edges(x)
        hidden = x.nodes
        for i, layer in enumerate(self.layers):
            mixed = layer(hidden, edges, features)
            hidden = self.dropout(elu(mixed + self.own[i](x.nodes) if len(self.own) else mixed))
        if len(self.own):
            hidden = torch.cat([hidden, x.nodes], dim=-1)
        return self.head(hidden.index_select(0, x.answered))

    def attention(self, x: GraphTensors, entities: int) -> Tensor:
        """(b, entities) share of the first layer's attention that an answered node gives to each, mean over heads; NaN where there is no edge."""
        if x.column is None:
            raise DataError("graphs: the minibatch does not say which node is which; take it from a `GraphSource`")
        edges, features = self._edges(x)
        _, (joined, weight) = self.layers[0](x.nodes, edges, features, return_attention_weights=True)
        found = x.nodes.new_full((len(x.nodes), entities), torch.nan)
        found[joined[1], x.column[joined[0]]] = weight.mean(dim=1)
        return found.index_select(0, x.answered)

    def _edges(self, x: GraphTensors) -> tuple[Tensor, Tensor | None]:
        return torch.stack([x.edge_source, x.edge_target]), x.edge_weight[:, None] if self.edge_features else None


class GAT(TorchEstimator[GATHyperparameters]):
    """Graph attention network over the snapshots of a batch."""

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> GraphEncoder:
        """Standardised nodes, and the edges that the hyperparameters name."""
        return GraphEncoder(NumericEncoder.of(train, self.signature), self.hyperparameters.edges)

    def restored_encoder(self, state: Mapping[str, NDArray[np.float32]]) -> GraphEncoder:
        return GraphEncoder(NumericEncoder.restore(state, self.signature), self.hyperparameters.edges)

    def explain(self, batch: Batch) -> Explanation:
        """Whom each asset attended to."""
        if not isinstance(batch, Graphs):
            raise TypeError(f"batch: a graph model reads graphs, not {type(batch).__name__}")
        names = tuple(str(entity) for entity in batch.entities)
        weights = self.read(batch, lambda network, rows: network.attention(rows, len(names)), like=(len(names),))
        part = Attribution(
            "neighbours", names, weights, "share of the attention that went to this asset, itself among them; a row sums to 1, other assets are empty"
        )
        version = "2 (Brody, Alon and Yahav 2022)" if self.hyperparameters.dynamic_attention else "1 (Veličković et al. 2018)"
        return Explanation(f"attention of the first layer, mean over heads, version {version}", CAVEAT, (part,))
