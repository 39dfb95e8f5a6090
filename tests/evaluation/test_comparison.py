"""Differences of certainty equivalents: a bootstrap that keeps its promises on equal strategies and finds real differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finml_models.core.errors import DataError
from finml_models.evaluation.comparison import certainty_equivalent_difference, versus
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.metrics.returns import certainty_equivalent
from finml_models.evaluation.statistics import block_length
from finml_models.evaluation.statistics.bootstrap import blocks
from finml_models.evaluation.strategy_section import MULTIPLES


def pairs(seed: int, n: int = 500, *, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated daily returns with fat tails; the first mean is larger by `gap`, and both equivalents are equal without it."""
    z = np.random.default_rng(seed).standard_t(5, (n, 2)) / np.sqrt(5 / 3)
    return 0.0005 + gap + 0.01 * z[:, 0], 0.0005 + 0.01 * (0.6 * z[:, 0] + 0.8 * z[:, 1])


def test_equal_certainty_equivalents_are_told_apart_about_as_often_as_promised() -> None:
    found = [certainty_equivalent_difference(*pairs(seed), seed=seed, replicates=400) for seed in range(600)]
    assert 0.03 <= np.mean([d.p < 0.05 for d in found]) <= 0.075
    assert 0.03 <= np.mean([d.p > 0.95 for d in found]) <= 0.075
    assert 0.86 <= np.mean([d.low <= 0 <= d.high for d in found]) <= 0.93


def test_a_mean_that_only_pays_for_more_risk_is_no_difference() -> None:
    # Variances of 1 and 4 e-4 and γ = 3: the second needs 4.5 e-4 more a day to be as good.
    rng = np.random.default_rng(0)
    rejected = 0
    for seed in range(300):
        z = rng.standard_normal((500, 2))
        rejected += certainty_equivalent_difference(4.5e-4 + 0.02 * z[:, 0], 0.01 * z[:, 1], seed=seed, replicates=400).p < 0.05
    assert rejected / 300 < 0.09


def test_a_difference_of_four_standard_errors_is_found() -> None:
    gap = 4 * 0.01 * np.sqrt(0.8) / np.sqrt(500)
    assert np.mean([certainty_equivalent_difference(*pairs(seed, gap=gap), seed=seed, replicates=400).p < 0.05 for seed in range(100)]) > 0.9


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), risk_aversion=st.floats(0.5, 10), periods=st.sampled_from([52, 252]))
def test_the_difference_is_that_of_the_metric(seed: int, risk_aversion: float, periods: int) -> None:
    a, b = pairs(seed, 60)
    found = certainty_equivalent_difference(a, b, risk_aversion=risk_aversion, periods=periods, replicates=100)
    assert found.value == pytest.approx(certainty_equivalent(a, risk_aversion, periods) - certainty_equivalent(b, risk_aversion, periods))
    back = certainty_equivalent_difference(b, a, risk_aversion=risk_aversion, periods=periods, replicates=100)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_replicates_are_certainty_equivalents_of_resampled_dates() -> None:
    a, b = pairs(6, 60)
    a, b = 10 * a, 10 * b
    found = certainty_equivalent_difference(a, b, level=0.8, seed=3, replicates=50)
    e = np.stack([a - a.mean(), b - b.mean()]) ** 2 * 1.5 * 60 / 59
    length = block_length((a - e[0]) - (b - e[1])).stationary
    starts, lengths = blocks(np.random.default_rng(3), 60, 50, block=length)
    rows = [np.concatenate([(s + np.arange(k)) % 60 for s, k in zip(*row, strict=True)]) for row in zip(starts, lengths, strict=True)]
    away = [certainty_equivalent(a[row]) - certainty_equivalent(b[row]) - found.value for row in rows]
    assert found.high - found.value == pytest.approx(np.quantile(np.abs(away), 0.8), rel=1e-9)
    assert found.p == (1 + np.sum(np.array(away) >= found.value)) / 51


def test_neighbouring_dates_that_move_together_widen_the_interval() -> None:
    a, b = pairs(1, 1000)
    slow = np.convolve(np.random.default_rng(2).standard_normal(1020), np.ones(20), "valid")[:1000] * 0.002
    shuffled = np.random.default_rng(3).permutation(slow)
    width = [d.high - d.low for d in (certainty_equivalent_difference(0.1 * a + s, 0.1 * b) for s in (slow, shuffled))]
    assert width[0] > 2.5 * width[1]


def test_series_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(DataError, match="equal length"):
        certainty_equivalent_difference(np.zeros(50), np.zeros(49))
    with pytest.raises(DataError, match="too few"):
        certainty_equivalent_difference(np.zeros(39), np.zeros(39))
    with pytest.raises(DataError, match="level is 1"):
        certainty_equivalent_difference(*pairs(0), level=1.0)


def test_each_multiple_of_the_costs_is_compared_on_its_own() -> None:
    a, b = pairs(4)
    found = versus(lambda multiple: a - 1e-4 * multiple, lambda multiple: b - 2e-4 * multiple, name="other", replicates=200)
    assert [at.multiple for at in found.at] == list(MULTIPLES)
    assert [at.mean.value for at in found.at] == pytest.approx([252 * ((a - b).mean() + 1e-4 * multiple) for multiple in MULTIPLES])
    ps = [at.mean.p for at in found.at]
    assert ps == sorted(ps, reverse=True)


def test_the_error_of_a_trials_sharpe_ratio_is_that_of_repetitions() -> None:
    rng = np.random.default_rng(5)
    samples = 0.3 + rng.gamma(2.0, size=(4000, 250)) - 2
    values, variances = np.array([(rows.mean(), rows.var()) for rows in (metric("period_sharpe").rows({"net": r}) for r in samples)]).T
    assert values == pytest.approx(samples.mean(axis=1) / samples.std(axis=1, ddof=1))
    assert np.sqrt(variances / 250).mean() == pytest.approx(values.std(), rel=0.05)
    for constant, message in ((np.zeros(9), "never trades"), (np.full(9, 0.01), "no volatility")):
        with pytest.raises(DataError, match=message):
            metric("period_sharpe").rows({"net": constant})
