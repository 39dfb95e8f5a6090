from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from finml_models.core.errors import DataError
from finml_models.evaluation.statistics import bootstrap_interval, bootstrap_means, by_date, diebold_mariano, holm


def overlapping(n: int, horizon: int, repetitions: int, seed: int) -> np.ndarray:
    """(repetitions, n) sums of `horizon` neighbouring shocks: what overlapping labels do to loss differentials."""
    total = np.cumsum(np.random.default_rng(seed).standard_normal((repetitions, n + horizon)), axis=1)
    return total[:, horizon:] - total[:, :-horizon]


@pytest.mark.parametrize("horizon", [1, 5, 22])
def test_a_true_null_is_rejected_about_as_often_as_promised(horizon: int) -> None:
    zeros = np.zeros(750)
    p = np.array([diebold_mariano(row, zeros, horizon=horizon, alternative="less").p for row in overlapping(750, horizon, 2500, seed=horizon)])
    assert 0.03 <= (p < 0.05).mean() <= 0.07
    assert 0.03 <= (p > 0.95).mean() <= 0.07


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_real_difference_is_found(horizon: int) -> None:
    # The mean lies three standard errors below zero: about 90 % power at a one-sided 5 %.
    n = 750
    shift = 3 * horizon / np.sqrt(n)
    p = [diebold_mariano(row - shift, np.zeros(n), horizon=horizon, alternative="less").p for row in overlapping(n, horizon, 400, seed=1)]
    assert (np.array(p) < 0.05).mean() > 0.85


def test_the_classical_variance_over_rejects_where_labels_overlap_much() -> None:
    rows = overlapping(500, 22, 800, seed=3)
    share = {v: np.mean([diebold_mariano(row, np.zeros(500), horizon=22, variance=v).p < 0.05 for row in rows]) for v in ("cosine", "bartlett")}
    assert share["bartlett"] > share["cosine"] + 0.01


@given(seed=st.integers(0, 10_000), horizon=st.integers(1, 10), variance=st.sampled_from(["cosine", "bartlett"]))
def test_swapping_the_models_mirrors_the_test(seed: int, horizon: int, variance: str) -> None:
    a, b = np.random.default_rng(seed).gamma(1.0, size=(2, 120))
    there, back = (diebold_mariano(x, y, horizon=horizon, alternative="less", variance=variance) for x, y in ((a, b), (b, a)))
    assert there.statistic == pytest.approx(-back.statistic)
    assert there.p == pytest.approx(1 - back.p)
    assert there.se == pytest.approx(back.se)


def test_equal_losses_are_no_evidence() -> None:
    loss = np.random.default_rng(0).gamma(1.0, size=100)
    result = diebold_mariano(loss, loss, horizon=5, alternative="less")
    assert (result.statistic, result.p, result.mean) == (0.0, 1.0, 0.0)
    assert result.interval(0.9) == (0.0, 0.0)


def test_the_interval_and_the_p_value_agree() -> None:
    a, b = np.random.default_rng(2).gamma(1.0, size=(2, 300))
    result = diebold_mariano(a, b, horizon=5, alternative="less")
    assert result.interval(1 - 2 * result.p if result.p < 0.5 else 2 * result.p - 1)[0 if result.mean > 0 else 1] == pytest.approx(0, abs=1e-9)


def test_bartlett_equals_the_definition_of_harvey_leybourne_newbold() -> None:
    d = np.random.default_rng(5).standard_normal(200)
    result = diebold_mariano(d, np.zeros(200), horizon=1, variance="bartlett")
    e = d - d.mean()
    rho = (e[1:] @ e[:-1]) / (e @ e)
    assert int(1.1447 * (4 * rho**2 / (1 - rho**2) ** 2 * 200) ** (1 / 3)) == 0, "white noise: the bandwidth must be 0 for this comparison"
    expected = stats.ttest_1samp(d, 0)
    assert result.statistic == pytest.approx(expected.statistic)
    assert result.p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("a", "b"), [(np.zeros(30), np.zeros(31)), (np.full(30, np.nan), np.zeros(30)), (np.zeros(30), np.zeros(30))])
def test_unequal_missing_or_too_few_losses_are_refused(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(DataError, match="date"):
        diebold_mariano(a, b, horizon=22)


def test_entities_of_a_date_are_averaged_first() -> None:
    times = np.array(["2020-01-02", "2020-01-01", "2020-01-02"], dtype="datetime64[us]")
    dates, values = by_date(times, np.array([[1.0, 10.0], [5.0, 50.0], [3.0, 30.0]]))
    assert list(dates) == [times[1], times[0]]
    assert values.tolist() == [[5.0, 50.0], [2.0, 20.0]]


def test_the_bootstrap_covers_the_mean_of_a_dependent_series() -> None:
    rows = overlapping(300, 5, 150, seed=11)
    hits = [low <= 0 <= high for low, high in (bootstrap_interval(row, level=0.9, block=15, seed=i, n=300) for i, row in enumerate(rows))]
    assert 0.8 <= np.mean(hits) <= 0.96


def test_the_bootstrap_resamples_columns_together() -> None:
    series = np.random.default_rng(0).standard_normal((200, 1)) @ np.ones((1, 2)) + [0.0, 5.0]
    means = bootstrap_means(series, block=10, seed=1, n=50)
    assert np.allclose(means[:, 1] - means[:, 0], 5.0)
    assert np.array_equal(means, bootstrap_means(series, block=10, seed=1, n=50))
    assert not np.array_equal(means, bootstrap_means(series, block=10, seed=2, n=50))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_step_by_step(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    rejecting = True
    for rank, index in enumerate(order):
        # The textbook's procedure: stop at the first p above alpha / (m - rank).
        rejecting = rejecting and p_values[index] * (len(p_values) - rank) < 0.05
        assert (adjusted[index] < 0.05) == rejecting
