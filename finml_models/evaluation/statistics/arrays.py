"""What every test of this package accepts: finite numbers of equal shape, or an error that says what to do."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finml_models.core.errors import DataError

Float = NDArray[np.float64]
Alternative = Literal["less", "greater", "two-sided"]


def finite(who: str, values: ArrayLike, *, ndim: int = 1, least: int = 1) -> Float:
    """`values` as float64 with `ndim` dimensions; raises `DataError` for another shape, fewer than `least` rows or values that are not finite."""
    array = np.asarray(values, np.float64)
    if array.ndim != ndim:
        raise DataError(f"{who}: needs {ndim} dimension{'s' if ndim > 1 else ''}, got shape {array.shape}; pass one value a row, ordered by date")
    if len(array) < least:
        raise DataError(f"{who}: {len(array)} rows are too few, it needs {least}; score more dates")
    if not np.isfinite(array).all():
        raise DataError(f"{who}: {int((~np.isfinite(array)).sum())} of {array.size} values are not finite; drop or fill those dates on all sides first")
    return array


def paired(who: str, a: ArrayLike, b: ArrayLike, *, least: int = 1) -> tuple[Float, Float]:
    """Two finite series (n,) of equal length."""
    x, y = finite(who, a, least=least), finite(who, b, least=least)
    if x.shape != y.shape:
        raise DataError(f"{who}: needs two series of equal length, got {len(x)} and {len(y)}; align them by date first")
    return x, y


def events(who: str, values: ArrayLike) -> NDArray[np.bool_]:
    """0/1 or boolean indicators (n,) as booleans."""
    array = finite(who, np.asarray(values, np.float64))
    if not np.isin(array, (0.0, 1.0)).all():
        raise DataError(f"{who}: indicators are 0 or 1, got {array[~np.isin(array, (0.0, 1.0))][0]:g}; compare with a threshold first")
    return array.astype(np.bool_)


def probability(who: str, name: str, value: float) -> float:
    """`value` if it lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise DataError(f"{who}: {name} is {value}; it must lie strictly between 0 and 1")
    return value


def normal_p(statistic: ArrayLike, alternative: Alternative) -> Float:
    """p-values of statistics that are standard normal under the null."""
    from scipy.special import ndtr

    z = np.asarray(statistic, np.float64)
    return np.asarray({"less": ndtr(z), "greater": ndtr(-z), "two-sided": 2 * ndtr(-np.abs(z))}[alternative])
