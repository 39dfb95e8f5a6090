"""Integrated gradients of graph networks: copies of a snapshot side by side, contributions by feature and by asset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graph_cases import signature, snapshots

from finml_models.core.estimator import TrainingConfig
from finml_models.core.graphs import Graphs
from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GCN
from finml_models.graph.temporal_gnn.card import TemporalGNNHyperparameters
from finml_models.graph.temporal_gnn.model import TemporalGNN
from finml_models.training.torch_estimator import TorchEstimator

MADE: dict[str, tuple[Any, Any]] = {
    "gcn": (GCN, GCNHyperparameters(hidden=8, dropout=0.0)),
    "gcn without edges": (GCN, GCNHyperparameters(hidden=8, dropout=0.0, edges="none")),
    "temporal_gnn": (TemporalGNN, TemporalGNNHyperparameters(hidden=8, dropout=0.0, snapshots=3)),
}


def fitted(name: str) -> tuple[TorchEstimator[Any], Graphs]:
    """A briefly trained network, and some rows of a later snapshot with absent nodes."""
    cls, hyper = MADE[name]
    batch = replace(snapshots(dates=40), length=3)
    made = cls(hyper, signature().model_copy(update={"length": 3}), TrainingConfig(max_epochs=2, batch_size=32, device="cpu"))
    made.fit(batch.take(np.flatnonzero(batch.snapshot < 30)), batch.take(np.flatnonzero(batch.snapshot >= 30)))
    return made, batch.take(np.flatnonzero(batch.snapshot >= 38))


@pytest.mark.parametrize("name", MADE)
def test_contributions_add_up_by_feature_and_by_asset(name: str) -> None:
    estimator, rows = fitted(name)
    found = estimator.explain(rows)
    features, assets = found.parts
    assert (features.adds, assets.adds) == (True, False)
    np.testing.assert_allclose(found.value, estimator.predict(rows).point[:, 0], rtol=1e-5, atol=1e-6)
    assert (np.abs(found.gap) <= 0.01 * np.abs(features.weights).sum(axis=1) * 3 + 1e-6).all()
    np.testing.assert_allclose(np.nansum(assets.weights, axis=1), features.weights.sum(axis=1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", MADE)
def test_a_row_has_the_same_bits_alone(name: str) -> None:
    estimator, rows = fitted(name)
    among, alone = estimator.explain(rows), estimator.explain(rows.take(np.array([3])))
    for part, own in zip(among.parts, alone.parts, strict=True):
        np.testing.assert_array_equal(own.weights[0], part.weights[3])


def test_neighbours_contribute_over_edges_alone() -> None:
    estimator, rows = fitted("gcn without edges")
    weights = estimator.explain(rows).parts[1].weights
    own = weights[np.arange(len(rows)), rows.node]
    assert (own != 0).all()
    np.testing.assert_allclose(np.nansum(np.abs(weights), axis=1), np.abs(own), rtol=1e-6)
    joined, rows = fitted("gcn")
    weights = joined.explain(rows).parts[1].weights
    others = np.where(np.arange(weights.shape[1]) == rows.node[:, None], 0, weights)
    assert (np.nansum(np.abs(others), axis=1) > 0).any()


def test_assets_that_are_absent_have_no_contribution() -> None:
    estimator, rows = fitted("gcn")
    weights = estimator.explain(rows).parts[1].weights
    np.testing.assert_array_equal(np.isnan(weights), ~rows.present[rows.snapshot])
