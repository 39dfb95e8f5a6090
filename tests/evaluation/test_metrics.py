from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from finml_models.core.errors import DataError, UnknownName
from finml_models.evaluation.metrics import METRICS, RowLoss, inside, metric, nominal_coverage, score

from .conftest import LEVELS, NORMAL, World

FORECAST_INPUTS = {"target", "point", "quantiles", "levels"}
OF_FORECASTS = [name for name, held in METRICS.items() if isinstance(held, RowLoss) and set(held.inputs) <= FORECAST_INPUTS]

logs = arrays(np.float64, (6, 2), elements=st.floats(-20, 20))


def spread_around(point: np.ndarray) -> np.ndarray:
    return point[..., None] + np.array(NORMAL)


@pytest.mark.parametrize("name", OF_FORECASTS)
@given(target=logs, point=logs, order=st.permutations(range(6)))
def test_rows_are_scored_independently_of_their_order(name: str, target: np.ndarray, point: np.ndarray, order: list[int]) -> None:
    quantiles = spread_around(point)
    values = metric(name).rowwise(target, point, quantiles, LEVELS)
    assert values.shape == (6, 2)
    assert np.array_equal(metric(name).rowwise(target[order], point[order], quantiles[order], LEVELS), values[order])


@pytest.mark.parametrize("name", ["qlike", "log_variance_mse", "coverage"])
@given(target=logs, point=logs)
def test_a_change_of_unit_of_the_variance_changes_no_score(name: str, target: np.ndarray, point: np.ndarray) -> None:
    # A unit is an added constant on the log scale; a power of two keeps the sums exact enough.
    before = metric(name).rowwise(target, point, spread_around(point), LEVELS)
    after = metric(name).rowwise(target + 8, point + 8, spread_around(point + 8), LEVELS)
    if name == "coverage":
        far = np.abs(np.abs(target - point) - NORMAL[-1]) > 1e-9
        assert np.array_equal(before[far], after[far])
    else:
        assert np.allclose(before, after, rtol=1e-9, atol=1e-12)


@given(point=logs, factor=st.floats(0.1, 10))
def test_pinball_scales_with_the_target(point: np.ndarray, factor: float) -> None:
    target, quantiles = point + 0.5, spread_around(point)
    scaled = metric("pinball").rowwise(factor * target, factor * point, factor * quantiles, LEVELS)
    assert np.allclose(scaled, factor * metric("pinball").rowwise(target, point, quantiles, LEVELS), atol=1e-9)


@given(target=logs, error=st.floats(-15, 15).filter(lambda e: abs(e) > 1e-6))
def test_qlike_is_zero_at_the_truth_and_above_it_elsewhere(target: np.ndarray, error: float) -> None:
    q = np.zeros((*target.shape, 5))
    assert np.all(metric("qlike").rowwise(target, target, q, LEVELS) == 0)
    assert np.all(metric("qlike").rowwise(target, target + error, q, LEVELS) > 0)


def test_qlike_equals_its_formula_and_punishes_too_little_variance_more() -> None:
    y, f, q = np.array([[0.3]]), np.array([[-0.4]]), np.zeros((1, 1, 5))
    ratio = np.exp(0.3) / np.exp(-0.4)
    assert metric("qlike").rowwise(y, f, q, LEVELS)[0, 0] == pytest.approx(ratio - np.log(ratio) - 1)
    low, high = (metric("qlike").rowwise(np.zeros((1, 1)), np.full((1, 1), e), q, LEVELS)[0, 0] for e in (-1.0, 1.0))
    assert low > high


def test_qlike_stays_finite_and_keeps_rising_for_absurd_forecasts() -> None:
    f = -np.array([[100.0], [299.0], [301.0], [1e4], [1e9]])
    values = metric("qlike").rowwise(np.zeros_like(f), f, np.zeros((5, 1, 5)), LEVELS)[:, 0]
    assert np.isfinite(np.square(values).sum())
    assert np.all(np.diff(values) > 0)


@pytest.mark.parametrize("name", OF_FORECASTS)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_missing_forecast_is_not_scored(name: str, broken: float) -> None:
    target, point = np.zeros((2, 1)), np.array([[0.0], [broken]])
    with pytest.raises(DataError, match="not finite"):
        metric(name).rowwise(target, point, spread_around(point), LEVELS)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_expected_pinball_is_lowest_at_the_true_quantile(level: float) -> None:
    sample = np.random.default_rng(0).gamma(2.0, size=20_000)
    grid = np.linspace(0.01, 8, 400)
    losses = [metric("pinball").rowwise(sample[:, None], sample[:, None], np.full((len(sample), 1, 1), g), (level,)).mean() for g in grid]
    assert grid[int(np.argmin(losses))] == pytest.approx(np.quantile(sample, level), abs=0.03)


def test_calibrated_quantiles_cover_their_nominal_share(world: World) -> None:
    assert nominal_coverage(LEVELS) == pytest.approx(0.9)
    assert score(world.frame(0.4), "coverage").mean() == pytest.approx(0.9, abs=0.02)
    assert score(world.frame(0.4, spread=0.5), "coverage").mean() < 0.7


def test_an_interval_that_was_not_predicted_cannot_be_covered() -> None:
    with pytest.raises(DataError, match=r"0\.1 and 0\.9"):
        inside(np.zeros((1, 1)), np.zeros((1, 1, 5)), LEVELS, 0.8)
    with pytest.raises(DataError, match="symmetric"):
        nominal_coverage((0.05, 0.5))


def test_an_unknown_metric_names_its_neighbours() -> None:
    with pytest.raises(UnknownName, match="qlike"):
        metric("qlik")


def test_every_metric_explains_itself() -> None:
    assert all(m.id == name and len(m.explanation) > 40 and m.label for name, m in METRICS.items())
