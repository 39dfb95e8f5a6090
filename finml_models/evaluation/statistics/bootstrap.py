"""Resampling blocks of dates, so that the dependence of neighbouring dates survives.

A replicate is a list of blocks, and its mean a sum of differences of cumulative sums: no index of every observation is ever
built. Columns share their blocks, so paired series stay paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

from .arrays import Float
from .block_length import inference_length

Scheme = Literal["stationary", "circular", "moving"]
Int = NDArray[np.int64]


def blocks(rng: np.random.Generator, t: int, n: int, *, block: float, scheme: Scheme = "stationary") -> tuple[Int, Int]:
    """(n, k) first dates and lengths of the blocks of `n` replicates of `t` dates; lengths behind the t-th date are 0.

    `stationary`: geometric lengths of mean `block`, wrapping around (Politis and Romano, JASA 89(428), 1994);
    `circular`: fixed length, wrapping around (Politis and Romano, in Exploring the limits of bootstrap, 1992);
    `moving`: fixed length inside the sample (Künsch, Annals of Statistics 17(3), 1989).
    """
    if scheme == "stationary":
        probability = 1 / min(max(block, 1.0), float(t))
        expected = t * probability
        draw = int(expected + 4 * np.sqrt(expected)) + 4
        ends = np.minimum(np.cumsum(rng.geometric(probability, size=(n, draw)), axis=1), t)
        while (ends[:, -1] < t).any():
            more = np.cumsum(rng.geometric(probability, size=(n, draw)), axis=1)
            ends = np.concatenate([ends, np.minimum(ends[:, -1:] + more, t)], axis=1)
        lengths = np.diff(ends, axis=1, prepend=0)
    else:
        length = min(max(round(block), 1), t)
        ends = np.minimum(np.arange(1, -(-t // length) + 1) * length, t)
        lengths = np.broadcast_to(np.diff(ends, prepend=0), (n, len(ends)))
    last = t - lengths.max(initial=1) if scheme == "moving" else t - 1
    return rng.integers(last + 1, size=lengths.shape), lengths


def bootstrap_means(series: Float, *, block: float, seed: int, n: int = 1000, scheme: Scheme = "stationary") -> Float:
    """Resampled means by a block bootstrap, blocks of (mean) length `block`; see `blocks` for the schemes.

    `series` is (t,) or (t, k), ordered by date; columns are resampled together. Shape of the result: (n,) or (n, k).
    """
    t = len(series)
    if t == 0 or not np.isfinite(series).all():
        raise DataError(f"bootstrap: needs finite values, got {t} rows; score complete predictions only")
    rng = np.random.default_rng(seed)
    center = series.mean(axis=0)
    sums = cumulative(series - center)
    means = np.empty((n, *series.shape[1:]))
    for part in _parts(n, max(1, round(t / max(block, 1.0))) * int(np.prod(series.shape[1:], dtype=int))):
        starts, lengths = blocks(rng, t, part.stop - part.start, block=block, scheme=scheme)
        means[part] = center + (sums[starts + lengths] - sums[starts]).sum(axis=1) / t
    return means


def bootstrap_interval(
    series: Float, *, level: float = 0.95, block: float | None = None, horizon: int = 1, seed: int = 0, n: int = 1000, scheme: Scheme = "stationary"
) -> tuple[float, float]:
    """Interval of the mean of a series (t,) of values, or of differences of paired values, ordered by date; see `bootstrap_intervals`.

    `block` is by default the `inference_length` of the series, whose labels span `horizon` dates.
    """
    length = inference_length(series, horizon=horizon) if block is None else block
    low, high = bootstrap_intervals(series[:, None], level=level, block=length, seed=seed, n=n, scheme=scheme)
    return float(low[0]), float(high[0])


def bootstrap_intervals(
    series: Float, *, level: float = 0.95, block: float, seed: int = 0, n: int = 1000, scheme: Scheme = "stationary"
) -> tuple[Float, Float]:
    """(k,) lower and (k,) upper ends of studentised intervals of the means of series (t, k), whose columns are resampled together.

    Symmetric bootstrap-t: each replicate's deviation is divided by its own standard error, from the sums of its blocks (Götze
    and Künsch, Annals of Statistics 24(5), 1996), and the quantile of |t| multiplies the deviation of all replicates. The
    quantiles of the replicates' means themselves would miss the true mean up to 14 times in 100 where labels overlap.
    """
    t = len(series)
    if t == 0 or not np.isfinite(series).all():
        raise DataError(f"bootstrap: needs finite values, got {t} rows; score complete predictions only")
    rng = np.random.default_rng(seed)
    center = series.mean(axis=0)
    sums = cumulative(series - center)
    deviations, errors = np.empty((n, series.shape[1])), np.empty((n, series.shape[1]))
    for part in _parts(n, max(1, round(t / max(block, 1.0))) * series.shape[1]):
        starts, lengths = blocks(rng, t, part.stop - part.start, block=block, scheme=scheme)
        drawn = sums[starts + lengths] - sums[starts]
        deviations[part] = drawn.sum(axis=1) / t
        errors[part] = np.sqrt(np.square(drawn - lengths[..., None] * deviations[part][:, None]).sum(axis=1)) / t
    # A replicate of one block that wraps around once is the sample itself, without a deviation or an error.
    ratios = np.abs(np.divide(deviations, errors, out=np.zeros_like(errors), where=errors > 0))
    half = np.quantile(ratios, level, axis=0) * np.sqrt(np.square(deviations).mean(axis=0))
    return center - half, center + half


def cumulative(series: Float) -> Float:
    """(2 t + 1, ...) sums of the first 0, 1, ... values of the series followed by itself."""
    return np.concatenate([np.zeros((1, *series.shape[1:])), np.cumsum(np.concatenate([series, series]), axis=0)])


def _parts(n: int, size: int) -> Iterator[slice]:
    """Slices of `n` replicates of `size` numbers each, a million numbers at a time, to bound the memory."""
    step = max(1, 1_000_000 // max(size, 1))
    return (slice(first, min(first + step, n)) for first in range(0, n, step))
