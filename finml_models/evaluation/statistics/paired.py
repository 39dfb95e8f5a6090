"""Is the difference of two paired series real? A studentised block bootstrap for means and for Sharpe ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Alternative, Float, paired, probability
from .block_length import inference_length
from .bootstrap import cumulative

Of = Literal["mean", "sharpe"]


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """`difference` = of a minus of b, per period, with its interval of `level`; `statistic` = difference / `se`; `block` is the block length used."""

    difference: float
    low: float
    high: float
    level: float
    p: float
    statistic: float
    se: float
    block: int
    n: int


def bootstrap_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    of: Of = "mean",
    horizon: int = 1,
    block: int | None = None,
    level: float = 0.95,
    alternative: Alternative = "two-sided",
    seed: int = 0,
    replicates: int = 1000,
) -> BootstrapResult:
    """Test that two series, (n,) each and ordered by date, have equal means or Sharpe ratios, and an interval for the difference.

    Ledoit and Wolf, Journal of Empirical Finance 15(5), 2008, section 3.2: circular blocks of dates, the same for both
    series; the difference is a smooth function of means, its variance follows from the gradient (their eq. 4), in a
    replicate by the variance of its block sums (Götze and Künsch, Annals of Statistics 24(5), 1996). In the sample itself
    that variance is taken over all overlapping blocks. The interval is symmetric.

    `horizon` is the number of dates a label spans (1: none overlap). `block` is by default the `inference_length` of what
    each date adds to the difference. Sharpe ratios are those of the values as they are, neither annualised nor in excess
    of a rate. Two equal series give p = 1. Raises `DataError` for fewer than 40 dates or 8 labels, or a Sharpe ratio of a
    constant series.
    """
    probability("bootstrap_difference", "level", level)
    x, y = paired("bootstrap_difference", a, b, least=max(40, 8 * horizon))
    n = len(x)
    # Scales cancel; without them the moments of returns of 1e-4 would lose digits.
    values = np.stack([x - y], axis=1) if of == "mean" else _moments(x, y)
    difference, gradient = _value(values.mean(axis=0), of)
    influence = (values - values.mean(axis=0)) @ gradient
    if not np.any(np.abs(influence) > 1e-12 * np.abs(values * gradient).max(initial=0)):
        return BootstrapResult(float(difference), float(difference), float(difference), level, 1.0, 0.0, 0.0, 1, n)
    length = block or int(np.ceil(inference_length(influence, horizon=horizon)))
    count = n // length
    if count < 4:
        raise DataError(f"bootstrap_difference: a block of {length} dates fits {count} times into {n}; it must fit at least 4 times")
    sums = cumulative(values)
    every = (sums[length : length + n] - sums[:n]) - length * values.mean(axis=0)
    se = float(np.sqrt(np.square(every @ gradient).mean() / length / n))
    starts = np.random.default_rng(seed).integers(n, size=(replicates, count))
    drawn = sums[starts + length] - sums[starts]
    means = drawn.mean(axis=1) / length
    resampled, gradients = _value(means, of)
    deviations = np.matmul(drawn - length * means[:, None], gradients[..., None])[..., 0]
    errors = np.sqrt(np.square(deviations).mean(axis=1) / length / (count * length))
    t = np.divide(resampled - difference, errors, out=np.zeros(replicates), where=errors > 0)
    statistic = float(difference) / se
    tails = {"less": t <= statistic, "greater": t >= statistic, "two-sided": np.abs(t) >= abs(statistic)}
    half = float(np.quantile(np.abs(t), level)) * se
    p = (1 + int(tails[alternative].sum())) / (replicates + 1)
    return BootstrapResult(float(difference), float(difference) - half, float(difference) + half, level, p, statistic, se, length, n)


def _moments(x: Float, y: Float) -> Float:
    """(n, 4) x, y, x², y² in units of the series' own dispersion."""
    if min(np.ptp(x), np.ptp(y)) == 0:
        raise DataError("bootstrap_difference: a constant series has no Sharpe ratio; leave out strategies that never trade")
    u, v = x / x.std(), y / y.std()
    return np.stack([u, v, u * u, v * v], axis=1)


def _value(means: Float, of: Of) -> tuple[Float, Float]:
    """(...,) difference and (..., c) gradient at means (..., c)."""
    if of == "mean":
        return means[..., 0], np.ones_like(means)
    mean, square = means[..., :2], means[..., 2:]
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-12))
    ratio = mean / deviation
    sign = np.array([1.0, -1.0])
    gradient = np.concatenate([sign * square / deviation**3, -sign * mean / (2 * deviation**3)], axis=-1)
    return ratio[..., 0] - ratio[..., 1], gradient
