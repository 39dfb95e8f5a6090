"""The variance of a mean of serially dependent values, by equally weighted cosines or by Bartlett weights.

The cosines (Lazarus, Lewis, Stock and Watson, HAR inference: recommendations for practice, Journal of Business & Economic
Statistics 36(4), 2018) come with Student's t and hold their size where labels overlap much; see `docs/evaluation.md`
for the measurement. All functions work on many series at once, one a row.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .arrays import Float


def cosine_degrees(n: int, horizon: int) -> int:
    """ν, the number of cosines: 0.4 n^(2/3) as in Lazarus et al., at most n / (3 horizon).

    More than that would leave the flat part of the spectrum of a moving average over `horizon` dates.
    """
    return max(2, int(min(0.4 * n ** (2 / 3), n / (3 * horizon))))


@lru_cache(maxsize=8)
def _cosines(n: int, degrees: int) -> Float:
    """(degrees, n) orthonormal type-II cosines without the constant one, so that a series' mean does not matter."""
    j, t = np.arange(1, degrees + 1)[:, None], np.arange(n) + 0.5
    return np.asarray(np.sqrt(2 / n) * np.cos(np.pi * j * t / n), np.float64)


def cosine_variance(d: Float, horizon: int) -> tuple[Float, float]:
    """Long-run variances (...,) of series (..., n), and their degrees of freedom ν."""
    degrees = cosine_degrees(d.shape[-1], horizon)
    return np.square(d @ _cosines(d.shape[-1], degrees).T).mean(axis=-1), float(degrees)


def autocovariances(d: Float, lags: int) -> Float:
    """(..., lags + 1) autocovariances at 0..lags of series (..., n), each divided by n."""
    n = d.shape[-1]
    e = d - d.mean(axis=-1, keepdims=True)
    if lags < 12:
        return np.asarray(np.stack([np.einsum("...t,...t", e[..., lag:], e[..., : n - lag]) for lag in range(lags + 1)], axis=-1) / n)
    spectrum = np.fft.rfft(e, n + lags)
    return np.asarray(np.fft.irfft(np.abs(spectrum) ** 2, n + lags)[..., : lags + 1] / n)


def bartlett_bandwidths(d: Float, horizon: int) -> Float:
    """(...,) Andrews' (Econometrica 59(3), 1991) plug-in bandwidths for an AR(1), at least `horizon` - 1."""
    n = d.shape[-1]
    power, first = np.moveaxis(autocovariances(d, 1), -1, 0)
    rho = np.clip(np.divide(first, power, out=np.zeros_like(power), where=power > 0), -0.97, 0.97)
    automatic = np.floor(1.1447 * (4 * rho**2 / (1 - rho**2) ** 2 * n) ** (1 / 3))
    return np.asarray(np.minimum(np.maximum(automatic, horizon - 1), n - 1))


def bartlett_variance(d: Float, horizon: int) -> tuple[Float, float]:
    """Newey-West variances (...,) divided by the Harvey-Leybourne-Newbold factor (1997), and n - 1 degrees of freedom."""
    n = d.shape[-1]
    bandwidths = bartlett_bandwidths(d, horizon)
    covariances = autocovariances(d, int(bandwidths.max(initial=0)))
    lags = np.arange(covariances.shape[-1])
    weights = np.maximum(0.0, 1 - lags / (bandwidths[..., None] + 1)) * np.where(lags == 0, 1.0, 2.0)
    factor = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    return np.einsum("...l,...l", weights, covariances) / factor, float(n - 1)
