"""What a Sharpe ratio is worth after its length, its tails and the number of strategies that were tried.

All Sharpe ratios are per period of the returns, not annualised; all kurtoses are raw, 3 for a normal law. The standard
error assumes independent returns: with overlapping or autocorrelated ones, use `bootstrap_difference(of="sharpe")`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Float, finite, probability


@dataclass(frozen=True, slots=True)
class SharpeResult:
    """`probability` that the true Sharpe ratio exceeds `benchmark`; `p` = 1 - `probability` is the one-sided p-value."""

    sharpe: float
    benchmark: float
    probability: float
    p: float
    se: float
    skewness: float
    kurtosis: float
    n: int


def probabilistic_sharpe(returns: ArrayLike, *, benchmark: float = 0.0) -> SharpeResult:
    """The probability that returns (n,) come from a Sharpe ratio above `benchmark`, both per period.

    Bailey and López de Prado, The Sharpe ratio efficient frontier, Journal of Risk 15(2), 2012, eq. 11:
    Φ((SR - benchmark) sqrt(n - 1) / sqrt(1 - skewness SR + (kurtosis - 1) / 4 SR²)). Raises `DataError` for fewer than 10
    returns or constant ones.
    """
    r = finite("probabilistic_sharpe", returns, least=10)
    if np.ptp(r) <= 1e-14 * np.abs(r).max():
        raise DataError("probabilistic_sharpe: the returns are constant, so they have no Sharpe ratio; leave out strategies that never trade")
    sharpe, skewness, kurtosis = map(float, sharpe_moments(r))
    se = float(sharpe_error(sharpe, len(r), skewness, kurtosis))
    likely = float(sharpe_probability(sharpe, len(r), skewness, kurtosis, benchmark=benchmark))
    return SharpeResult(sharpe, benchmark, likely, 1 - likely, se, skewness, kurtosis, len(r))


def deflated_sharpe(returns: ArrayLike, *, trials: int, variance: float) -> SharpeResult:
    """The probability that the best of `trials` strategies beats what the best of as many worthless ones would show.

    Bailey and López de Prado, The deflated Sharpe ratio, Journal of Portfolio Management 40(5), 2014: the probabilistic
    Sharpe ratio of the chosen strategy's `returns` (n,) against `expected_maximum_sharpe(variance, trials)`, where `variance`
    is that of the Sharpe ratios (per period) of everything that was tried. Correlated trials count as fewer: pass the number
    of independent ones to be less strict, all of them to be safe.
    """
    return probabilistic_sharpe(returns, benchmark=float(expected_maximum_sharpe(variance, trials)))


def sharpe_moments(returns: Float) -> tuple[Float, Float, Float]:
    """Sharpe ratios, skewnesses and raw kurtoses (...,) of many series of returns (..., n)."""
    mean = returns.mean(axis=-1)
    e = returns - mean[..., None]
    squares = np.square(e)
    variance = squares.mean(axis=-1)
    n = returns.shape[-1]
    sharpe = mean / np.sqrt(variance * n / (n - 1))
    return np.asarray(sharpe), np.asarray((squares * e).mean(axis=-1) / variance**1.5), np.asarray(np.square(squares).mean(axis=-1) / variance**2)


def sharpe_error(sharpe: ArrayLike, n: int, skewness: ArrayLike = 0.0, kurtosis: ArrayLike = 3.0) -> Float:
    """Standard errors of Sharpe ratios of independent returns (Mertens 2002, as in Bailey and López de Prado 2012, eq. 8)."""
    s, g3, g4 = (np.asarray(value, np.float64) for value in (sharpe, skewness, kurtosis))
    return np.asarray(np.sqrt((1 - g3 * s + (g4 - 1) / 4 * s**2) / (n - 1)))


def sharpe_probability(sharpe: ArrayLike, n: int, skewness: ArrayLike = 0.0, kurtosis: ArrayLike = 3.0, *, benchmark: ArrayLike = 0.0) -> Float:
    """Probabilistic Sharpe ratios from moments, many at once."""
    from scipy.special import ndtr

    return np.asarray(ndtr((np.asarray(sharpe) - benchmark) / sharpe_error(sharpe, n, skewness, kurtosis)))


def expected_maximum_sharpe(variance: ArrayLike, trials: int) -> Float:
    """Expected largest of `trials` independent Sharpe ratios around 0 with this variance (Bailey and López de Prado 2014, eq. 1).

    sqrt(variance) ((1 - γ) Φ⁻¹(1 - 1/N) + γ Φ⁻¹(1 - 1/(N e))), γ Euler's constant; 0 for a single trial.
    """
    from scipy.special import ndtri

    spread = np.asarray(variance, np.float64)
    if trials < 1 or not (spread >= 0).all():
        raise DataError(f"expected_maximum_sharpe: {trials} trials of variance {variance!r}; pass at least one trial and a variance of 0 or more")
    if trials == 1:
        return np.zeros_like(spread)
    return np.asarray(np.sqrt(spread) * ((1 - np.euler_gamma) * -ndtri(1 / trials) + np.euler_gamma * -ndtri(1 / (trials * np.e))))


def minimum_track_record(sharpe: float, *, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Number of returns after which this Sharpe ratio would exceed `benchmark` with `confidence`; infinite when it is no larger.

    Bailey and López de Prado 2012, eq. 13: 1 + (1 - skewness SR + (kurtosis - 1) / 4 SR²) (Φ⁻¹(confidence) / (SR - benchmark))².
    """
    from scipy.special import ndtri

    probability("minimum_track_record", "confidence", confidence)
    if sharpe <= benchmark:
        return float("inf")
    return float(1 + (1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) * (ndtri(confidence) / (sharpe - benchmark)) ** 2)
