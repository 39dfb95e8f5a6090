"""Forecasts of quantiles or samples: pinball, CRPS, interval score, coverage, PIT."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.metrics import mean_pinball_loss

from finml_models.evaluation.metrics.forecast import crps, pinball, pit, pit_deviation

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, thorough

LEVEL_SETS = ((0.05, 0.25, 0.5, 0.75, 0.95), (0.1, 0.9), tuple(round(0.05 * i, 2) for i in range(1, 20)))
Levels = Sequence[float]


def quantiles(draw: Draw) -> Inputs:
    return at(LEVEL_SETS[draw.seed % len(LEVEL_SETS)], draw)


def at(levels: Levels, draw: Draw, **settings: object) -> Inputs:
    return {"target": draw.numbers(draw.n), "quantiles": np.sort(draw.numbers(draw.n, len(levels)), axis=1), "levels": levels, **settings}


def samples(draw: Draw) -> Inputs:
    return {"target": draw.numbers(draw.n), "samples": draw.numbers(draw.n, 2 + draw.seed % 9)}


def by_row(row: Callable[[float, list[float], Levels], float]) -> Callable[..., list[float]]:
    def values(target: np.ndarray, quantiles: np.ndarray, levels: Levels) -> list[float]:
        return [float(row(y, q, levels)) for y, q in zip(target.tolist(), quantiles.tolist(), strict=True)]

    return values


def pinballs(y: float, q: list[float], levels: Levels) -> list[float]:
    return [mean_pinball_loss([y], [one], alpha=level) for one, level in zip(q, levels, strict=True)]


def cells(levels: Levels) -> list[float]:
    """The probabilities that are nearest to each level."""
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(levels)), 1.0]
    return [b - a for a, b in pairwise(edges)]


def slow_pinballs(y: float, q: list[float], levels: Levels) -> list[float]:
    return [level * (y - one) if y >= one else (1 - level) * (one - y) for one, level in zip(q, levels, strict=True)]


def slow_interval(y: float, q: list[float], levels: Levels) -> float:
    alpha = 1 - (levels[-1] - levels[0])
    return q[-1] - q[0] + (2 / alpha * (q[0] - y) if y < q[0] else 0) + (2 / alpha * (y - q[-1]) if y > q[-1] else 0)


def slow_pit(y: float, q: list[float], levels: Levels) -> float:
    """The largest probability whose quantile is no larger than y, on straight lines between them."""
    if y < q[0] or y > q[-1]:
        return levels[0] / 2 if y < q[0] else (1 + levels[-1]) / 2
    i = max(i for i, one in enumerate(q) if one <= y)
    return levels[i] if y == q[i] else levels[i] + (levels[i + 1] - levels[i]) * (y - q[i]) / (q[i + 1] - q[i])


def slow_sample_crps(target: np.ndarray, samples: np.ndarray) -> list[float]:
    rows = []
    for y, x in zip(target.tolist(), samples.tolist(), strict=True):
        pairs = [abs(a - b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
        rows.append(sum(abs(a - y) for a in x) / len(x) - sum(pairs) / len(pairs) / 2)
    return rows


def of_distances(target: np.ndarray, samples: np.ndarray) -> list[float]:
    return [float(np.abs(x - y).mean() - pdist(x[:, None]).mean() / 2) for y, x in zip(target, samples, strict=True)]


def gap_of_ecdf(target: np.ndarray, quantiles: np.ndarray, levels: Levels) -> float:
    from statsmodels.distributions.empirical_distribution import ECDF

    return max(abs(float(ECDF(target - column)(0.0)) - level) for column, level in zip(quantiles.T, levels, strict=True))


def between(low: int, high: int) -> Callable[..., pd.Series]:
    return lambda target, quantiles, levels, level=None: pd.Series(target).between(quantiles[:, low], quantiles[:, high])


def normal_share(levels: Levels) -> float:
    return float(np.diff(stats.norm.cdf(stats.norm.ppf([levels[0], levels[-1]])))[0])


Y, THREE = np.array([-0.5, 0.0, 0.9]), (0.1, 0.5, 0.9)
NEAR, FAR = ({"target": Y, "quantiles": np.array([q] * 3), "levels": THREE} for q in ([-1.0, 0.1, 1.0], [4.0, 5.0, 6.0]))
BELOW = Oracle("pandas.DataFrame.gt", lambda target, quantiles, levels, wanted: pd.DataFrame(quantiles[:, [1, 0]]).gt(target, axis=0))

ORACLES = {
    "pinball": Checked(
        quantiles,
        (
            Oracle("sklearn.metrics.mean_pinball_loss", by_row(lambda *row: np.mean(pinballs(*row)))),
            Oracle("loop", by_row(lambda *row: np.mean(slow_pinballs(*row)))),
        ),
        NEAR,
        FAR,
    ),
    "crps": Checked(
        quantiles,
        (
            Oracle("sklearn.metrics.mean_pinball_loss × cell", by_row(lambda y, q, levels: 2 * np.dot(pinballs(y, q, levels), cells(levels)))),
            Oracle("loop", by_row(lambda y, q, levels: 2 * math.fsum(map(math.prod, zip(slow_pinballs(y, q, levels), cells(levels), strict=True))))),
        ),
        NEAR,
        FAR,
    ),
    "crps_of_samples": Checked(samples, (Oracle("scipy.spatial.distance.pdist", of_distances), Oracle("loop over pairs", slow_sample_crps))),
    "coverage": Checked(quantiles, (Oracle("pandas.Series.between", between(0, -1)),)),
    "inside": Checked(partial(at, (0.1, 0.2, 0.5, 0.8, 0.9), level=0.6), (Oracle("pandas.Series.between", between(1, 3)),)),
    "nominal_coverage": Checked(lambda draw: {"levels": LEVEL_SETS[draw.seed % 3]}, (Oracle("scipy.stats.norm between two quantiles", normal_share),)),
    "interval_score": Checked(
        quantiles,
        (
            Oracle(
                "sklearn.metrics.mean_pinball_loss of both ends",
                by_row(lambda y, q, levels: 2 / (1 - levels[-1] + levels[0]) * sum(pinballs(y, [q[0], q[-1]], [levels[0], levels[-1]]))),
            ),
            Oracle("loop", by_row(slow_interval)),
        ),
        NEAR,
        FAR,
    ),
    "pit_deviation": Checked(quantiles, (Oracle("statsmodels ECDF of target - quantile at 0", gap_of_ecdf),), NEAR, FAR),
    "pit": Checked(
        quantiles,
        (
            Oracle("numpy.interp", by_row(lambda y, q, levels: np.interp(y, q, levels, left=levels[0] / 2, right=(1 + levels[-1]) / 2))),
            Oracle("loop", by_row(slow_pit)),
        ),
    ),
    "exceedances": Checked(partial(at, (0.01, 0.05, 0.5), wanted=(0.05, 0.01)), (BELOW,)),
}

NINE = tuple((np.arange(9) + 0.5) / 9)
FIXED = {"target": 6 * lattice(12, 5, 13) - 3, "quantiles": np.sort(4 * lattice(108, 29, 109).reshape(12, 9) - 2, axis=1), "levels": NINE}
FIXED_SAMPLES = {"target": FIXED["target"], "samples": FIXED["quantiles"]}
FINE = tuple((np.arange(2000) + 0.5) / 2000)
NORMAL = {"target": FIXED["target"], "quantiles": np.broadcast_to(0.5 + 1.5 * stats.norm.ppf(FINE), (12, 2000)), "levels": FINE}
# scoringrules 0.10.0 and properscoring 0.1 agree on CRPS to the last digits.
OF_QUANTILES = [0.3229654024761057, 0.6593568397849746, 1.210460283854779, 0.28863796753705007, 1.5619070022739745, 0.46410866288542124]
OF_FAIR = [0.24809848663059686, 0.5844899239394656, 1.1258527405316392, 0.21116600015682574, 1.4772994589508346, 0.3892417470399123]
OF_NORMAL = [0.7099157757879035, 0.6669778029442475, 1.7831473827387248, 0.3697691528358189, 1.3125061699395557, 1.0123788698388099]
OF_NORMAL += [0.46247823450815767, 2.2159516049111487, 0.4898283417567127, 0.957114820061798, 1.3766433606593362, 0.36036487073589646]
OF_INTERVAL = [3.192660550458716, 3.192660550458716, 8.797459421312627, 3.7431192660550456, 15.123500352858146, 3.1926605504587156]

FIGURES = (
    # The two halves of the lattice mirror each other, so do these.
    Figure("crps", "scoringrules 0.10.0: crps_quantile", FIXED, OF_QUANTILES + OF_QUANTILES[::-1]),
    Figure("crps", "properscoring 0.1: crps_gaussian(mu=0.5, sig=1.5)", NORMAL, OF_NORMAL, rtol=1e-3),
    Figure("crps_of_samples", "scoringrules 0.10.0: crps_ensemble(estimator='fair')", FIXED_SAMPLES, OF_FAIR + OF_FAIR[::-1]),
    Figure("interval_score", "scoringrules 0.10.0: interval_score(alpha=1/9)", FIXED, OF_INTERVAL + OF_INTERVAL[::-1]),
    Figure("pinball", "scoringrules 0.10.0: quantile_score, mean", FIXED, 0.3756196799010255),
    Figure("coverage", WORKED, NEAR, [1, 1, 1]),
    Figure("pit_deviation", WORKED, NEAR, 0.5 - 1 / 3),
    Figure("interval_score", WORKED, {"target": np.array([-3.0]), "quantiles": np.array([[-1.0, 0.0, 1.0]]), "levels": THREE}, [2 + 2 / 0.2 * 2]),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_quantiles_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_quantiles_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@given(draw=draws)
@thorough
def test_crps_at_levels_of_equal_mass_is_that_of_the_empirical_distribution(draw: Draw) -> None:
    inputs = at(NINE, draw)
    # Székely's energy distance of one point from a sample: √(2 CRPS).
    wanted = [stats.energy_distance(q, [y]) ** 2 / 2 for y, q in zip(inputs["target"], inputs["quantiles"], strict=True)]
    np.testing.assert_allclose(crps(**inputs), wanted, rtol=1e-9, atol=1e-12)


@given(draw=draws)
def test_half_the_interval_scores_weighted_by_their_tails_are_the_pinball_loss(draw: Draw) -> None:
    inputs = at(THREE, draw)
    y, (low, middle, high) = inputs["target"], inputs["quantiles"].T
    interval = (high - low) + 10 * (np.clip(low - y, 0, None) + np.clip(y - high, 0, None))
    np.testing.assert_allclose(pinball(**inputs), (np.abs(y - middle) / 2 + 0.1 * interval) / 3, rtol=1e-9, atol=1e-12)


def test_crps_of_five_levels_is_three_percent_low_for_a_calibrated_normal() -> None:
    levels = LEVEL_SETS[0]
    # A quantile at its true place loses φ(z) in expectation; the CRPS of a normal against itself is 1/√π.
    expected = 2 * np.dot(stats.norm.pdf(stats.norm.ppf(levels)), cells(levels))
    assert expected * math.sqrt(math.pi) == pytest.approx(0.97, abs=0.001)
    sample = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert crps(sample, np.broadcast_to(stats.norm.ppf(levels), (20_000, 5)), levels).mean() == pytest.approx(expected, rel=1e-3)


@given(draw=draws)
@thorough
def test_the_calibration_gap_is_the_distance_of_the_pit_from_uniform_at_the_levels(draw: Draw) -> None:
    inputs = at(LEVEL_SETS[0], Draw(draw.seed, draw.n, "plain"))
    share = np.mean(pit(**inputs)[:, None] <= np.array(inputs["levels"]), axis=0)
    assert pit_deviation(**inputs) == pytest.approx(np.abs(share - inputs["levels"]).max())


def test_an_outcome_at_a_predicted_quantile_has_its_level_at_both_ends() -> None:
    q = np.array([[1.0, 2.0, 4.0]] * 5 + [[1.0, 1.0, 1.0]])
    assert pit(np.array([1.0, 2.0, 4.0, 0.9, 4.1, 1.0]), q, THREE) == pytest.approx([0.1, 0.5, 0.9, 0.05, 0.95, 0.9])
    assert pit(np.array([0.0, 1.0, 2.0]), np.ones((3, 1)), (0.3,)) == pytest.approx([0.15, 0.3, 0.65])
