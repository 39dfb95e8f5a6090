"""Rules for realised variances: an asset has them whole or not at all, and in the unit of its own returns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

SQUARED_NORMAL_MEDIAN = 0.455
"""Median of the square of a standard normal: what divides the median squared return to give a variance that no split disturbs."""
LEAST_RETURNS = 22
"""Fewer returns do not tell one unit from another."""


def held_in_part(code: NDArray[np.int64], realised: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows of the entities with a realised variance on some rows and none (NaN) on others. Shapes: (n,), (n,) -> (n,)."""
    there = ~np.isnan(realised)
    held, lengths = np.bincount(code, weights=there), np.bincount(code)
    return ((held > 0) & (held < lengths))[code]


def refuse_wrong_unit(names: NDArray[np.object_], code: NDArray[np.int64], close: NDArray[np.float64], realised: NDArray[np.float64], factor: float) -> None:
    """Realised variances that are not within `factor` of what the closes say are volatilities, in per cent or annual: `DataError`.

    Of rows sorted by entity and time, shapes (s,) and three of (n,). Medians, so that neither a split nor a crash decides; a price
    that stands still on most days, or a history under `LEAST_RETURNS`, cannot be judged and passes.
    """
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(code)), strict=True):
        if end - start <= LEAST_RETURNS or np.isnan(realised[start]):
            continue
        given = float(np.median(realised[start:end]))
        expected = float(np.median(np.diff(np.log(close[start:end])) ** 2)) / SQUARED_NORMAL_MEDIAN
        if expected > 0 and not expected / factor <= given <= expected * factor:
            raise DataError(
                f"column `realised_variance`: the median of {names[code[start]]} is {given:.3g}, where its closes say {expected:.3g} a day; a factor of "
                f"{factor:g} is the most that is plausible: give the variance of a session's log return, not its volatility, not in per cent, not annualised"
            )
