from __future__ import annotations

import numpy as np
import pytest

from finml_models.core.errors import DataError
from finml_models.evaluation.statistics import (
    block_length,
    bootstrap_difference,
    bootstrap_interval,
    bootstrap_intervals,
    bootstrap_means,
    inference_length,
)
from finml_models.evaluation.statistics.bootstrap import Scheme


def memory(n: int, coefficient: float, seed: int) -> np.ndarray:
    """(n,) AR(1) of normal shocks."""
    shocks, x = np.random.default_rng(seed).standard_normal(n), np.zeros(n)
    for t in range(1, n):
        x[t] = coefficient * x[t - 1] + shocks[t]
    return x


@pytest.mark.parametrize("scheme", ["stationary", "circular", "moving"])
def test_each_column_has_the_interval_it_has_alone(scheme: Scheme) -> None:
    series = np.stack([memory(300, c, seed) + seed for seed, c in enumerate((0.0, 0.5, 0.9))], axis=1)
    low, high = bootstrap_intervals(series, block=20, seed=3, n=200, scheme=scheme)
    for column in range(3):
        alone = bootstrap_interval(series[:, column], block=20, seed=3, n=200, scheme=scheme)
        assert alone == pytest.approx((low[column], high[column]))
    assert np.allclose((low + high) / 2, series.mean(axis=0))


def test_memory_makes_an_interval_wider_than_percentiles_say() -> None:
    series = memory(500, 0.5, 0)
    low, high = bootstrap_interval(series, seed=1)
    below, above = np.quantile(bootstrap_means(series, block=block_length(series).stationary, seed=1), [0.025, 0.975])
    assert (high - low) > 1.05 * (above - below)
    assert bootstrap_interval(series, seed=1, level=0.5)[0] > low


def test_a_scaled_series_has_a_scaled_interval() -> None:
    series = memory(200, 0.3, 2)
    assert bootstrap_interval(1e-5 * series + 3e-4, seed=1) == pytest.approx(tuple(1e-5 * x + 3e-4 for x in bootstrap_interval(series, seed=1)))


def test_a_block_longer_than_the_series_and_a_constant_one_have_finite_intervals() -> None:
    series = memory(60, 0.5, 1)
    assert np.isfinite(bootstrap_interval(series, block=1000, seed=0)).all()
    assert bootstrap_interval(np.full(60, 2.5), seed=0) == (2.5, 2.5)


def test_blocks_for_inference_are_twice_the_automatic_ones_and_longer_than_two_labels() -> None:
    series = memory(2000, 0.5, 4)
    assert inference_length(series) == pytest.approx(2 * block_length(series).circular)
    assert inference_length(np.random.default_rng(0).standard_normal(2000), horizon=60) == 118
    assert inference_length(series[:100], horizon=60) == 100 // 8
    assert bootstrap_difference(series, np.zeros(2000)).block == int(np.ceil(inference_length(series)))


def test_a_series_with_a_hole_is_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        bootstrap_intervals(np.array([[1.0], [np.nan]]), block=1)
