"""Comparisons of losses whose units are independent: accounts, documents, or groups of them that a jackknife left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finml_models.core.errors import DataError

from .arrays import Alternative, Float, paired
from .diebold_mariano import DMResult, student_p


def paired_t(loss_a: ArrayLike, loss_b: ArrayLike, *, alternative: Alternative = "two-sided") -> DMResult:
    """Student's paired test of equal expected loss on independent units, (n,) each (Student, Biometrika 6(1), 1908).

    Two equal series give statistic 0 and p = 1. Raises `DataError` for fewer than 10 units, unequal lengths or losses that are
    not finite.
    """
    a, b = paired("paired_t", loss_a, loss_b)
    n = len(a)
    if n < 10:
        raise DataError(f"paired_t: {n} units are too few; score at least 10")
    d = a - b
    mean, se = float(d.mean()), float(d.std(ddof=1) / np.sqrt(n))
    if abs(mean) <= 1e-14 * float(np.abs(a).mean() + np.abs(b).mean()):
        return DMResult(0.0, 1.0, mean, se, n, n - 1)
    statistic = mean / se if se > 0 else float(np.copysign(np.inf, mean))
    return DMResult(statistic, float(student_p(statistic, n - 1, alternative)), mean, se, n, n - 1)


def jackknife(value: Callable[[NDArray[np.bool_]], float], group: NDArray[np.intp]) -> Float:
    """(groups,) pseudo-values of a statistic of whole sets, whose mean is the statistic and whose spread is its standard error.

    `value` takes the rows that are in, (n,), `group` (n,) is 0 ... groups - 1. Each pseudo-value is groups × the statistic of
    all rows less (groups - 1) × that without one group, moved so that their mean is the statistic itself: the jackknife's
    correction of bias is left out, for a table's value must be the value (Quenouille 1956; for groups of dependent rows Künsch,
    Annals of Statistics 17(3), 1989). Differences of two statistics are differences of their pseudo-values.
    """
    groups = int(group.max(initial=-1)) + 1
    if groups < 10:
        raise DataError(f"jackknife: {groups} groups are too few; score at least 10 independent units")
    whole = value(np.ones(len(group), dtype=bool))
    left = np.array([value(group != g) for g in range(groups)])
    pseudo = groups * whole - (groups - 1) * left
    return np.asarray(pseudo + (whole - pseudo.mean()), np.float64)
