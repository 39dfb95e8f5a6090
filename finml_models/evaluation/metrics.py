"""The measures by name: what each says, in which direction it is better, and its value a row.

A metric is a row-wise loss (or indicator) and a way to aggregate it, so that one array serves the table, the slices, the
bootstrap and the tests. Adding a metric is one `Metric` in this file; tasks choose by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError, UnknownName

if TYPE_CHECKING:
    from pandas import DataFrame

Float = NDArray[np.float64]
Numbers = NDArray[np.floating]
Rowwise = Callable[[Numbers, Numbers, Numbers, tuple[float, ...]], Float]

LINEAR_BEYOND = 300.0
"""Error in log variance from which QLIKE continues along its tangent: exp(300) can still be squared and summed in float64."""


def mean(values: Float) -> float:
    """The plain average."""
    return float(values.mean())


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure. `rowwise(target, point, quantiles, levels)` takes (n, h), (n, h), (n, h, q), (q,) and returns (n, h)."""

    id: str
    label: str
    explanation: str
    unit: str
    lower_is_better: bool | None
    """None where the best value is the nominal one, as for coverage."""
    rowwise: Rowwise
    aggregate: Callable[[Float], float] = mean


def metric(name: str) -> Metric:
    """The metric of this name; `UnknownName` lists near matches."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]


def score(frame: DataFrame, name: str) -> Float:
    """(rows,) row-wise values of a metric for a frame of out-of-sample predictions (long: a row a horizon)."""
    levels = quantile_levels(frame)
    target = frame["target"].to_numpy(np.float64)[:, None]
    point = frame["point"].to_numpy(np.float64)[:, None]
    quantiles = frame[[f"q{level:g}" for level in levels]].to_numpy(np.float64)[:, None, :]
    return np.asarray(metric(name).rowwise(target, point, quantiles, levels)[:, 0], np.float64)


def quantile_levels(frame: DataFrame) -> tuple[float, ...]:
    """The quantile levels that a predictions frame has columns for, ascending."""
    return tuple(sorted(float(name[1:]) for name in frame.columns if name.startswith("q") and name[1:].replace(".", "", 1).isdigit()))


def inside(target: Numbers, quantiles: Numbers, levels: Sequence[float], level: float) -> Float:
    """(n, h) 1 where the target lies in the closed central interval of `level`, else 0. Raises `DataError` when its ends were not predicted."""
    tail = (1 - level) / 2
    try:
        low, high = (next(i for i, q in enumerate(levels) if abs(q - wanted) < 1e-9) for wanted in (tail, 1 - tail))
    except (StopIteration, RuntimeError) as missing:
        raise DataError(f"coverage: an interval of {level:g} needs the quantiles {tail:g} and {1 - tail:g}; predicted are {list(levels)}") from missing
    _check_finite(target, quantiles)
    return ((quantiles[..., low] <= target) & (target <= quantiles[..., high])).astype(np.float64)


def _qlike(target: Numbers, point: Numbers, _quantiles: Numbers, _levels: tuple[float, ...]) -> Float:
    """exp(d) - d - 1 with d = log realised minus log forecast variance, linear beyond `LINEAR_BEYOND` (still rising, still convex)."""
    _check_finite(target, point)
    d = np.asarray(target, np.float64) - np.asarray(point, np.float64)
    capped = np.minimum(d, LINEAR_BEYOND)
    # expm1 keeps the digits of nearly perfect forecasts; what rounding leaves below zero is zero.
    return np.asarray(np.maximum(np.expm1(capped) - capped + (d - capped) * np.expm1(LINEAR_BEYOND), 0.0), np.float64)


def _log_variance_mse(target: Numbers, point: Numbers, _quantiles: Numbers, _levels: tuple[float, ...]) -> Float:
    _check_finite(target, point)
    return np.asarray(np.square(np.asarray(target, np.float64) - np.asarray(point, np.float64)), np.float64)


def _pinball(target: Numbers, _point: Numbers, quantiles: Numbers, levels: tuple[float, ...]) -> Float:
    _check_finite(target, quantiles)
    error = np.asarray(target, np.float64)[..., None] - np.asarray(quantiles, np.float64)
    q = np.asarray(levels, np.float64)
    return np.asarray(np.maximum(q * error, (q - 1) * error).mean(axis=-1), np.float64)


def _coverage(target: Numbers, _point: Numbers, quantiles: Numbers, levels: tuple[float, ...]) -> Float:
    return inside(target, quantiles, levels, nominal_coverage(levels))


def nominal_coverage(levels: Sequence[float]) -> float:
    """Nominal share of the widest interval that is symmetric in probability, such as 0.9 for quantiles from 0.05 to 0.95."""
    if len(levels) < 2 or abs(levels[0] + levels[-1] - 1) > 1e-9:
        raise DataError(f"coverage: the outer levels of {list(levels)} are not symmetric around 0.5; predict q and 1 - q")
    return float(levels[-1] - levels[0])


def _check_finite(*arrays: Numbers) -> None:
    for values in arrays:
        broken = int(np.count_nonzero(~np.isfinite(values)))
        if broken:
            raise DataError(f"metrics: {broken} of {np.size(values)} targets or predictions are not finite; a missing forecast is not scored as if it were one")


METRICS: dict[str, Metric] = {
    m.id: m
    for m in (
        Metric(
            "qlike",
            "QLIKE",
            "Loss of a variance forecast that still ranks forecasts rightly when realised variance is a noisy proxy, and that punishes "
            "too little variance more than too much (Patton 2011); 0 is perfect.",
            "",
            True,
            _qlike,
        ),
        Metric(
            "log_variance_mse",
            "MSE of log variance",
            "Mean squared error of log variance; 0.25 means that a typical forecast is off by a factor of about 1.65 in variance.",
            "log²",
            True,
            _log_variance_mse,
        ),
        Metric(
            "pinball",
            "Pinball loss",
            "Mean loss over the predicted quantiles, each of which is minimised in expectation by the true quantile; in units of the target.",
            "log",
            True,
            _pinball,
        ),
        Metric(
            "coverage",
            "Coverage",
            "Share of outcomes inside the widest predicted interval; best when it equals the interval's nominal share.",
            "share",
            None,
            _coverage,
        ),
    )
}
