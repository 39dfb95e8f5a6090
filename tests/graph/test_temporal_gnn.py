"""A recurrent cell over graphs: lags, direction, order in time, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from graph_cases import edges_of, signature, snapshots
from torch import nn

from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.graphs import Edges, Graphs
from finml_models.graph.temporal_gnn.card import TemporalGNNHyperparameters
from finml_models.graph.temporal_gnn.model import Cell, Diffusion, DiffusionConvolution, TemporalGNN
from finml_models.training.graph_minibatch import GraphGrid, GraphSource
from finml_models.training.graph_sequence import SequenceSource

LENGTH = 4
LAG = 2
NODES = 6


def grid(nodes: torch.Tensor, matrix: np.ndarray) -> GraphGrid:
    """A directed graph: matrix[i, j] is the weight of the edge from j to i."""
    target, source = np.nonzero(matrix)
    weight = torch.from_numpy(matrix[target, source])
    return GraphGrid(nodes, torch.ones(len(nodes), dtype=torch.bool), torch.from_numpy(source), torch.from_numpy(target), weight)


def test_a_convolution_is_the_powers_of_the_normalised_adjacency() -> None:
    matrix = np.triu(np.random.default_rng(0).uniform(0.1, 1, (5, 5)), 1)  # who has a larger number leads
    x, layer = torch.randn(5, 3).double(), DiffusionConvolution(3, 4, hops=2).double()
    normal = torch.from_numpy(np.divide(matrix, matrix.sum(axis=1, keepdims=True), where=matrix.sum(axis=1, keepdims=True) > 0, out=np.zeros_like(matrix)))
    expected = layer.linear(torch.cat([x, normal @ x, normal @ normal @ x], dim=1))
    torch.testing.assert_close(layer(x, Diffusion.of(grid(x, matrix))), expected)


def test_without_edges_the_cell_is_a_gru() -> None:
    torch.manual_seed(0)
    cell, gru = Cell(3, 4, hops=2), nn.GRUCell(3, 4, bias=True)
    with torch.no_grad():
        # Ours reads [x, h] once and h through the reset gate in the candidate: PyTorch's, with the reset on h itself.
        for gate, (ours, rows) in enumerate(((cell.gates, slice(4, 8)), (cell.gates, slice(0, 4)), (cell.candidate, slice(0, 4)))):
            block = slice(4 * gate, 4 * gate + 4)
            gru.weight_ih[block] = ours.linear.weight[rows, :3]
            gru.weight_hh[block] = ours.linear.weight[rows, 3:7]
        gru.bias_ih.zero_()
        gru.bias_hh.zero_()
    x, state = torch.randn(5, 3), torch.zeros(5, 4)
    alone = Diffusion(*(torch.empty(0, dtype=torch.int64),) * 2, torch.empty(0))
    # From a zero state the place of the reset gate makes no difference.
    torch.testing.assert_close(cell(x, state, alone), gru(x, state))


def test_an_edge_is_read_in_its_direction() -> None:
    matrix = np.zeros((3, 3))
    matrix[1, 0] = 1.0  # from 0 to 1
    x, layer = torch.randn(3, 2), DiffusionConvolution(2, 2, hops=1)
    changed = x.clone()
    changed[0] += 1
    moved = (layer(x, Diffusion.of(grid(x, matrix.astype(np.float32)))) != layer(changed, Diffusion.of(grid(changed, matrix.astype(np.float32))))).any(dim=1)
    assert moved.tolist() == [True, True, False]


def planted(dates: int = 500) -> Graphs:
    """Each node's target is what its leader knew `LAG` dates ago; the ring of leaders is the graph."""
    rng = np.random.default_rng(0)
    ring = np.roll(np.eye(NODES), 1, axis=1)  # i is led by i + 1
    values = rng.standard_normal((dates, NODES, 1)).astype(np.float32)
    target, source = np.nonzero(ring)
    times = np.datetime64("2020-01-01", "us") + np.arange(dates) * np.timedelta64(1, "D")
    edges = Edges(np.array([0, NODES]), source, target, np.ones(NODES, np.float32), times[:1])
    snapshot, node = (part.ravel() for part in np.mgrid[LENGTH:dates, 0:NODES])
    led = values[snapshot - LAG, (node + 1) % NODES, 0]
    return Graphs(
        nodes=values,
        present=np.ones((dates, NODES), bool),
        times=times,
        entities=np.array([f"E{i}" for i in range(NODES)]),
        edges=edges,
        graph=np.zeros(dates, np.int64),
        snapshot=snapshot,
        node=node,
        target=led[:, None],
        until=times[snapshot] + np.timedelta64(1, "D"),
        length=LENGTH,
    )


def described(features: int = 1) -> Signature:
    return signature(features).model_copy(update={"horizons": (1,), "length": LENGTH})


