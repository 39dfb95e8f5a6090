"""Measures of a strategy a date: its Sharpe ratio, spread so that the mean is the ratio and the variance its error, and what it trades."""

from __future__ import annotations

import numpy as np

from finml_models.core.errors import DataError

from .registry import Float, Numbers, check_finite, row_loss
from .returns import sharpe


@row_loss(
    "Sharpe ratio, a period",
    "Mean net return in units of its volatility, not annualised: what the deflated Sharpe ratio compares over everything that was tried.",
    lower_is_better=False,
)
def period_sharpe(net: Numbers) -> Float:
    """(t,) SR + z - SR / 2 (z² - mean of z²) for z = (net - mean) / standard deviation: the ratio SR and its influence function.

    The mean over dates is SR exactly. The variance is 1 - skewness SR + (kurtosis - 1) / 4 SR² but for terms of 1 / t, so that
    variance / t is the squared standard error of Mertens (2002; Bailey and López de Prado, Journal of Risk 15(2), 2012, eq. 8).
    Raises `DataError` for fewer than 2 returns, or equal ones.
    """
    check_finite(net)
    r = np.asarray(net, np.float64)
    if not r.any():
        raise DataError(f"period_sharpe: all {len(r)} returns are 0; a strategy that never trades has no Sharpe ratio")
    ratio = sharpe(r, 1)
    z = (r - r.mean()) / r.std(ddof=1)
    return np.asarray(ratio + z - ratio / 2 * (np.square(z) - np.square(z).mean()))


@row_loss("Share traded", "Mean share of the value bought and sold on a date, both counted; most dates trade nothing.", lower_is_better=True)
def traded_share(traded: Numbers) -> Float:
    """(t,) Σ |weight - weight before the trade| of each date: `turnover` (DeMiguel, Garlappi and Uppal 2009) where the trades themselves are known."""
    check_finite(traded)
    return np.asarray(traded, np.float64)
