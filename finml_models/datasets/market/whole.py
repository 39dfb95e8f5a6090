"""The market as one series: the equal-weighted mean of its assets, how far apart they move, and how much together.

All of it is on the common calendar and causal. Sums over assets run in their order, so that an asset that lists later leaves
the bits of an earlier date alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

from .variance import FLOOR, trailing_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 256
"""Dates whose windows of returns are in memory together."""


def market_return(returns: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean log return of the members of each date, NaN without any. Shapes: (t, s), (t, s) -> (t,)."""
    held = np.where(member, returns, np.nan)
    count = np.isfinite(held).sum(axis=1)
    return np.where(count > 0, bn.nansum(held, axis=1) / np.maximum(count, 1), np.nan)


def dispersion(returns: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Variance of the members' returns across them on each date, of one member 0. Shape: (t, s) -> (t,), NaN without members."""
    gap = np.where(member, returns - market_return(returns, member)[:, None], np.nan)
    return market_return(gap**2, member)


def mean_correlation(returns: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean correlation between assets over the `window` sessions up to each date, weighted by the product of their volatilities.

    From variances alone, as the correlation that index options imply is: (Var Σ r - Σ v) / ((Σ √v)² - Σ v). Of the assets with a
    return on all of these sessions; 1 where there is one of them or none, for a market of one asset moves with itself. Shape: (t, s) -> (t,).
    """
    found = np.full(len(returns), np.nan)
    if len(returns) < window:
        return found
    windows = np.lib.stride_tricks.sliding_window_view(returns, window, axis=0)
    for start in range(0, len(windows), CHUNK):
        block = windows[start : start + CHUNK]  # (c, s, window)
        whole = np.isfinite(block).all(axis=2)
        variance = np.where(whole, block.var(axis=2), 0.0)
        total = bn.nansum(np.where(whole[:, :, None], block, 0.0), axis=1).var(axis=1)
        own, all_ = bn.nansum(variance, axis=1), bn.nansum(np.sqrt(variance), axis=1) ** 2
        pairs = all_ - own
        moves = (pairs > 1e-9 * all_) & (whole.sum(axis=1) > 1)
        found[window - 1 + start : window - 1 + start + len(block)] = np.where(moves, (total - own) / np.where(moves, pairs, 1.0), 1.0)
    return np.clip(found, -1.0, 1.0)


def log_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Log of the mean of the newest `window` values, none below `FLOOR`. Shape: (t,) -> (t,)."""
    return np.log(np.maximum(trailing_mean(values[None], window)[0], FLOOR))
