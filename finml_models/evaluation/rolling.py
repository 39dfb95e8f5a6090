"""The mean of a loss difference in a moving window, with a band that knows of overlapping labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rolling:
    """Windows of `length` values; `last` (w,) is the place of each one's newest value; mean, low and high are (w,)."""

    length: int
    last: NDArray[np.int64]
    mean: Float
    low: Float
    high: Float


def rolling_mean(values: Float, *, horizon: int = 1, length: int | None = None, z: float = 1.96) -> Rolling:
    """Moving mean of (n,) values with mean ± z standard errors, by default over half a year or a sixth of the values.

    The variance in each window is that of Newey and West (1987) with horizon - 1 lags and Bartlett weights: labels of
    `horizon` steps overlap with that many neighbours. The band is pointwise.
    """
    n = len(values)
    size = min(n, length or max(20, 2 * horizon, min(126, n // 6)))
    windows = np.lib.stride_tricks.sliding_window_view(values, size)
    mean = windows.mean(axis=1)
    centred = windows - mean[:, None]
    variance = np.square(centred).mean(axis=1)
    for lag in range(1, min(horizon, size)):
        variance += 2 * (1 - lag / horizon) * (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / size
    error = np.sqrt(np.maximum(variance, 0) / size)
    return Rolling(size, np.arange(size - 1, n), mean, mean - z * error, mean + z * error)
