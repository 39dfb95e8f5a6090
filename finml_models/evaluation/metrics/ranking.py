"""Cross-sections: how well a forecast orders the assets of a date."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

from .registry import Float, Numbers, Times, check_finite, score_of_set


def rank_ic_by_date(target: Numbers, point: Numbers, times: Times) -> tuple[Times, Float]:
    """(d,) dates of at least two rows, and the Spearman correlation of forecast and outcome on each; ties share their mean rank.

    A date on which the forecast or the outcome is the same for all rows counts as 0: a model does not get rid of a date by
    having no opinion. Shapes: (n,) each. Raises `DataError` when no date has two rows.
    """
    check_finite(target, point)
    dates, day, counts = np.unique(times, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise DataError(f"rank_ic: none of the {len(dates)} dates has two rows; a cross-section needs at least two assets")
    a, b = (_centred_ranks(np.asarray(x), day, counts) for x in (target, point))
    covariance, of_a, of_b = (np.bincount(day, weights=product, minlength=len(dates)) for product in (a * b, a * a, b * b))
    scale = np.sqrt(of_a * of_b)
    ic = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    return dates[counts > 1], ic[counts > 1]


def newey_west_t(series: Float, lags: int | None = None) -> float:
    """t of the mean of a series (t,) in date order, with Bartlett weights over `lags` (Newey and West, Econometrica 55(3), 1987).

    Without `lags`, floor(4 (n/100)^(2/9)) of them (Newey and West, Review of Economic Studies 61(4), 1994).
    A series of equal values has no error: 0 for zeros; otherwise `DataError`.
    """
    check_finite(series)
    n = len(series)
    chosen = int(4 * (n / 100) ** (2 / 9)) if lags is None else lags
    if not 0 <= chosen < n:
        raise DataError(f"newey_west_t: {chosen} lags of a series of {n}; give fewer lags or a longer series")
    d = np.asarray(series, np.float64) - series.mean()
    weights = 1 - np.arange(1, chosen + 1) / (chosen + 1)
    power = float(d @ d) + 2 * sum(float(w * (d[lag:] @ d[: n - lag])) for lag, w in enumerate(weights, start=1))
    if power <= 1e-24 * n * float(np.square(series).max()):
        if not series.any():
            return 0.0
        raise DataError(f"newey_west_t: the {n} values do not vary, so their mean has no standard error; score more dates")
    return float(series.mean() / (np.sqrt(power) / n))


def _mean_of_days(daily: Float, horizon: int) -> float:
    """The mean rank correlation; labels that overlap do not move it."""
    del horizon
    return float(daily.mean())


def _t_of_days(daily: Float, horizon: int) -> float:
    """`newey_west_t` with the automatic number of lags, and at least one less than a label has dates."""
    return newey_west_t(daily, min(max(int(4 * (len(daily) / 100) ** (2 / 9)), horizon - 1), len(daily) - 1))


@score_of_set(
    "Rank IC",
    "Mean rank correlation of forecast and outcome over the assets of a date; 0 is chance, 0.02 to 0.05 a good daily signal, above 0.1 a suspected leak.",
    lower_is_better=False,
    daily=rank_ic_by_date,
    of_days=_mean_of_days,
)
def rank_ic(target: Numbers, point: Numbers, times: Times) -> float:
    """Mean of `rank_ic_by_date` (the information coefficient of Grinold, Journal of Portfolio Management 15(3), 1989, on ranks)."""
    return float(rank_ic_by_date(target, point, times)[1].mean())


@score_of_set(
    "Rank IC, t",
    "The mean rank correlation in standard errors that allow for its serial correlation (Newey and West); above 2 it is hardly chance.",
    lower_is_better=False,
    daily=rank_ic_by_date,
    of_days=_t_of_days,
)
def rank_ic_t(target: Numbers, point: Numbers, times: Times) -> float:
    """`newey_west_t` (Newey and West 1987, 1994) of `rank_ic_by_date`. For labels over h dates call `newey_west_t` with at least h - 1 lags."""
    return newey_west_t(rank_ic_by_date(target, point, times)[1])


def _centred_ranks(values: Numbers, day: NDArray[np.intp], counts: NDArray[np.intp]) -> Float:
    """(n,) rank of each value among those of its date, ties at their mean, minus the date's mean rank."""
    # Sorting by value, then stably by date: 16-bit keys are sorted by radix, in linear time.
    by_value = np.argsort(values)
    key = day.astype(np.uint16) if len(counts) <= 1 << 16 else day
    order = by_value[np.argsort(key[by_value], kind="stable")]
    v, d = values[order], day[order]
    starts = np.flatnonzero(np.append(True, (v[1:] != v[:-1]) | (d[1:] != d[:-1])))
    sizes = np.diff(np.append(starts, len(v)))
    first = np.cumsum(counts) - counts
    middle = starts + (sizes - 1) / 2 - first[d[starts]] - (counts[d[starts]] - 1) / 2
    ranks = np.empty(len(v))
    ranks[order] = np.repeat(middle, sizes)
    return ranks