@cache
def error(edges: str = "correlation", recurrent: bool = True, shuffled: bool = False) -> float:
    """Squared error on the newest fifth of the planted data, in units of the target's variance."""
    batch = planted()
    if shuffled:
        order = np.random.default_rng(1).permutation(len(batch.times))
        batch = replace(batch, nodes=batch.nodes[order])
    cut = int(len(batch) * 0.8)
    train, test = batch.take(np.arange(cut)), batch.take(np.arange(cut, len(batch)))
    hyperparameters = TemporalGNNHyperparameters.model_validate({"edges": edges, "recurrent": recurrent, "dropout": 0.0, "hops": 1, "hidden": 16})
    config = TrainingConfig(max_epochs=25, batch_size=192, learning_rate=1e-2, device="cpu", patience=25)
    found = TemporalGNN(hyperparameters, described(), config).fit(train, test).predict(test)
    return float(((found.point - test.target) ** 2).mean() / test.target.var())


def test_it_finds_what_a_leader_knew_two_dates_ago() -> None:
    assert error() < 0.1


@pytest.mark.parametrize("without", [{"edges": "none"}, {"recurrent": False}, {"shuffled": True}])
def test_without_edges_time_or_its_order_there_is_nothing_to_find(without: dict[str, object]) -> None:
    assert error(**without) > 0.9


def test_the_wrong_way_round_there_is_nothing_to_find() -> None:
    batch = planted(300)
    back = replace(batch, edges=replace(batch.edges, source=batch.edges.target, target=batch.edges.source))
    cut = int(len(batch) * 0.8)
    hyperparameters = TemporalGNNHyperparameters(dropout=0.0, hops=1, hidden=16)
    config = TrainingConfig(max_epochs=15, batch_size=192, learning_rate=1e-2, device="cpu", patience=15)
    train, test = back.take(np.arange(cut)), back.take(np.arange(cut, len(back)))
    found = TemporalGNN(hyperparameters, described(), config).fit(train, test).predict(test)
    assert ((found.point - test.target) ** 2).mean() > 0.8 * test.target.var()


def model_on(batch: Graphs) -> TemporalGNN:
    config = TrainingConfig(max_epochs=1, device="cpu")
    return TemporalGNN(TemporalGNNHyperparameters(snapshots=3), signature().model_copy(update={"length": LENGTH}), config).fit(batch, batch)


def test_a_later_edge_or_feature_changes_nothing() -> None:
    batch = replace(snapshots(dates=16, absent=0.1), length=LENGTH)
    rows = batch.take(np.flatnonzero(batch.snapshot == 9))
    model = model_on(batch)
    rng = np.random.default_rng(3)
    other = edges_of([np.where(rng.random((7, 7)) < 0.5, 1.0, 0.0) for _ in range(3)], batch.edges.stamped)
    later = np.arange(16) > 9
    nodes = np.where(later[:, None, None], np.float32(1e3), batch.nodes)
    merged = Edges(
        offsets=np.concatenate([batch.edges.offsets, batch.edges.offsets[-1] + other.offsets[1:]]),
        source=np.concatenate([batch.edges.source, other.source]),
        target=np.concatenate([batch.edges.target, other.target]),
        weight=np.concatenate([batch.edges.weight, other.weight]),
        stamped=np.concatenate([batch.edges.stamped, other.stamped]),
    )
    changed = replace(rows, nodes=nodes, edges=merged, graph=np.where(later, batch.graph + 3, batch.graph))
    np.testing.assert_array_equal(model.predict(changed).point, model.predict(rows).point)


def test_a_sequence_holds_the_newest_snapshots_and_marks_what_was_not_there() -> None:
    batch = replace(snapshots(dates=8), length=LENGTH)
    source = SequenceSource(GraphSource(batch, torch.from_numpy(batch.nodes)), 3)
    units = torch.tensor([0, 5])
    sequence = source.gather(units)
    for back, step in zip((2, 1, 0), sequence.steps, strict=True):
        for place, date in enumerate((0 - back, 5 - back)):
            held = step.present[place * 7 : (place + 1) * 7].numpy()
            np.testing.assert_array_equal(held, batch.present[date] if date >= 0 else np.zeros(7, bool))
            if date >= 0:
                np.testing.assert_array_equal(step.nodes[place * 7 : (place + 1) * 7].numpy(), batch.nodes[date])
        assert step.present[step.edge_source].all()
        assert step.present[step.edge_target].all()
    rows = source.rows(units).numpy()
    np.testing.assert_array_equal(sequence.answered.numpy(), batch.node[rows] + 7 * np.searchsorted([0, 5], batch.snapshot[rows]))


def test_it_reads_no_more_snapshots_than_the_use_case_keeps() -> None:
    batch = replace(snapshots(dates=8), length=LENGTH)
    model = TemporalGNN(TemporalGNNHyperparameters(snapshots=60), signature().model_copy(update={"length": LENGTH}))
    source = model.encoder(batch).source(batch, None, torch.device("cpu"), {})
    assert len(source.gather(torch.tensor([5])).steps) == LENGTH


def test_every_parameter_receives_a_gradient() -> None:
    batch = replace(snapshots(), length=LENGTH)
    model = TemporalGNN(TemporalGNNHyperparameters(layers=2), signature().model_copy(update={"length": LENGTH}))
    net = model.network().train()
    output = net(model.encoder(batch).source(batch, None, torch.device("cpu"), {}).gather(torch.arange(8)))
    (output.point.square().sum() + output.quantiles.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())
