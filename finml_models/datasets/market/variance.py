"""Daily variance from bars or from closes alone, and its rolling means; all causal, on (series, time) arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .panel import Panel

FLOOR = 1e-7
"""Least daily variance, a move of 3 basis points: a close equal to the last one is a quiet day, not a day without risk."""


def log_returns(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Close-to-close log returns. Shape: (series, time), the first of each series NaN."""
    returns = np.full_like(close, np.nan)
    np.subtract(np.log(close[:, 1:]), np.log(close[:, :-1]), out=returns[:, 1:])
    return returns


def daily_variance(panel: Panel) -> NDArray[np.float64]:
    """Realised variance of each day: overnight gap squared plus Garman-Klass for bars, squared return for closes alone.

    Garman & Klass (1980), "On the Estimation of Security Price Volatilities from Historical Data", equation for the
    practical estimator: 0.5 ln(H/L)² - (2 ln 2 - 1) ln(C/O)². The first day of a series has no overnight gap: NaN.
    """
    close = panel.dense("close")
    squared = log_returns(close) ** 2
    opened, high, low = (panel.dense(name) for name in ("open", "high", "low"))
    with np.errstate(invalid="ignore", divide="ignore"):
        overnight = np.full_like(close, np.nan)
        np.log(opened[:, 1:] / close[:, :-1], out=overnight[:, 1:])
        bars = overnight**2 + 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / opened) ** 2
    variance = np.where(np.isfinite(bars), bars, squared)
    return np.fmax(variance, FLOOR, where=np.isfinite(variance), out=np.full_like(variance, np.nan))


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
