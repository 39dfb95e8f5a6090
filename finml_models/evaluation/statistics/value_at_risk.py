"""Are the exceedances of a quantile forecast as many as promised, and do they come at random? Kupiec and Christoffersen.

All three are likelihood ratios whose chi-square law is an approximation, and a rough one where exceedances are few. The
default is the statistic's exact law, given what the null leaves open, with the observed outcome counted half (mid-p). It
can be written down: a sequence of hits enters only through the number of hits, of runs of hits, and its two ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Float, events, probability

Law = Literal["exact", "chi-square"]


@dataclass(frozen=True, slots=True)
class ExceedanceResult:
    """`statistic` is the likelihood ratio; `exceedances` of `n`, where `expected` were promised (those observed, for independence alone)."""

    statistic: float
    p: float
    exceedances: int
    expected: float
    n: int


def kupiec(hits: ArrayLike, level: float, *, law: Law = "exact") -> ExceedanceResult:
    """Test that exceedances (n,), 0 or 1 by date, come with probability `level`: the proportion of failures.

    Kupiec, Journal of Derivatives 3(2), 1995: LR = 2 log of the likelihood at the observed share over that at `level`,
    chi-square with 1 degree of freedom. The exact law is the binomial's.
    """
    h, level = events("kupiec", hits), probability("kupiec", "level", level)
    n, x = len(h), int(h.sum())
    statistic, p = coverage_tests(np.array([x]), n, level, law=law)
    return ExceedanceResult(float(statistic[0]), float(p[0]), x, n * level, n)


def christoffersen(hits: ArrayLike, level: float | None = None, *, law: Law = "exact") -> ExceedanceResult:
    """Test that an exceedance is no likelier the day after one and, where `level` is given, that it comes with that probability.

    Christoffersen, International Economic Review 39(4), 1998: LR_ind against a first-order Markov chain (1 degree of
    freedom), and the test of conditional coverage LR_cc = LR_uc + LR_ind (2 degrees of freedom), LR_uc being Kupiec's. The
    exact law of LR_ind is that over all orders of the observed hits, that of LR_cc over all sequences of independent hits.

    Labels must not overlap: pass every h-th date for a horizon of h, or the test finds the overlap.
    """
    h = events("christoffersen", hits)
    if level is not None:
        probability("christoffersen", "level", level)
    n, x = len(h), int(h.sum())
    statistic, p = independence_tests(h[None], law=law) if level is None else conditional_coverage_tests(h[None], level, law=law)
    return ExceedanceResult(float(statistic[0]), float(p[0]), x, float(x) if level is None else n * level, n)


def coverage_tests(counts: NDArray[np.int64], n: int, level: float, *, law: Law = "exact") -> tuple[Float, Float]:
    """Kupiec's statistics and p-values (r,) of many counts of exceedances (r,) out of `n` dates."""
    from scipy.stats import binom

    every = np.arange(n + 1)
    table = _coverage_ratio(every, n, level)
    statistic = table[counts]
    return statistic, _chi_square(statistic, 1) if law == "chi-square" else _tail(table, binom.pmf(every, n, level), statistic)


def independence_tests(hits: NDArray[np.bool_], *, law: Law = "exact") -> tuple[Float, Float]:
    """Christoffersen's LR_ind and its p-values (r,) of many sequences of hits (r, n)."""
    statistic, counts = _observed_ratio(hits), hits.sum(axis=1)
    if law == "chi-square":
        return statistic, _chi_square(statistic, 1)
    p = np.empty_like(statistic)
    for x in np.unique(counts):
        same = counts == x
        p[same] = _tail(*_orders(hits.shape[1], int(x)), statistic[same])
    return statistic, p


