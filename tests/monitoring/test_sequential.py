"""The sequential test may be looked at after every unit: simulated experiments count how often it errs, and how soon it finds what is there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from finml_models.core.errors import DataError
from finml_models.monitoring.guard_rails import ALPHA, evidence_above, slow_limit
from finml_models.monitoring.sequential import FIRST_LOOK, Sequence, blocks, confidence_sequence, randomised, split_sequence

LEVEL = 0.05
EXPERIMENTS = 600
Draw = Callable[[np.random.Generator], Sequence]


def ever_excludes(sequence: Sequence, truth: float = 0.0) -> bool:
    """Whether anybody who looked after every unit would have stopped."""
    seen = ~np.isnan(sequence.low)
    return bool(((sequence.low > truth) | (sequence.high < truth))[seen].any())


def normal(rng: np.random.Generator) -> Sequence:
    return confidence_sequence(rng.standard_normal(1_000))


def skewed_losses(rng: np.random.Generator) -> Sequence:
    """QLIKE of two equally good forecasts of one asset, day by day: the losses have long right tails."""
    d = 1.2 * rng.standard_normal(1_000)
    own, other = (np.exp(e) - e - 1 for e in (d + 0.3 * rng.standard_normal(1_000), d + 0.3 * rng.standard_normal(1_000)))
    return confidence_sequence(own - other)


def overlapping(rng: np.random.Generator, horizon: int = 22) -> Sequence:
    """Labels over 22 dates, in blocks of 22: what is left of their dependence is between neighbouring blocks."""
    noise = rng.standard_normal(300 * horizon + horizon - 1)
    return confidence_sequence(blocks(np.convolve(noise, np.ones(horizon), "valid"), horizon), horizon=horizon)


def rare_events(rng: np.random.Generator, share: float = 0.1, n: int = 8_000) -> Sequence:
    """Brier scores of five events in a hundred, a tenth of the entities with the challenger, both arms alike."""
    p = rng.beta(1, 20, n)
    said = np.clip(p * np.exp(0.3 * rng.standard_normal(n)), 0, 1)
    return split_sequence((said - (rng.random(n) < p)) ** 2, rng.random(n) < share, np.full(n, share))


@pytest.mark.parametrize("draw", [normal, skewed_losses, overlapping, rare_events])
def test_looking_after_every_unit_errs_no_more_often_than_promised(draw: Draw) -> None:
    rng = np.random.default_rng(20_210_306)
    wrong = np.mean([ever_excludes(draw(rng)) for _ in range(EXPERIMENTS)])
    assert wrong <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / EXPERIMENTS)


def test_an_ordinary_interval_looked_at_as_often_errs_many_times_more() -> None:
    """What the sequence is for; were this not so, the test above could not fail."""
    rng = np.random.default_rng(3)

    def fixed() -> Sequence:
        x = rng.standard_normal(1_000)
        t = np.arange(1, 1_001)
        mean = np.cumsum(x) / t
        half = np.where(t < FIRST_LOOK, np.nan, 1.96 / np.sqrt(t))
        return Sequence(mean, mean - half, mean + half, 0.95)

    assert np.mean([ever_excludes(fixed()) for _ in range(200)]) > 4 * LEVEL


def test_overlap_that_is_not_accounted_for_errs_too_often() -> None:
    rng = np.random.default_rng(4)

    def as_if_independent() -> Sequence:
        return confidence_sequence(blocks(np.convolve(rng.standard_normal(221), np.ones(22), "valid"), 1), first=20)

    assert np.mean([ever_excludes(as_if_independent()) for _ in range(100)]) > 0.5


def test_a_difference_of_a_fifth_of_a_deviation_is_found_and_sooner_with_more_units() -> None:
    rng = np.random.default_rng(5)
    found = [confidence_sequence(rng.standard_normal(1_000) - 0.2).high < 0 for _ in range(200)]
    power = {n: np.mean([low[:n].any() for low in found]) for n in (200, 500, 1_000)}
    assert power[1_000] > 0.98
    assert 0.4 < power[200] < power[500]


def test_a_worse_challenger_in_a_tenth_of_the_traffic_is_found() -> None:
    rng = np.random.default_rng(6)

    def one() -> bool:
        arm = rng.random(6_000) < 0.1
        loss = np.clip(0.2 + 0.05 * arm + 0.1 * rng.standard_normal(6_000), 0, 1)
        return bool(np.nanmax(split_sequence(loss, arm, np.full(6_000, 0.1)).low) > 0)

    assert np.mean([one() for _ in range(50)]) > 0.95


def test_pseudo_outcomes_of_a_split_are_unbiased_whatever_the_share_was_when_each_was_served() -> None:
    rng = np.random.default_rng(7)
    share = np.where(np.arange(4_000) < 2_000, 0.1, 0.5)
    means = []
    for _ in range(300):
        arm = rng.random(4_000) < share
        # Entities get easier over time, and the share grew: a plain difference of means would be far off.
        means.append(randomised(np.where(np.arange(4_000) < 2_000, 3.0, 1.0) + 0.5 * arm + rng.standard_normal(4_000), arm, share).mean())
    assert abs(np.mean(means) - 0.5) < 3 * np.std(means) / np.sqrt(300)


def test_it_says_nothing_before_the_first_look_and_waits_longer_for_skewed_losses() -> None:
    rng = np.random.default_rng(8)
    assert np.isnan(confidence_sequence(rng.standard_normal(FIRST_LOOK - 1)).low).all()
    assert not np.isnan(confidence_sequence(rng.standard_normal(200)).low[-1])
    assert np.isnan(confidence_sequence((rng.random(200) < 0.02).astype(float)).low[-1])


def test_a_share_of_nothing_or_everything_is_refused() -> None:
    with pytest.raises(DataError, match="nothing is drawn"):
        randomised(np.ones(3), np.array([True, False, True]), np.array([0.0, 0.5, 0.5]))


def test_a_guard_rail_seldom_stops_a_challenger_that_keeps_it_and_soon_one_that_does_not() -> None:
    rng = np.random.default_rng(9)

    def stopped(rate: float, requests: int, allowed: float = 0.05) -> bool:
        bad = np.cumsum(rng.random(requests) < rate)
        return any(evidence_above(int(k), n, allowed) >= 1 / ALPHA for n, k in enumerate(bad, 1) if n % 3 == 0)

    assert np.mean([stopped(0.05, 600) for _ in range(500)]) <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 500)
    assert np.mean([stopped(0.2, 200) for _ in range(60)]) > 0.9


def test_evidence_is_the_ratio_of_a_mixture_to_the_limit_itself() -> None:
    shares = np.linspace(0.1, 1, 20_001)
    ratio = np.exp(4 * np.log(shares / 0.1) + 16 * np.log(np.maximum(1 - shares, 1e-300) / 0.9))
    assert evidence_above(4, 20, 0.1) == pytest.approx(np.trapezoid(ratio, shares) / 0.9, rel=1e-6)
    assert evidence_above(0, 0, 0.1) == pytest.approx(1.0)


def test_slow_means_slower_than_the_champion_and_than_the_budget() -> None:
    assert slow_limit(30.0, 20.0) == 60.0
    assert slow_limit(None, 20.0) == 20.0
