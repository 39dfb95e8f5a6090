"""Groupings: adjusted Rand index, duration, separation of volatility."""

from __future__ import annotations

from itertools import combinations, groupby

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.clustering import ari, next_month_volatility_separation

from .metric_oracles import (
    WORKED,
    Checked,
    Draw,
    Figure,
    Inputs,
    Oracle,
    assert_agrees,
    assert_meets,
    cases,
    draws,
    lattice,
    named,
    positional,
    require,
    thorough,
)


def two_groupings(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    first = draw.rng.integers(0, 1 + draw.seed % 5, draw.n)
    second = np.where(draw.rng.random(draw.n) < 0.5, first, draw.rng.integers(0, 1 + draw.seed % 7, draw.n))
    return first, np.array(list("gfedcba"))[second]


def found(draw: Draw) -> Inputs:
    return dict(zip(("target", "predicted"), two_groupings(draw), strict=True))


def refitted(draw: Draw) -> Inputs:
    return dict(zip(("before", "after"), two_groupings(draw), strict=True))


def stays(draw: Draw) -> Inputs:
    return {"labels": draw.rng.integers(0, 2, draw.n), "entities": np.sort(draw.rng.integers(0, 3, draw.n))}


def regimes(draw: Draw) -> Inputs:
    k = min(2 + draw.seed % 3, draw.n - 1)
    require(k > 1)
    labels = draw.rng.permutation(np.arange(draw.n) % k)
    volatility = np.exp(np.clip(draw.numbers(draw.n), -20, 20) + 0.5 * labels)
    within = pd.Series(np.log(volatility)).groupby(labels).var(ddof=0)
    require(within.max() > 1e-9)
    return {"labels": labels, "next_volatility": volatility}


def slow_ari(a: np.ndarray, b: np.ndarray) -> float:
    """Pairs together in both, in the first, in the second; of them what chance gives is taken off, over the most there could be."""
    pairs = [(a[i] == a[j], b[i] == b[j]) for i, j in combinations(range(len(a)), 2)]
    both, first, second = sum(x and y for x, y in pairs), sum(x for x, _ in pairs), sum(y for _, y in pairs)
    expected, most = first * second / len(pairs), (first + second) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def duration_of_pandas(labels: np.ndarray, entities: np.ndarray) -> float:
    frame = pd.DataFrame({"label": labels, "entity": entities})
    begins = frame.groupby("entity").label.transform(lambda x: x.ne(x.shift())).astype(bool)
    return float(begins.cumsum().value_counts().mean())


def slow_duration(labels: np.ndarray, entities: np.ndarray) -> float:
    lengths = [len(list(run)) for _, run in groupby(zip(labels, entities, strict=True))]
    return sum(lengths) / len(lengths)


def share_of_statsmodels(labels: np.ndarray, next_volatility: np.ndarray) -> float:
    from statsmodels.formula.api import ols

    return float(ols("y ~ C(g)", pd.DataFrame({"y": np.log(next_volatility), "g": labels})).fit().rsquared)


def share_of_scipy(labels: np.ndarray, next_volatility: np.ndarray) -> float:
    groups = [np.log(next_volatility[labels == label]) for label in np.unique(labels)]
    between = stats.f_oneway(*groups).statistic * (len(groups) - 1)
    return float(between / (between + len(labels) - len(groups)))


SAME, MIXED = (np.array(list("xxyy")), np.array(list("xyxy")))
TRUE = np.array([0, 0, 1, 1])
CALM = np.array([0.1, 0.12, 0.4, 0.5])

ORACLES = {
    "ari": Checked(
        found,
        (Oracle("sklearn.metrics.adjusted_rand_score", positional(adjusted_rand_score)), Oracle("loop over pairs", positional(slow_ari))),
        {"target": TRUE, "predicted": SAME},
        {"target": TRUE, "predicted": MIXED},
    ),
    "refit_ari": Checked(
        refitted,
        (Oracle("sklearn.metrics.adjusted_rand_score", positional(adjusted_rand_score)),),
        {"before": TRUE, "after": SAME},
        {"before": TRUE, "after": MIXED},
    ),
    "mean_duration": Checked(stays, (Oracle("pandas.Series.shift within groups", duration_of_pandas), Oracle("loop over runs", slow_duration))),
    "next_month_volatility_separation": Checked(
        regimes,
        (Oracle("statsmodels OLS on the regimes, rsquared", share_of_statsmodels), Oracle("scipy.stats.f_oneway, η² of F", share_of_scipy)),
        {"labels": SAME, "next_volatility": CALM},
        {"labels": MIXED, "next_volatility": CALM},
    ),
}

FIGURES = (
    Figure("ari", WORKED, {"target": np.array([0, 0, 1, 1]), "predicted": np.array([0, 0, 1, 2])}, 4 / 7),
    Figure("mean_duration", WORKED, {"labels": np.array([1, 1, 0, 0, 0]), "entities": np.array(list("aabbb"))}, 2.5),
    Figure("next_month_volatility_separation", WORKED, {"labels": TRUE, "next_volatility": np.exp([0.0, 1.0, 2.0, 3.0])}, 0.8),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_groupings_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_groupings_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@pytest.mark.parametrize(("a", "b"), [([1], [2]), ([1, 1], [3, 3]), ([1, 2], [3, 4]), ([1, 1], [3, 4]), ([1, 2, 3], [1, 1, 1])])
def test_trivial_groupings_score_as_in_scikit_learn(a: list[int], b: list[int]) -> None:
    assert ari(np.array(a), np.array(b)) == adjusted_rand_score(a, b)


def test_the_adjusted_rand_index_of_many_rows_loses_no_pair() -> None:
    # 10⁵ rows have 5·10⁹ pairs, more than 32 bits hold.
    a, b = (np.floor(lattice(100_000, step, 100_003) * 7) for step in (37, 41))
    assert ari(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


@pytest.mark.parametrize(("volatility", "message"), [([0.1, 0.0, 0.2], "no logarithm"), ([0.3] * 3, "equal"), ([0.1] * 10, "equal"), ([0.2] * 7, "equal")])
def test_volatilities_that_are_zero_or_all_equal_are_not_separated(volatility: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        next_month_volatility_separation(np.arange(len(volatility)) % 2, np.array(volatility))
