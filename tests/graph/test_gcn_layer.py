"""The convolution and its network: the paper's formula, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_cases import signature, tensors, weights
from numpy.typing import NDArray

from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GraphConvolution, Network, Propagation

RNG = np.random.default_rng(0)
NODES = RNG.standard_normal((9, 3))
MATRIX = np.abs(weights(RNG, 9))
MATRIX[4] = MATRIX[:, 4] = 0.0  # isolated


def propagation(matrix: NDArray[np.float64]) -> Propagation:
    target, source = np.nonzero(matrix)
    return Propagation.of(*map(torch.from_numpy, (source, target, matrix[target, source])), len(matrix))


def network(seed: int = 0, **hyperparameters: object) -> Network:
    torch.manual_seed(seed)
    return Network(GCNHyperparameters.model_validate({"hidden": 8, **hyperparameters}), signature()).double().eval()


def dense(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """D^-1/2 (A + I) D^-1/2 of Kipf & Welling (2017), equation 2."""
    looped = matrix + np.eye(len(matrix))
    scale = np.diag(looped.sum(axis=1) ** -0.5)
    return scale @ looped @ scale


def test_a_layer_equals_the_dense_formula() -> None:
    layer = GraphConvolution(3, 5).double()
    torch.nn.init.normal_(layer.bias)
    found = layer(torch.from_numpy(NODES), propagation(MATRIX)).detach().numpy()
    np.testing.assert_allclose(found, dense(MATRIX) @ NODES @ layer.weight.detach().numpy() + layer.bias.detach().numpy(), atol=1e-12)


def test_a_layer_in_single_precision_equals_the_dense_formula_to_1e_6() -> None:
    layer = GraphConvolution(3, 5)
    target, source = np.nonzero(MATRIX)
    edges = Propagation.of(torch.from_numpy(source), torch.from_numpy(target), torch.from_numpy(MATRIX[target, source]).float(), 9)
    found = layer(torch.from_numpy(NODES).float(), edges).detach().numpy()
    np.testing.assert_allclose(found, dense(MATRIX) @ NODES @ layer.weight.detach().numpy(), atol=1e-6)


def test_a_sparse_input_gives_what_a_dense_one_gives() -> None:
    layer = GraphConvolution(3, 5).double()
    x = torch.from_numpy(np.where(np.abs(NODES) > 0.5, NODES, 0.0))
    torch.testing.assert_close(layer(x.to_sparse(), propagation(MATRIX)), layer(x, propagation(MATRIX)))


@pytest.mark.parametrize("skip", [True, False])
def test_the_whole_network_is_two_formulas_and_a_linear_head(skip: bool) -> None:
    net = network(skip=skip)
    hidden = NODES
    for number, layer in enumerate(net.convolutions):
        own = NODES @ net.own[number].weight.detach().numpy().T if skip else 0.0
        hidden = np.maximum(dense(MATRIX) @ hidden @ layer.weight.detach().numpy() + layer.bias.detach().numpy() + own, 0)
    read = np.concatenate([hidden, NODES], axis=1) if skip else hidden
    out = read @ net.head.linear.weight.detach().numpy().T + net.head.linear.bias.detach().numpy()
    np.testing.assert_allclose(net(tensors(NODES, MATRIX)).point.detach().numpy(), out.reshape(9, 2, -1)[:, :, 0], atol=1e-10)


@pytest.mark.parametrize("edge_weights", [True, False])
def test_renaming_the_nodes_renames_the_answers(edge_weights: bool) -> None:
    net, order = network(edge_weights=edge_weights), np.random.default_rng(1).permutation(9)
    first, renamed = net(tensors(NODES, MATRIX)), net(tensors(NODES[order], MATRIX[np.ix_(order, order)]))
    for a, b in zip(first, renamed, strict=True):
        torch.testing.assert_close(b, a[torch.from_numpy(order)])


def test_an_isolated_node_is_a_plain_network() -> None:
    net = network()
    x = torch.from_numpy(NODES[4])
    hidden = x
    for layer, own in zip(net.convolutions, net.own, strict=True):
        hidden = torch.relu(hidden @ layer.weight + layer.bias + own(x))
    plain = net.head(torch.cat([hidden, x])[None])
    torch.testing.assert_close(net(tensors(NODES, MATRIX)).point[4], plain.point[0])
    torch.testing.assert_close(net(tensors(NODES, np.zeros((9, 9)))).quantiles[4], plain.quantiles[0])


def test_information_travels_one_edge_a_layer() -> None:
    path = np.diag(np.ones(8), 1)
    for layers in (1, 2, 3):
        net, changed = network(layers=layers), NODES.copy()
        changed[0] += 1.0
        moved = (net(tensors(NODES, path + path.T)).point != net(tensors(changed, path + path.T)).point).any(dim=1)
        assert moved.tolist() == [True] * (layers + 1) + [False] * (8 - layers)


def test_an_edge_counts_by_the_size_of_its_correlation_and_not_by_its_sign() -> None:
    signs = np.where(np.random.default_rng(2).random(MATRIX.shape) < 0.5, -1, 1)
    mirrored = MATRIX * np.triu(signs) + MATRIX * np.triu(signs, 1).T
    assert (mirrored < 0).any()
    torch.testing.assert_close(network()(tensors(NODES, mirrored)).point, network()(tensors(NODES, MATRIX)).point)


def test_without_edge_weights_all_neighbours_count_alike() -> None:
    net, ones = network(edge_weights=False), (MATRIX > 0).astype(np.float64)
    torch.testing.assert_close(net(tensors(NODES, MATRIX)).point, net(tensors(NODES, ones)).point)
    assert not torch.allclose(network()(tensors(NODES, MATRIX)).point, network()(tensors(NODES, ones)).point)


def test_the_propagation_never_blows_up() -> None:
    # The eigenvalues of the normalised matrix lie in (-1, 1], so layers cannot amplify without bound.
    x = torch.from_numpy(NODES)
    for _ in range(200):
        x = propagation(10 * MATRIX)(x)
    assert x.norm() <= np.linalg.norm(NODES) + 1e-9


def test_only_the_answered_nodes_are_answered_in_their_order() -> None:
    net = network()
    torch.testing.assert_close(net(tensors(NODES, MATRIX, [5, 0, 5])).point, net(tensors(NODES, MATRIX)).point[[5, 0, 5]])


def test_every_parameter_receives_a_gradient() -> None:
    net = network().train()
    output = net(tensors(NODES, MATRIX))
    (output.point.square().sum() + output.quantiles.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_a_layer_equals_that_of_pytorch_geometric() -> None:
    geometric = pytest.importorskip("torch_geometric.nn")
    layer, theirs = GraphConvolution(3, 5).double(), geometric.GCNConv(3, 5).double()
    theirs.lin.weight.data = layer.weight.data.T.clone()
    target, source = np.nonzero(MATRIX)
    expected = theirs(torch.from_numpy(NODES), torch.from_numpy(np.stack([source, target])), torch.from_numpy(MATRIX[target, source]))
    torch.testing.assert_close(layer(torch.from_numpy(NODES), propagation(MATRIX)), expected)
