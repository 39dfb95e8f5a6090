"""From decisions to weights that could have been held: what is decided at a close is filled at a later price, never at that one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finml_models.core.errors import DataError

from .costs import drifted, held_and_earned
from .statistics.arrays import Float, finite

Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What was held, when, and what it earned: rows that cannot look ahead.

    Row i holds `weights` (t, assets), decided at `decided` (t,), from the fill at `times[i]` to `times[i + 1]` (t + 1,), and its
    assets return `asset_returns` (t, assets) meanwhile: simple returns, in excess of the riskless rate if Sharpe ratios are to
    be. What the weights lack to 1 is cash and earns nothing. Raises `DataError` for shapes that do not fit, values that are
    not finite, times that do not ascend, and a decision that is not older than its fill.
    """

    weights: Float
    asset_returns: Float
    times: Times
    decided: Times

    def __post_init__(self) -> None:
        weights, returns = held_and_earned(self.weights, self.asset_returns)
        decided, times = _in_order(self.decided, self.times, len(weights))
        for name, array in {"weights": weights, "asset_returns": returns, "times": times, "decided": decided}.items():
            own = array.copy()
            own.setflags(write=False)
            object.__setattr__(self, name, own)


def fill_at_next_close(decisions: ArrayLike, returns: ArrayLike, dates: ArrayLike, *, every: int = 1) -> Holdings:
    """Weights decided at closes, each filled at the next close: the first return that a decision of date t earns is that of t + 2.

    `decisions`, `returns` (d, assets) and `dates` (d,) are rows of one calendar: the weights wanted with what is known at the
    close of a date, and the simple returns up to that close from the one before. Shapes of the result: t = d - 2 rows. With
    `every` > 1 only every so many rows a decision is traded, and the weights drift in between. The first two returns are never
    earned and may be NaN. Raises `DataError` for shapes that do not fit or fewer than 3 dates.
    """
    wanted, earned, day = np.asarray(decisions, np.float64), np.asarray(returns, np.float64), np.asarray(dates, "datetime64[us]")
    if wanted.ndim != 2 or wanted.shape != earned.shape or day.shape != wanted.shape[:1] or len(day) < 3:
        raise DataError(f"holdings: decisions {wanted.shape}, returns {earned.shape}, dates {day.shape}; give (d, assets) twice and (d,), at least 3 dates")
    if every < 1:
        raise DataError(f"holdings: every is {every}; trade every row (1) or less often")
    row = np.arange(len(day) - 2)
    weights, earned = finite("holdings: decisions", wanted[:-2], ndim=2).copy(), finite("holdings: returns", earned[2:], ndim=2)
    for i in row[row % every != 0]:
        weights[i] = drifted(weights[i - 1], earned[i - 1])
    return Holdings(weights, earned, day[1:], day[row - row % every])


def _in_order(decided: ArrayLike, times: ArrayLike, rows: int) -> tuple[Times, Times]:
    """`decided` (rows,) and `times` (rows + 1,), or a `DataError` that names the first row that is not in order."""
    when, border = np.asarray(decided, "datetime64[us]"), np.asarray(times, "datetime64[us]")
    if border.shape != (rows + 1,) or when.shape != (rows,):
        raise DataError(
            f"holdings: {rows} rows of weights, times of shape {border.shape} and decided of shape {when.shape}; give ({rows + 1},) times, the fill of "
            f"every row and the end of the last, and ({rows},) moments of decision: one time a row cannot say that a decision came before its fill"
        )
    if np.isnat(border).any() or np.isnat(when).any():
        raise DataError("holdings: a time is missing (NaT); give the moment of every fill and decision")
    if (late := np.flatnonzero(np.diff(border) <= np.timedelta64(0))).size:
        raise DataError(f"holdings: time {border[late[0] + 1]} follows {border[late[0]]}; order rows by time, each once")
    if (ahead := np.flatnonzero(when >= border[:-1])).size:
        i = int(ahead[0])
        raise DataError(
            f"holdings: look-ahead in {ahead.size} of {rows} rows; row {i} was decided at {when[i]} and filled at {border[i]}, a price that the "
            "decision saw or that lies before it; fill at a later one (`fill_at_next_close`)"
        )
    return when, border
