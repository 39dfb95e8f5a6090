"""Minibatches of snapshots: side by side they are what each is alone, and absent nodes have no part in anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from graph_cases import signature, snapshots

from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig
from finml_models.core.graphs import Graphs
from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GCN
from finml_models.training.checkpoint import training_key
from finml_models.training.graph_minibatch import GraphSource, GraphTensors
from finml_models.training.loop import Loop


def source(graphs: Graphs) -> GraphSource:
    return GraphSource(graphs, torch.from_numpy(graphs.nodes), None if graphs.target is None else torch.from_numpy(graphs.target))


def gathered(graphs: Graphs, *units: int) -> GraphTensors:
    return source(graphs).gather(torch.tensor(units))


def gcn(**settings: Any) -> GCN:
    return GCN(GCNHyperparameters(hidden=8, dropout=0.0), signature(), TrainingConfig(device="cpu", **{"max_epochs": 2, "batch_size": 16, **settings}))


def test_a_snapshot_holds_its_present_nodes_and_the_edges_between_them() -> None:
    graphs = snapshots()
    for unit in range(12):
        held, found = np.flatnonzero(graphs.present[unit]), gathered(graphs, unit)
        np.testing.assert_array_equal(found.nodes, graphs.nodes[unit, held])
        matrix = np.zeros((7, 7), np.float32)
        source, target, weight = graphs.edges.of(int(graphs.graph[unit]))
        matrix[target, source] = weight
        own = np.zeros((len(held), len(held)), np.float32)
        own[found.edge_target, found.edge_source] = found.edge_weight
        np.testing.assert_array_equal(own, matrix[np.ix_(held, held)])
        assert len(found.edge_weight) == np.count_nonzero(own)


def test_snapshots_side_by_side_have_no_edges_between_them() -> None:
    graphs, units = snapshots(), (7, 2, 11)
    together, alone = gathered(graphs, *units), [gathered(graphs, unit) for unit in units]
    before = np.cumsum([0, *(len(one.nodes) for one in alone)])
    np.testing.assert_array_equal(together.nodes, np.concatenate([one.nodes for one in alone]))
    for name in ("edge_source", "edge_target", "answered"):
        shifted = [getattr(one, name).numpy() + offset for one, offset in zip(alone, before, strict=False)]
        np.testing.assert_array_equal(getattr(together, name), np.concatenate(shifted))
    block = np.searchsorted(before, together.edge_source, side="right")
    np.testing.assert_array_equal(block, np.searchsorted(before, together.edge_target, side="right"))


def test_answers_belong_to_the_rows_that_the_source_names() -> None:
    graphs = snapshots()
    some = graphs.take(np.random.default_rng(0).permutation(len(graphs))[:31])
    taken, units = source(some), torch.tensor([3, 0, 5])
    found, rows = taken.gather(units), taken.rows(units)
    np.testing.assert_array_equal(found.nodes[found.answered], some.inputs[rows])
    np.testing.assert_array_equal(found.target, some.target[rows])
    assert sorted(taken.rows(torch.arange(len(taken))).tolist()) == list(range(31))
    assert taken.samples == 31
    assert len(taken) == len(np.unique(some.snapshot))


def test_a_snapshot_is_whole_even_where_few_of_its_rows_are_asked() -> None:
    graphs = snapshots()
    row = int(np.flatnonzero(graphs.snapshot == 4)[1])
    assert len(gathered(graphs.take(np.array([row])), 0).nodes) == graphs.present[4].sum()


def test_an_absent_node_has_no_part_in_any_message() -> None:
    graphs = snapshots()
    changed = replace(graphs, nodes=np.where(graphs.present[:, :, None], graphs.nodes, np.float32(1e6)))
    estimator = gcn().fit(graphs, graphs)
    np.testing.assert_array_equal(estimator.predict(changed).point, estimator.predict(graphs).point)


def test_a_row_of_an_absent_node_is_refused() -> None:
    graphs = snapshots()
    date, node = np.argwhere(~graphs.present)[0]
    with pytest.raises(DataError, match=f"E{node}.*absent"):
        source(replace(graphs, snapshot=np.array([date]), node=np.array([node]), target=None, until=None))


def test_a_later_node_edge_or_graph_changes_nothing_today() -> None:
    graphs = snapshots(dates=20)
    estimator, early = gcn().fit(graphs, graphs), graphs.take(np.flatnonzero(graphs.snapshot < 8))
    number = int(graphs.graph[7])
    edges = graphs.edges
    after = np.arange(len(edges.source)) >= edges.offsets[number + 1]
    assert after.any()
    tampered = replace(
        early,
        nodes=np.where(np.arange(20)[:, None, None] >= 8, np.float32(1e3), graphs.nodes),
        edges=replace(edges, source=np.where(after, edges.target, edges.source), weight=np.where(after, np.float32(9), edges.weight)),
    )
    np.testing.assert_array_equal(estimator.predict(tampered).quantiles, estimator.predict(early).quantiles)


def test_a_step_is_as_large_in_rows_as_the_configuration_says() -> None:
    graphs = snapshots(dates=40, absent=0.0)  # 280 rows
    estimator = gcn()
    for batch_size, steps in ((16, 18), (70, 4), (280, 1), (1, 40)):
        loop = Loop(estimator.network(), estimator.loss, source(graphs), source(graphs), TrainingConfig(batch_size=batch_size, device="cpu"))
        assert loop.steps == steps


def test_a_checkpoint_of_other_nodes_or_edges_is_another_training() -> None:
    graphs = snapshots()
    keys = {
        training_key(gcn(), batch, batch)
        for batch in (
            graphs,
            replace(graphs, nodes=graphs.nodes + 1),
            replace(graphs, edges=replace(graphs.edges, weight=-graphs.edges.weight)),
            replace(graphs, graph=np.zeros_like(graphs.graph)),
            replace(graphs, present=np.ones_like(graphs.present)),
        )
    }
    assert len(keys) == 5
    assert training_key(gcn(), graphs, graphs) in keys