def conditional_coverage_tests(hits: NDArray[np.bool_], level: float, *, law: Law = "exact") -> tuple[Float, Float]:
    """Christoffersen's LR_cc and its p-values (r,) of many sequences of hits (r, n)."""
    from scipy.stats import binom

    n = hits.shape[1]
    every = np.arange(n + 1)
    coverage = _coverage_ratio(every, n, level)
    statistic = _observed_ratio(hits) + coverage[hits.sum(axis=1)]
    if law == "chi-square":
        return statistic, _chi_square(statistic, 2)
    mass = binom.pmf(every, n, level)
    # Numbers of hits that never happen contribute nothing to any p-value that is printed.
    laws = [(coverage[x] + values, mass[x] * masses) for x in np.flatnonzero(mass > 1e-12) for values, masses in [_orders(n, int(x))]]
    return statistic, _tail(np.concatenate([values for values, _ in laws]), np.concatenate([masses for _, masses in laws]), statistic)


def _coverage_ratio(x: NDArray[np.int64], n: int, level: float) -> Float:
    from scipy.special import xlogy

    return np.asarray(np.maximum(0.0, 2 * (xlogy(x, x / (n * level)) + xlogy(n - x, (n - x) / (n * (1 - level))))))


def _observed_ratio(hits: NDArray[np.bool_]) -> Float:
    """(r,) LR_ind of sequences (r, n)."""
    before, after = hits[:, :-1], hits[:, 1:]
    both, onset = (before & after).sum(axis=1), (~before & after).sum(axis=1)
    return _markov_ratio(hits.shape[1] - 1 - before.sum(axis=1) - onset, onset, before.sum(axis=1) - both, both)


def _markov_ratio(n00: NDArray[np.int64], n01: NDArray[np.int64], n10: NDArray[np.int64], n11: NDArray[np.int64]) -> Float:
    """2 (log likelihood with a probability after a hit and one after none, less that with one probability), from the four numbers of transitions."""
    from scipy.special import xlogy

    def entropy(a: NDArray[np.int64], b: NDArray[np.int64]) -> Float:
        return np.asarray(xlogy(a, a) + xlogy(b, b) - xlogy(a + b, a + b))

    return np.asarray(np.maximum(0.0, 2 * (entropy(n00, n01) + entropy(n10, n11) - entropy(n00 + n10, n01 + n11))))


def _orders(n: int, x: int) -> tuple[Float, Float]:
    """LR_ind and probabilities over all orders of `x` hits on `n` dates, by runs of hits and by what stands at either end.

    r runs of hits can be cut in C(x - 1, r - 1) ways, the z = r + 1 - first - last runs of the other dates in C(n - x - 1, z - 1).
    """
    from scipy.special import gammaln

    if x in {0, n}:
        return np.zeros(1), np.ones(1)

    def log_choose(a: ArrayLike, b: ArrayLike) -> Float:
        top, bottom = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return np.asarray(gammaln(top + 1) - gammaln(bottom + 1) - gammaln(top - bottom + 1))

    runs, first, last = (grid.ravel() for grid in np.meshgrid(np.arange(1, x + 1), [0, 1], [0, 1], indexing="ij"))
    gaps = runs + 1 - first - last
    possible = (gaps >= 1) & (gaps <= n - x)
    runs, first, last, gaps = runs[possible], first[possible], last[possible], gaps[possible]
    mass = np.exp(log_choose(x - 1, runs - 1) + log_choose(n - x - 1, gaps - 1) - log_choose(n, x))
    n11, n01, n10 = x - runs, runs - first, runs - last
    return _markov_ratio(n - 1 - n11 - n01 - n10, n01, n10, n11), mass


def _tail(values: Float, mass: Float, statistic: Float) -> Float:
    """Probability of a larger value than each statistic, plus half that of an equal one."""
    order = np.argsort(values, kind="stable")
    ordered, below = values[order], np.concatenate([[0.0], np.cumsum(mass[order])])
    tolerance = 1e-9 * (1 + statistic)
    low, high = np.searchsorted(ordered, statistic - tolerance), np.searchsorted(ordered, statistic + tolerance, side="right")
    return np.asarray(np.clip(below[-1] - (below[low] + below[high]) / 2, 0.0, 1.0))


def _chi_square(statistic: Float, degrees: int) -> Float:
    from scipy.special import chdtrc

    return np.asarray(chdtrc(degrees, statistic))
