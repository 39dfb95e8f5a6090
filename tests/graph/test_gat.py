"""Attention over neighbours alone, that depends on who asks, and that can be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from graph_cases import signature, snapshots, tensors, weights
from torch import nn
from torch.nn.functional import cross_entropy
from torch_geometric.nn import GATConv, GATv2Conv

from finml_models.core.estimator import TrainingConfig
from finml_models.graph.gat.card import GATHyperparameters
from finml_models.graph.gat.model import GAT, Network
from finml_models.training.encoder import NumericEncoder

NODES = np.random.default_rng(0).standard_normal((9, 3))
MATRIX = weights(np.random.default_rng(1), 9)
MATRIX[4] = MATRIX[:, 4] = 0  # node 4 stands alone


def network(**hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(GATHyperparameters.model_validate({"dropout": 0.0, "heads": 2, "head_width": 4, **hyperparameters}), signature()).double().eval()


@pytest.mark.parametrize("dynamic", [True, False])
def test_attention_goes_to_neighbours_and_oneself_and_sums_to_one(dynamic: bool) -> None:
    x = replace(tensors(NODES, MATRIX), column=torch.arange(9))
    found = network(dynamic_attention=dynamic).attention(x, 9)
    np.testing.assert_array_equal(found.isnan().numpy(), (MATRIX == 0) & ~np.eye(9, dtype=bool))
    torch.testing.assert_close(found.nansum(dim=1), torch.ones(9).double())
    assert found[4, 4] == 1


def test_who_is_no_neighbour_changes_nothing() -> None:
    net, changed = network(layers=1), NODES.copy()
    changed[0] += 5.0
    moved = (net(tensors(NODES, MATRIX)).point != net(tensors(changed, MATRIX)).point).any(dim=1).numpy()
    np.testing.assert_array_equal(moved, (MATRIX[0] != 0) | (np.arange(9) == 0))


def test_renaming_the_nodes_renames_the_answers() -> None:
    net, order = network(), np.random.default_rng(2).permutation(9)
    first, renamed = net(tensors(NODES, MATRIX)), net(tensors(NODES[order], MATRIX[np.ix_(order, order)]))
    for a, b in zip(first, renamed, strict=True):
        torch.testing.assert_close(b, a[torch.from_numpy(order)])


def test_an_edge_counts_by_its_correlation_unless_it_is_told_not_to() -> None:
    ones = (MATRIX != 0).astype(np.float64)
    assert not torch.allclose(network()(tensors(NODES, MATRIX)).point, network()(tensors(NODES, ones)).point)
    blind = network(edge_features=False)
    torch.testing.assert_close(blind(tensors(NODES, MATRIX)).point, blind(tensors(NODES, ones)).point)


def test_every_parameter_receives_a_gradient() -> None:
    net = network().train()
    output = net(tensors(NODES, MATRIX))
    (output.point.square().sum() + output.quantiles.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def looked_up(layer: type[nn.Module], keys: int = 6) -> float:
    """Accuracy on the dictionary of Brody et al. (section 4.1): each query attends to the node of its own key, and says its value.

    Static attention ranks the keys alike for every query, so it can serve few of them.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    values = torch.from_numpy(np.stack([rng.permutation(keys) for _ in range(400)]))
    eye = torch.eye(keys)
    # Nodes 0 … keys - 1 hold key and value, the others ask for a key; every asker sees every holder.
    holders = torch.cat([eye.expand(400, -1, -1), eye[values]], dim=2)
    askers = torch.cat([eye.expand(400, -1, -1), torch.zeros(400, keys, keys)], dim=2)
    nodes = torch.cat([holders, askers], dim=1)
    source, target = (part.flatten() for part in torch.meshgrid(torch.arange(keys), torch.arange(keys, 2 * keys), indexing="ij"))
    shift = torch.arange(400)[:, None] * 2 * keys
    edges = torch.stack([(source + shift).flatten(), (target + shift).flatten()])
    attend, head = layer(2 * keys, 32, add_self_loops=False), nn.Linear(32, keys)
    optimiser = torch.optim.Adam([*attend.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(250):
        logits = head(attend(nodes.flatten(0, 1), edges).relu()).unflatten(0, (400, 2 * keys))[:, keys:]
        loss = cross_entropy(logits.flatten(0, 1), values.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((logits.argmax(dim=2) == values).float().mean())


def test_the_second_version_looks_up_what_the_first_cannot() -> None:
    assert looked_up(GATv2Conv) > 0.98
    assert looked_up(GATConv) < 0.8


def test_the_card_chooses_the_version() -> None:
    assert all(isinstance(layer, GATv2Conv) for layer in network().layers)
    assert all(isinstance(layer, GATConv) for layer in network(dynamic_attention=False).layers)


def test_an_explanation_names_the_neighbours_of_each_row() -> None:
    batch = snapshots()
    model = GAT(GATHyperparameters(), signature(), TrainingConfig(max_epochs=1, device="cpu")).fit(batch, batch)
    (part,) = model.explain(batch).parts
    assert part.names == tuple(batch.entities)
    np.testing.assert_allclose(np.nansum(part.weights, axis=1), 1, rtol=1e-5)
    for row in range(len(batch)):
        source, target, _ = batch.edges.of(int(batch.graph[batch.snapshot[row]]))
        near = set(source[target == batch.node[row]]) & set(np.flatnonzero(batch.present[batch.snapshot[row]])) | {batch.node[row]}
        assert set(np.flatnonzero(~np.isnan(part.weights[row]))) == near


def test_the_encoder_is_that_of_every_graph_model() -> None:
    batch = snapshots()
    model = GAT(GATHyperparameters(edges="none"), signature())
    source = model.encoder(batch).source(batch, None, torch.device("cpu"), {})
    assert len(source.gather(torch.arange(len(source))).edge_source) == 0
    assert NumericEncoder.of(batch, signature()).state().keys() == model.encoder(batch).state().keys()
