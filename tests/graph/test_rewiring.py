"""Random edges of the same degrees: what a graph is compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graph_cases import edges_of, signature, snapshots, weights
from numpy.typing import NDArray

from finml_models.core.estimator import TrainingConfig
from finml_models.core.graphs import Edges
from finml_models.graph.gcn.card import CARD, GCNHyperparameters
from finml_models.graph.gcn.model import GCN
from finml_models.training.rewiring import rewired, without

NODES = 20


def graphs(count: int = 6, share: float = 0.25) -> Edges:
    rng = np.random.default_rng(0)
    return edges_of([weights(rng, NODES, share) for _ in range(count)])


def matrix(edges: Edges, graph: int, nodes: int = NODES) -> NDArray[np.float32]:
    found = np.zeros((nodes, nodes), np.float32)
    source, target, weight = edges.of(graph)
    np.add.at(found, (target, source), weight)
    return found


def test_every_node_keeps_its_number_of_neighbours_and_every_graph_its_weights() -> None:
    true, random = graphs(), rewired(graphs(), NODES)
    np.testing.assert_array_equal(random.offsets, true.offsets)
    np.testing.assert_array_equal(random.stamped, true.stamped)
    for graph in range(6):
        (_, target, weight), (_, other, moved) = true.of(graph), random.of(graph)
        np.testing.assert_array_equal(np.bincount(other, minlength=NODES), np.bincount(target, minlength=NODES))
        np.testing.assert_array_equal(np.sort(moved), np.sort(weight))


def test_a_rewired_graph_is_undirected_without_loops_and_without_double_edges() -> None:
    random = rewired(graphs(), NODES)
    for graph in range(6):
        found = matrix(random, graph)
        np.testing.assert_array_equal(found, found.T)
        assert not found.diagonal().any()
        assert np.count_nonzero(found) == random.offsets[graph + 1] - random.offsets[graph]


def test_neighbours_are_as_random_as_the_degrees_allow() -> None:
    # Two cliques that never met: after the swaps most pairs lie across, as in a random graph of these degrees (10 of 19).
    block = np.kron(np.eye(2), np.ones((10, 10))) - np.eye(NODES)
    random = rewired(edges_of([block] * 30, np.datetime64("2020-01-01", "us") + np.arange(30) * np.timedelta64(1, "D")), NODES)
    across = np.mean([matrix(random, graph)[:10, 10:].sum() * 2 / block.sum() for graph in range(30)])
    assert across == pytest.approx(10 / 19, abs=0.05)


def test_rewiring_repeats_and_another_seed_gives_another_graph() -> None:
    first, again, other = rewired(graphs(), NODES), rewired(graphs(), NODES), rewired(graphs(), NODES, seed=1)
    np.testing.assert_array_equal(first.source, again.source)
    np.testing.assert_array_equal(first.weight, again.weight)
    assert not np.array_equal(first.source, other.source)


def test_a_graph_is_rewired_alike_alone_and_among_others() -> None:
    true, all_of_them = graphs(), rewired(graphs(), NODES)
    for graph in range(6):
        source, target, weight = true.of(graph)
        single = Edges(np.array([0, len(source)]), source, target, weight, true.stamped[graph : graph + 1])
        for one, other in zip(rewired(single, NODES).of(0), all_of_them.of(graph), strict=True):
            np.testing.assert_array_equal(one, other)


def test_graphs_that_cannot_be_rewired_stay_as_they_are() -> None:
    star, whole = np.zeros((5, 5)), np.ones((5, 5)) - np.eye(5)
    star[0, 1:] = star[1:, 0] = 0.5
    fixed = edges_of([star, whole, np.zeros((5, 5))])
    for graph in range(3):
        np.testing.assert_array_equal(matrix(rewired(fixed, 5), graph, 5), matrix(fixed, graph, 5))


def test_stamps_before_1970_and_no_graph_at_all_are_no_trouble() -> None:
    old = replace(graphs(), stamped=np.datetime64("1929-10-24", "us") + np.arange(6) * np.timedelta64(28, "D"))
    assert len(rewired(old, NODES).source) == len(old.source)
    none = Edges(np.array([0]), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, "datetime64[us]"))
    assert len(rewired(none, NODES).source) == 0


def test_without_edges_there_are_as_many_graphs_and_no_edge() -> None:
    empty = without(graphs())
    assert len(empty.offsets) == 7
    assert len(empty.source) == len(empty.target) == len(empty.weight) == 0
    assert all(len(empty.of(graph)[0]) == 0 for graph in range(6))


def fitted(edges: str) -> GCN:
    held = snapshots(dates=30)
    chosen = GCNHyperparameters.model_validate({"hidden": 8, "dropout": 0.0, "edges": edges})
    return GCN(chosen, signature(), TrainingConfig(max_epochs=2, batch_size=32, device="cpu")).fit(held, held)


def test_the_ablations_of_the_card_are_the_two_that_a_graph_is_doubted_with() -> None:
    assert {name: dict(changes) for name, changes in CARD.ablations.items()} == {"no_edges": {"edges": "none"}, "random_edges": {"edges": "random"}}


def test_an_encoder_without_edges_reads_nothing_but_its_own_node() -> None:
    held = snapshots(dates=30)
    row = held.take(np.array([40]))
    others = np.ones(held.nodes.shape[:2], dtype=bool)
    others[held.snapshot[40], held.node[40]] = False
    changed = replace(row, nodes=np.where(others[:, :, None], held.nodes + 1, held.nodes))
    np.testing.assert_array_equal(fitted("none").predict(changed).point, fitted("none").predict(row).point)
    assert not np.array_equal(fitted("correlation").predict(changed).point, fitted("correlation").predict(row).point)


def test_random_edges_are_seen_in_training_and_in_service_alike() -> None:
    held = snapshots(dates=30)
    random = fitted("random")
    by_hand = replace(held, edges=rewired(held.edges, len(held.entities)))
    plain = GCN(GCNHyperparameters(hidden=8, dropout=0.0), signature(), TrainingConfig(max_epochs=2, batch_size=32, device="cpu")).fit(by_hand, by_hand)
    np.testing.assert_array_equal(random.predict(held).point, plain.predict(by_hand).point)
    restored = GCN(random.hyperparameters, signature(), random.config)
    restored.restore(random.state())
    np.testing.assert_array_equal(restored.predict(held).point, random.predict(held).point)
    assert not np.array_equal(random.predict(held).point, fitted("correlation").predict(held).point)
