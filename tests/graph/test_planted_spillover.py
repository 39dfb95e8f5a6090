"""Variance that travels along a known graph: the true edges pay, and edges that are not there do not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from finml_models.core.batches import Batch
from finml_models.core.estimator import TrainingConfig
from finml_models.core.graphs import Graphs
from finml_models.datasets.market.spillover import spillover
from finml_models.evaluation import splits
from finml_models.evaluation.backtest import long_form
from finml_models.evaluation.ceiling import known_best
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.statistics import by_date, diebold_mariano
from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GCN
from finml_models.tasks.cross_asset_effects import CrossAssetEffects

CONFIG = TrainingConfig(max_epochs=12, learning_rate=1e-2, patience=4, batch_size=128, device="cpu")
PLANTED = {"entities": 24, "sessions": 1200, "degree": 2, "own": 0.2, "comovement": 0.7}


@cache
def parts(spill: float) -> tuple[Batch, Batch, Batch, float]:
    """Training, validation and test rows, and the QLIKE of the truth on the test rows."""
    task, planted = CrossAssetEffects(), spillover(np.random.default_rng(0), spill=spill, **PLANTED)
    batch = task.graphs(task.features(planted.frame), task.target(planted.frame))
    folds = splits.of_task(CrossAssetEffects, batch)
    train, valid, test = (batch.take(rows) for rows in (folds[0].train, folds[0].valid, np.concatenate([fold.test for fold in folds])))
    nothing = GCN(GCNHyperparameters(), task.signature(batch), CONFIG.model_copy(update={"max_epochs": 0})).fit(train, valid).predict(test)
    frame = long_form(test, nothing, task.horizons, 0, 0)
    return train, valid, test, known_best(CrossAssetEffects, planted.truth(task.horizons), frame)[0].value


@cache
def losses(spill: float, edges: str) -> NDArray[np.float64]:
    """QLIKE of each test date, mean over assets and horizons."""
    train, valid, test, _ = parts(spill)
    chosen = GCNHyperparameters.model_validate({"edges": edges, "dropout": 0.0})
    found = GCN(chosen, CrossAssetEffects().signature(train), CONFIG).fit(train, valid).predict(test)
    assert test.target is not None
    return by_date(test.time, metric("qlike").function(test.target, found.point).mean(axis=1, keepdims=True))[1][:, 0]


@pytest.mark.parametrize("ablation", ["none", "random"])
def test_true_edges_beat_no_edges_and_random_edges_where_variance_spills_over(ablation: str) -> None:
    true, other = losses(0.75, "correlation"), losses(0.75, ablation)
    assert true.mean() < 0.95 * other.mean()
    assert diebold_mariano(true, other, horizon=5, alternative="less").p < 0.001


def test_true_edges_bring_nothing_where_nothing_spills_over() -> None:
    true, none = losses(0.0, "correlation"), losses(0.0, "none")
    assert true.mean() == pytest.approx(none.mean(), rel=0.03)


def test_no_forecast_beats_the_truth_and_the_true_edges_go_most_of_the_way() -> None:
    best = parts(0.75)[3]
    values = {edges: losses(0.75, edges).mean() for edges in ("correlation", "none", "random")}
    assert all(value > best for value in values.values())
    assert values["correlation"] - best < 0.65 * (values["none"] - best)


def test_the_correlation_graph_is_mostly_the_planted_one() -> None:
    batch = parts(0.75)[2]
    assert isinstance(batch, Graphs)
    planted = spillover(np.random.default_rng(0), spill=0.75, **PLANTED).adjacency
    source, target, weight = batch.edges.of(len(batch.edges.stamped) - 1)
    mine = planted[target, source]
    assert mine.sum() == planted.sum()
    assert np.abs(weight[mine]).min() > np.abs(weight[~mine]).max()
