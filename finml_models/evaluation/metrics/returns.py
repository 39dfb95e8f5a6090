"""Series of returns, net of costs, one a date in order. Annual figures assume `periods` dates a year."""

from __future__ import annotations

import numpy as np

from finml_models.core.errors import DataError

from .registry import Numbers, check_finite, score_of_set

YEAR = 252


@score_of_set("Sharpe ratio", "Mean net return in units of its volatility, a year; above 3 out of sample is a suspected leak.", lower_is_better=False)
def sharpe(returns: Numbers, periods: int = YEAR) -> float:
    """mean / standard deviation × √periods (Sharpe, Journal of Portfolio Management 21(1), 1994); 0 for a series of zeros.

    Raises `DataError` for fewer than 2 returns, or equal ones, which have no volatility.
    """
    check_finite(returns)
    r = np.asarray(returns, np.float64)
    if len(r) < 2:
        raise DataError(f"sharpe: {len(r)} return has no volatility; give at least 2")
    if not r.any():
        return 0.0
    deviation = float(r.std(ddof=1))
    if deviation <= 1e-12 * float(np.abs(r).max()):
        raise DataError(f"sharpe: all {len(r)} returns are {r[0]:g}, so they have no volatility; give the returns of something at risk")
    return float(r.mean()) / deviation * float(np.sqrt(periods))


@score_of_set(
    "Sharpe difference", "Sharpe ratio minus that of the reference over the same dates, both net of costs and a year; 0 is a tie.", lower_is_better=False
)
def sharpe_difference(returns: Numbers, reference: Numbers, periods: int = YEAR) -> float:
    """Difference of two annual Sharpe ratios; its interval needs the paired bootstrap of Ledoit and Wolf (Journal of Empirical Finance 15(5), 2008)."""
    _check_paired(returns, reference)
    return sharpe(returns, periods) - sharpe(reference, periods)


@score_of_set("Net information ratio", "Mean net return beyond the reference's in units of the volatility of that difference, a year.", lower_is_better=False)
def net_information_ratio(returns: Numbers, reference: Numbers, periods: int = YEAR) -> float:
    """`sharpe` of returns - reference (Grinold and Kahn, Active Portfolio Management, 1999); give zeros for a strategy without benchmark."""
    _check_paired(returns, reference)
    return sharpe(np.asarray(returns, np.float64) - reference, periods)


@score_of_set(
    "Certainty equivalent",
    "The riskless return a year that an investor with a risk aversion of 3 would find as good as the strategy, net of costs.",
    lower_is_better=False,
    unit="a year",
)
def certainty_equivalent(returns: Numbers, risk_aversion: float = 3.0, periods: int = YEAR) -> float:
    """(mean - γ/2 · variance) × periods, for mean-variance preferences (DeMiguel, Garlappi and Uppal, Review of Financial Studies 22(5), 2009)."""
    check_finite(returns)
    r = np.asarray(returns, np.float64)
    if len(r) < 2:
        raise DataError(f"certainty_equivalent: {len(r)} return has no variance; give at least 2")
    return float(r.mean() - risk_aversion / 2 * r.var(ddof=1)) * periods


@score_of_set("Maximum drawdown", "Largest loss from a peak of the compounded net value, as a share of that peak.", lower_is_better=True, unit="share")
def drawdown(returns: Numbers) -> float:
    """max over dates of 1 - value / highest value so far, the value before the first return (1) included. Simple returns, no less than -1.

    Chekhlov, Uryasev and Zabarankin, Drawdown measure in portfolio optimization, International Journal of Theoretical and
    Applied Finance 8(1), 2005, on the compounded value.
    """
    check_finite(returns)
    r = np.asarray(returns, np.float64)
    if r.min() < -1:
        raise DataError(f"drawdown: a return of {r.min():g} loses more than everything; give simple returns, not log returns or percentages")
    value = np.concatenate([[1.0], np.cumprod(1 + r)])
    return float((1 - value / np.maximum.accumulate(value)).max())


@score_of_set("Turnover", "Mean share of the value that is traded at a rebalancing, purchases and sales both counted.", lower_is_better=True, unit="a period")
def turnover(weights: Numbers, asset_returns: Numbers) -> float:
    """Mean over dates of Σ |weight - weight to which the last one has drifted| (DeMiguel, Garlappi and Uppal 2009); the first purchase is left out.

    Shapes: (t, assets) both; `asset_returns` are those earned with the weights of the same row. What the weights lack to 1 is cash,
    which earns nothing. Raises `DataError` when an account that trades again has lost everything, so that there is nothing to trade a share of.
    """
    check_finite(weights, asset_returns)
    w, r = np.asarray(weights, np.float64), np.asarray(asset_returns, np.float64)
    if w.shape != r.shape or w.ndim != 2 or len(w) < 2:
        raise DataError(f"turnover: weights of shape {w.shape} and returns of shape {r.shape}; give (dates, assets) both, at least 2 dates")
    worth = 1 + (w * r)[:-1].sum(axis=1, keepdims=True)
    if worth.min() <= 0:
        raise DataError(f"turnover: a return of {worth.min() - 1:g} loses everything, so that nothing is left to trade; give the dates before it")
    drifted = (w * (1 + r))[:-1] / worth
    return float(np.abs(w[1:] - drifted).sum(axis=1).mean())


@score_of_set(
    "Break-even cost",
    "Cost a traded unit at which nothing of the gross return is left; a strategy that pays less than this earns something.",
    lower_is_better=False,
    unit="bp",
)
def break_even_cost(gross_returns: Numbers, traded: Numbers) -> float:
    """Σ gross returns / Σ traded × 10⁴, `traded` (t,) being the share of the value bought and sold on each date.

    Bessembinder and Chan, Market efficiency and the returns to technical analysis, Financial Management 27(2), 1998.
    """
    _check_paired(gross_returns, traded)
    total = float(np.asarray(traded, np.float64).sum())
    if total <= 0:
        raise DataError(f"break_even_cost: {total:g} was traded, so no cost breaks even; give a strategy that trades")
    return float(np.asarray(gross_returns, np.float64).sum()) / total * 1e4


def _check_paired(a: Numbers, b: Numbers) -> None:
    check_finite(a, b)
    if np.shape(a) != np.shape(b):
        raise DataError(f"metrics: series of shapes {np.shape(a)} and {np.shape(b)}; give both over the same dates")
