"""Tests of classifiers and of quantile forecasts: DeLong, McNemar, Kupiec, Christoffersen."""

from __future__ import annotations

from typing import Literal

import numpy as np

from finml_models.evaluation.statistics.arrays import normal_p
from finml_models.evaluation.statistics.classifiers import auc_covariances, discordant_p
from finml_models.evaluation.statistics.value_at_risk import Law, conditional_coverage_tests, coverage_tests, independence_tests

from .experiment import ALPHA, Experiment, Float, Group, Simulate


def delong(positives: int, negatives: int, *, area: float, better: float, correlation: float, size: int = 1) -> Simulate:
    """Two binormal scores of the given areas; `size` cases in a row are copies of one, as several payments of one customer would be."""
    from scipy.special import ndtri

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        lift = np.sqrt(2) * ndtri([better if real else area, area])
        areas, covariance = auc_covariances(scores(rng, runs, positives) + lift[:, None], scores(rng, runs, negatives))
        variance = covariance[:, 0, 0] + covariance[:, 1, 1] - 2 * covariance[:, 0, 1]
        return normal_p((areas[:, 0] - areas[:, 1]) / np.sqrt(variance), "two-sided") < ALPHA

    def scores(rng: np.random.Generator, runs: int, cases: int) -> Float:
        """(runs, 2, cases) standard normal."""
        shared, own = rng.standard_normal((runs, 1, cases // size)), rng.standard_normal((runs, 2, cases // size))
        return np.repeat(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own, size, axis=-1)

    return simulate


def mcnemar(n: int, *, only: float, better: tuple[float, float], method: Literal["mid-p", "exact"] = "mid-p") -> Simulate:
    """`only` is the probability that one classifier alone is right, for both; `better` those of either when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        a, b = better if real else (only, only)
        counts = rng.multinomial(n, [a, b, 1 - a - b], size=runs)
        return discordant_p(counts[:, 0], counts[:, 1], method=method) < ALPHA

    return simulate


def kupiec(n: int, level: float, real_level: float, law: Law = "exact") -> Simulate:
    """Independent exceedances."""
    return lambda rng, runs, real: coverage_tests(rng.binomial(n, real_level if real else level, runs), n, level, law=law)[1] < ALPHA


def clustered(rng: np.random.Generator, runs: int, n: int, level: float, after_one: float) -> np.ndarray:
    """(runs, n) exceedances with this probability, `after_one` the day after one: a Markov chain in its stationary law."""
    draws = rng.random((n, runs))
    hits = np.empty((n, runs), dtype=bool)
    hits[0] = draws[0] < level
    for day in range(1, n):
        hits[day] = draws[day] < np.where(hits[day - 1], after_one, level * (1 - after_one) / (1 - level))
    return hits.T


def independence(n: int, level: float, after_one: float, law: Law = "exact") -> Simulate:
    """Clustered exceedances when real."""
    return lambda rng, runs, real: independence_tests(clustered(rng, runs, n, level, after_one if real else level), law=law)[1] < ALPHA


def conditional_coverage(n: int, level: float, after_one: float, law: Law = "exact") -> Simulate:
    """Half as many exceedances again, clustered, when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        hits = clustered(rng, runs, n, 1.5 * level if real else level, after_one if real else level)
        return conditional_coverage_tests(hits, level, law=law)[1] < ALPHA

    return simulate


def _level(level: float) -> str:
    return f"{level:.0%}".replace("%", " %")


CASES = ((500, 0.01), (1000, 0.01), (500, 0.05), (1000, 0.05))
MORE = {(500, 0.01): 0.03, (1000, 0.01): 0.023, (500, 0.05): 0.085, (1000, 0.05): 0.075}
"""True rate of exceedances that Kupiec's test must find."""
AFTER = {(500, 0.01): 0.4, (1000, 0.01): 0.25, (500, 0.05): 0.2, (1000, 0.05): 0.15}
"""Probability of an exceedance after one that Christoffersen's tests must find."""

EXPERIMENTS = (
    Experiment(
        name="delong",
        test="DeLong",
        null="50 and 50 cases, both AUC 0.76, scores correlated 0.6",
        alternative="AUC 0.88 against 0.76",
        simulate=delong(50, 50, area=0.76, better=0.88, correlation=0.6),
    ),
    Experiment(
        name="delong-rare",
        test="DeLong",
        null="30 positives in 1,030 cases, both AUC 0.85, scores correlated 0.6",
        alternative="AUC 0.94 against 0.85",
        simulate=delong(30, 1000, area=0.85, better=0.94, correlation=0.6),
        share=0.5,
    ),
    Experiment(
        name="mcnemar",
        test="McNemar, mid-p",
        null="200 cases, either alone right in 10 %",
        alternative="15 % against 5 %",
        simulate=mcnemar(200, only=0.1, better=(0.15, 0.05)),
    ),
    Experiment(
        name="mcnemar-few",
        test="McNemar, mid-p",
        null="100 cases, either alone right in 5 %",
        alternative="12 % against 1 %",
        simulate=mcnemar(100, only=0.05, better=(0.12, 0.01)),
    ),
    *(
        Experiment(
            name=f"kupiec-{n}-{level:.0%}".rstrip("%"),
            test=f"Kupiec, {_level(level)}",
            null=f"n {n}, independent exceedances",
            alternative=f"{MORE[n, level]:.1%} of exceedances".replace("%", " %"),
            simulate=kupiec(n, level, MORE[n, level]),
        )
        for n, level in CASES
    ),
    *(
        Experiment(
            name=f"christoffersen-{n}-{level:.0%}".rstrip("%"),
            test=f"Christoffersen independence, {_level(level)}",
            null=f"n {n}, independent exceedances",
            alternative=f"probability {AFTER[n, level]:g} after an exceedance",
            simulate=independence(n, level, AFTER[n, level]),
            power=(0.5, 1.0),
            share=5.0,
        )
        for n, level in CASES
    ),
    *(
        Experiment(
            name=f"conditional-{n}-{level:.0%}".rstrip("%"),
            test=f"Christoffersen conditional coverage, {_level(level)}",
            null=f"n {n}, independent exceedances",
            alternative=f"{_level(1.5 * level) if level > 0.01 else '1.5 %'} of exceedances, probability {AFTER[n, level]:g} after one",
            simulate=conditional_coverage(n, level, AFTER[n, level]),
            power=(0.5, 1.0),
        )
        for n, level in CASES
    ),
    Experiment(
        name="mcnemar-exact",
        test="McNemar, exact",
        null="100 cases, either alone right in 5 %",
        alternative="12 % against 1 %",
        simulate=mcnemar(100, only=0.05, better=(0.12, 0.01), method="exact"),
        group=Group.CLASSICAL,
        reason="a discrete test that never rejects more than 5 % rejects less",
    ),
    Experiment(
        name="kupiec-500-1-chi",
        test="Kupiec, 1 %, chi-square law",
        null="n 500, independent exceedances",
        alternative="3.0 % of exceedances",
        simulate=kupiec(500, 0.01, 0.03, "chi-square"),
        group=Group.CLASSICAL,
        reason="an approximation for many exceedances, with five of them",
    ),
    *(
        Experiment(
            name=f"christoffersen-{n}-{level:.0%}".rstrip("%") + "-chi",
            test=f"Christoffersen independence, {_level(level)}, chi-square law",
            null=f"n {n}, independent exceedances",
            alternative=f"probability {AFTER[n, level]:g} after an exceedance",
            simulate=independence(n, level, AFTER[n, level], "chi-square"),
            group=Group.CLASSICAL,
            reason="an approximation for many pairs of exceedances",
        )
        for n, level in ((500, 0.01), (1000, 0.05))
    ),
    Experiment(
        name="kupiec-250-1",
        test="Kupiec, 1 %",
        null="n 250, independent exceedances",
        alternative="4.0 % of exceedances",
        simulate=kupiec(250, 0.01, 0.04),
        group=Group.LIMIT,
        reason="no exceedance at all has a probability of 8 %, so that the next larger size is 9.4 %; use two years",
    ),
    Experiment(
        name="delong-customers",
        test="DeLong",
        null="100 and 1,000 cases, two a customer with equal scores",
        alternative="AUC 0.94 against 0.85",
        simulate=delong(100, 1000, area=0.85, better=0.94, correlation=0.6, size=2),
        share=0.5,
        group=Group.LIMIT,
        reason="cases must be independent; take one a customer",
    ),
)
