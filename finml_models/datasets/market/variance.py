"""Daily variance from intraday returns, from bars or from closes alone, and its rolling means; all causal, on (series, time) arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .panel import Panel

CLOSES, BARS, REALISED = 0.0, 1.0, 2.0
"""Proxies of a day's variance, in the order of their precision: as a number, the order is information for a model."""
FLOOR = 1e-7
"""Least daily variance, a move of 3 basis points: a close equal to the last one is a quiet day, not a day without risk."""


def log_returns(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Close-to-close log returns. Shape: (series, time), the first of each series NaN."""
    returns = np.full_like(close, np.nan)
    np.subtract(np.log(close[:, 1:]), np.log(close[:, :-1]), out=returns[:, 1:])
    return returns


@dataclass(frozen=True, eq=False)
class Days:
    """What each day says of an asset's variance. Shape: (series, time) each."""

    variance: NDArray[np.float64]
    returns: NDArray[np.float64]
    """`log_returns` of the closes."""
    squared: NDArray[np.float64]
    """Of the returns."""
    proxy: NDArray[np.float64]
    """What the variance is measured by: `CLOSES`, `BARS` or `REALISED`."""


def proxy(panel: Panel) -> NDArray[np.float64]:
    """What each day's variance is measured by: `CLOSES`, `BARS` or `REALISED`. Shape: (series, time)."""
    return days(panel).proxy


def daily_variance(panel: Panel) -> NDArray[np.float64]:
    """Variance of each day, as `days` measures it. Shape: (series, time)."""
    return days(panel).variance


def days(panel: Panel) -> Days:
    """Variance of each day: realised where the asset has it, else the overnight gap squared plus Garman-Klass, else the squared return.

    The realised variance is the session's own, from open to close, as in the literature on it (Andersen et al. 2003, "Modeling and
    Forecasting Realized Volatility"); the two others cover the time from close to close. Garman & Klass (1980), "On the Estimation
    of Security Price Volatilities from Historical Data", equation for the practical estimator: 0.5 ln(H/L)² - (2 ln 2 - 1) ln(C/O)².
    The first day of a series without a realised variance has no overnight gap: NaN.
    """
    realised, on_realised = _realised(panel)
    close = panel.dense("close")
    returns = log_returns(close)
    squared = returns**2
    opened, high, low = (panel.dense(name) for name in ("open", "high", "low"))
    overnight = np.full_like(close, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.log(opened[:, 1:] / close[:, :-1], out=overnight[:, 1:])
        bars = overnight**2 + 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / opened) ** 2
    # Bars and closes estimate one quantity, so a day without a bar may lend from the closes. A realised variance is another
    # quantity, about a quarter smaller for an index: an asset never changes between it and the others.
    variance, measured = np.where(np.isfinite(bars), bars, squared), np.where(np.isfinite(opened), BARS, CLOSES)
    if realised is not None:
        variance, measured = np.where(on_realised, realised, variance), np.where(on_realised, REALISED, measured)
    return Days(np.fmax(variance, FLOOR, where=np.isfinite(variance), out=np.full_like(variance, np.nan)), returns, squared, measured)


def _realised(panel: Panel) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | tuple[None, None]:
    """The realised variances, (series, time), and which assets are on them, (series, 1); None where no asset is.

    The rules of `clean` see to it that an asset has one on all its rows or on none, so the first row speaks for all. To ask any
    later row would let the future choose the measure of the past; and were one missing after all, its day is NaN, not another measure.
    """
    if "realised_variance" not in panel.frame:
        return None, None
    realised = panel.dense("realised_variance")
    return realised, np.isfinite(realised[:, :1])


def trailing_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of the `window` values up to and including each one; NaN before there are that many."""
    if values.shape[1] < window:
        return np.full_like(values, np.nan)
    return bn.move_mean(values, window=window, min_count=window, axis=1)


def leading_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of the `window` values after each one, itself excluded; NaN where the future is not there yet."""
    ahead = np.full_like(values, np.nan)
    ahead[:, :-window] = trailing_mean(values, window)[:, window:]
    return ahead
