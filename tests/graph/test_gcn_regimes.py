"""GCN as a graph autoencoder: what it embeds, what it gives back, and regimes that only edges show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from graph_cases import edges_of, weights

from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.graphs import WHOLE, Graphs
from finml_models.core.spec import Kind, Objective
from finml_models.datasets.market.switching import switching
from finml_models.evaluation.metrics.clustering import ari
from finml_models.evaluation.metrics.forecast import predictive_log_likelihood
from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GCN, GraphAutoencoder, edge_loss, pooled
from finml_models.tasks.regime_detection import RegimeDetection
from finml_models.training.graph_minibatch import GraphSource, GraphTensors

SETTINGS = TrainingConfig(max_epochs=12, batch_size=64, learning_rate=1e-2, patience=12, device="cpu")


def signature(features: int = 3) -> Signature:
    return Signature(kind=Kind.GRAPHS, objective=Objective.REGIMES, feature_names=tuple(f"x{i}" for i in range(features)), horizons=(1,))


def whole(dates: int = 10, nodes: int = 6, absent: float = 0.3, seed: int = 0) -> Graphs:
    """Random snapshots, a row each, every one with a node or more."""
    rng = np.random.default_rng(seed)
    present = rng.random((dates, nodes)) >= absent
    present[:, 0] = True
    times = np.datetime64("2020-01-01", "us") + np.arange(dates) * np.timedelta64(1, "D")
    return Graphs(
        nodes=np.where(present[:, :, None], rng.standard_normal((dates, nodes, 3)), 0).astype(np.float32),
        present=present,
        times=times,
        entities=np.array([f"E{i}" for i in range(nodes)]),
        edges=edges_of([weights(rng, nodes) for _ in range(2)], times[[0, dates // 2]]),
        graph=(np.arange(dates) >= dates // 2).astype(np.int64),
        snapshot=np.arange(dates),
        node=np.full(dates, WHOLE),
        whole="market",
    )


def gathered(batch: Graphs, rows: list[int]) -> GraphTensors:
    return GraphSource(batch, torch.from_numpy(batch.nodes)).gather(torch.tensor(rows))


def network(seed: int = 0, **hyperparameters: object) -> GraphAutoencoder:
    torch.manual_seed(seed)
    return GraphAutoencoder(GCNHyperparameters.model_validate({"hidden": 8, "latent": 3, **hyperparameters}), signature()).eval()


def test_an_embedding_is_the_mean_of_the_latent_nodes_that_are_there() -> None:
    batch = whole()
    out = network()(gathered(batch, [4, 1]))
    counts = batch.present[[4, 1]].sum(axis=1)
    assert len(out.latent) == counts.sum()
    torch.testing.assert_close(out.embedding, torch.stack([part.mean(dim=0) for part in out.latent.split(counts.tolist())]))
    torch.testing.assert_close(pooled(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 0, 1, 1])), torch.tensor([[1.5], [4.5]]))


def test_a_snapshot_is_embedded_the_same_alone_and_among_others() -> None:
    batch, net = whole(), network()
    together = net(gathered(batch, list(range(10)))).embedding
    for row in (0, 5, 9):
        torch.testing.assert_close(net(gathered(batch, [row])).embedding[0], together[row])


@pytest.mark.parametrize("skip", [True, False])
def test_the_order_of_the_assets_does_not_matter(skip: bool) -> None:
    batch, net, order = whole(), network(skip=skip), np.random.default_rng(1).permutation(6)
    place = np.argsort(order)
    renamed = replace(
        batch,
        nodes=batch.nodes[:, order],
        present=batch.present[:, order],
        edges=replace(batch.edges, source=place[batch.edges.source], target=place[batch.edges.target]),
    )
    torch.testing.assert_close(net(gathered(renamed, [2, 7])).embedding, net(gathered(batch, [2, 7])).embedding)


def test_the_loss_of_the_edges_is_a_mean_over_edges_and_one_over_other_pairs() -> None:
    x = gathered(whole(), [0, 3, 8])
    latent = torch.randn(len(x.nodes), 3, generator=torch.Generator().manual_seed(0))
    edges = set(zip(x.edge_source.tolist(), x.edge_target.tolist(), strict=True))
    joined, apart = [], []
    for i in range(len(latent)):
        for j in range(len(latent)):
            if i != j and x.block[i] == x.block[j]:
                p = torch.sigmoid(latent[i] @ latent[j])
                (joined if (i, j) in edges else apart).append(-torch.log(p if (i, j) in edges else 1 - p))
    expected = (torch.stack(joined).mean() + torch.stack(apart).mean()) / 2
    torch.testing.assert_close(edge_loss(latent, x), expected)


def test_without_edges_there_is_nothing_to_give_back_and_many_pairs_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gathered(whole(), [0, 3, 8])
    latent = torch.randn(len(x.nodes), 3)
    empty = torch.empty(0, dtype=torch.int64)
    assert edge_loss(latent, replace(x, edge_source=empty, edge_target=empty, edge_weight=torch.empty(0))) == 0
    first = gathered(whole(), [0])
    monkeypatch.setattr("finml_models.graph.gcn.model.PAIRS", 1)
    torch.testing.assert_close(edge_loss(latent, x), edge_loss(latent[: len(first.nodes)], first))


@cache
def clustered() -> tuple[Graphs, np.ndarray]:
    """Assets that look alike on all days but for a little noise, joined along a ring or all with all, by regimes of 20 days; returns follow the regime."""
    rng = np.random.default_rng(5)
    dates, nodes = 400, 12
    regime = np.repeat(rng.permutation(np.arange(dates // 20) % 2), 20)
    everybody = np.ones((nodes, nodes)) - np.eye(nodes)
    ring = np.roll(np.eye(nodes), 1, axis=1) + np.roll(np.eye(nodes), -1, axis=1)
    batch = whole(dates, nodes, absent=0.0, seed=6)
    features = batch.nodes[:1] + 0.1 * batch.nodes
    target = (0.01 * 3.0**regime * rng.standard_normal(dates))[:, None].astype(np.float32)
    until = batch.times + np.timedelta64(1, "D")
    return replace(batch, nodes=features, edges=edges_of([ring, everybody], batch.times[[0, 0]]), graph=regime, target=target, until=until), regime


def found_by(edges: str) -> float:
    batch, regime = clustered()
    hyperparameters = GCNHyperparameters(hidden=16, latent=4, dropout=0.0, max_regimes=2, edges=edges)
    first, second, rest = np.split(np.arange(len(regime)), [240, 300])
    model = GCN(hyperparameters, signature(), SETTINGS).fit(batch.take(first), batch.take(second))
    return ari(regime[rest], model.predict(batch.take(rest)).probabilities.argmax(axis=1))


def test_regimes_that_only_the_edges_show_are_found_with_them_and_not_without() -> None:
    assert found_by("correlation") > 0.9
    assert abs(found_by("none")) < 0.3


@cache
def market() -> tuple[Graphs, GCN, np.ndarray]:
    data, task = switching(np.random.default_rng(2), sessions=1600), RegimeDetection()
    batch = task.graphs(task.features(data.frame), task.target(data.frame))
    fitted = GCN(GCNHyperparameters(), task.signature(batch), SETTINGS).fit(batch.take(np.arange(900)), batch.take(np.arange(900, 1100)))
    return batch, fitted, data.regime[np.searchsorted(np.unique(data.frame["time"]), batch.time)]


def test_planted_regimes_of_a_market_are_found() -> None:
    batch, fitted, regime = market()
    rows = np.arange(1100, len(batch))
    test = batch.take(rows)
    found = fitted.predict(test)
    known = batch.target[:1100, 0].astype(np.float64)
    one = [np.full((len(rows), 1), value) for value in (1.0, known.mean(), known.std())]
    own, naive = (predictive_log_likelihood(test.target[:, 0], *law).mean() for law in ((found.probabilities, found.mean, found.std), one))
    assert own > naive + 0.1
    expected = (found.probabilities * found.std).sum(axis=1)
    assert expected[regime[rows] == 1].mean() > 1.5 * expected[regime[rows] == 0].mean()


def test_probabilities_do_not_know_what_comes_after() -> None:
    batch, fitted, _ = market()
    rows = np.arange(1100, 1150)
    after = batch.times > batch.time[rows].max()
    wild = replace(batch, nodes=np.where(after[:, None, None], np.float32(50), batch.nodes))
    np.testing.assert_array_equal(fitted.predict(wild.take(rows)).probabilities, fitted.predict(batch.take(rows)).probabilities)


def test_a_restored_autoencoder_answers_the_same_bits() -> None:
    batch, fitted, _ = market()
    fresh = GCN(fitted.hyperparameters, fitted.signature, SETTINGS)
    fresh.restore(fitted.state())
    ours, theirs = fitted.predict(batch).columns(), fresh.predict(batch).columns()
    assert all(np.array_equal(values, theirs[name]) for name, values in ours.items())
