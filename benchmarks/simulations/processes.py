"""Series whose truth is known, many at once: rows are runs, columns dates."""

from __future__ import annotations

from functools import cache

import numpy as np

from .experiment import Float

BURN = 100


def heavy_tails(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Student's t with 5 degrees of freedom, of unit variance."""
    return rng.standard_t(5, shape) / np.sqrt(5 / 3)


def garch(rng: np.random.Generator, runs: int, n: int) -> Float:
    """(runs, n) uncorrelated, with heavy tails and clusters: GARCH(1, 1) with 0.08 and 0.9, t shocks; mean 0, variance 1."""
    shocks = heavy_tails(rng, (n + BURN, runs))
    variance = np.ones(runs)
    for day in range(len(shocks)):
        shocks[day] *= np.sqrt(variance)
        variance = 0.02 + 0.08 * shocks[day] ** 2 + 0.9 * variance
    return np.ascontiguousarray(shocks[BURN:].T)


def overlapping(rng: np.random.Generator, runs: int, n: int, horizon: int) -> Float:
    """(runs, n) sums of `horizon` neighbouring GARCH shocks, an MA(horizon - 1), as labels that overlap make them; `horizon`² is the long-run variance."""
    return moving_sum(garch(rng, runs, n + horizon - 1), horizon)


def moving_sum(shocks: Float, length: int) -> Float:
    """(..., n - length + 1) sums of `length` neighbours."""
    if length == 1:
        return shocks
    total = np.cumsum(shocks, axis=-1)
    first = total[..., length - 1 : length]
    return np.concatenate([first, total[..., length:] - total[..., :-length]], axis=-1)


def autoregressive(shocks: Float, coefficient: float) -> Float:
    """(..., n - BURN) x(t) = coefficient x(t - 1) + shock(t), the start left out."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -coefficient], shocks, axis=-1)[..., BURN:])


def log_errors(rng: np.random.Generator, runs: int, n: int, *, deviation: float, memory: float) -> Float:
    """(runs, n) Gaussian errors of a log forecast with this standard deviation, an AR(1) with coefficient `memory`."""
    return deviation * autoregressive(np.sqrt(1 - memory**2) * rng.standard_normal((runs, n + BURN)), memory)


def variance_ratio(rng: np.random.Generator, runs: int, n: int, horizon: int) -> Float:
    """(runs, n) realised over expected mean variance of the next `horizon` days, each day's a chi-square with 3 degrees of freedom."""
    return moving_sum(rng.gamma(1.5, 1 / 1.5, (runs, n + horizon - 1)), horizon) / horizon


def qlike(ratio: Float, log_error: Float) -> Float:
    """QLIKE up to a constant of a forecast that misses the expected variance by the factor exp(log_error)."""
    return ratio * np.exp(-log_error) + log_error


JUMP, SHARE = (-3.0, 2.0), 0.02
"""Mean and deviation of a rare extra loss, and how often it comes."""


def crashes(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Independent returns of mean 0 and variance 1 with rare crashes; `crash_moments` are their skewness and kurtosis."""
    mean, variance = _central(1), _central(2)
    jumps = (rng.random(shape) < SHARE) * (JUMP[0] + JUMP[1] * rng.standard_normal(shape))
    return (rng.standard_normal(shape) + jumps - mean) / np.sqrt(variance)


def crash_moments() -> tuple[float, float]:
    """(-0.87, 7.2): exact skewness and raw kurtosis of `crashes`."""
    variance = _central(2)
    return _central(3) / variance**1.5, _central(4) / variance**2


@cache
def _central(order: int) -> float:
    """The mean (order 1) or a central moment of the mixture of a calm normal and one with a jump."""
    weights, means, variances = np.array([1 - SHARE, SHARE]), np.array([0.0, JUMP[0]]), np.array([1.0, 1 + JUMP[1] ** 2])
    if order == 1:
        return float(weights @ means)
    d = means - weights @ means
    return float(weights @ {2: d**2 + variances, 3: d**3 + 3 * d * variances, 4: d**4 + 6 * d**2 * variances + 3 * variances**2}[order])
