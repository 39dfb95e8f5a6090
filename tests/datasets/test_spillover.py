"""Planted spillovers: the process is the one that is said, and its truth is the best forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finml_models.datasets.market import schema
from finml_models.datasets.market.spillover import Spillover, spillover
from finml_models.evaluation.metrics import metric


@pytest.fixture(scope="module")
def planted() -> Spillover:
    return spillover(np.random.default_rng(0), sessions=3000)


def test_the_frame_is_a_raw_market_frame_and_a_seed_says_it_all(planted: Spillover) -> None:
    schema.check(planted.frame)
    pd.testing.assert_frame_equal(spillover(np.random.default_rng(0), sessions=3000).frame, planted.frame)


def test_the_graph_is_undirected_without_loops_and_regular(planted: Spillover) -> None:
    np.testing.assert_array_equal(planted.adjacency, planted.adjacency.T)
    assert not planted.adjacency.diagonal().any()
    assert (planted.adjacency.sum(axis=1) == 4).all()


def test_least_squares_on_the_true_states_gives_the_matrix_back(planted: Spillover) -> None:
    state = planted.log_variance - planted.mean
    found = np.linalg.lstsq(state[:-1], state[1:], rcond=None)[0].T
    np.testing.assert_allclose(found, planted.matrix, atol=0.1)
    assert (np.abs(found - planted.matrix) < 0.04).mean() > 0.9


def test_realised_variance_is_unbiased_for_the_true_one(planted: Spillover) -> None:
    wide = planted.frame.pivot_table(index="time", columns="entity", values="realised_variance").to_numpy()
    assert (wide / np.exp(planted.log_variance)).mean() == pytest.approx(1.0, abs=0.01)
    returns = np.diff(np.log(planted.frame.pivot_table(index="time", columns="entity", values="close").to_numpy()), axis=0)
    assert (returns**2 / np.exp(planted.log_variance[1:])).mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_simple_change_of_the_truth_forecasts_better(planted: Spillover, horizon: int) -> None:
    variance = planted.frame.pivot_table(index="time", columns="entity", values="realised_variance").to_numpy()
    target = np.log(np.stack([variance[1 + k : len(variance) - horizon + 1 + k] for k in range(horizon)]).mean(axis=0))
    truth = planted.truth((horizon,))["point"].to_numpy().reshape(24, -1).T[:-horizon]
    qlike = metric("qlike").function
    best = qlike(target, truth).mean()
    for other in (truth + 0.03, truth - 0.03, 0.8 * truth + 0.2 * truth.mean(), truth.mean(axis=1, keepdims=True) * np.ones_like(truth)):
        assert best < qlike(target, other).mean()


def test_a_process_that_explodes_and_a_graph_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        spillover(np.random.default_rng(0), own=0.5, spill=0.5)
    with pytest.raises(ValueError, match="even number"):
        spillover(np.random.default_rng(0), entities=7)
