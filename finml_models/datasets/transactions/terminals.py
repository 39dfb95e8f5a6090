"""What a terminal's history says at each transaction, and which transaction of its account each one is: computed from the rows themselves.

For simulated rows and for files that lack the columns. Each value depends on what was known before its own moment alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY = 86_400
Seconds = NDArray[np.int64]


def numbered(frame: pd.DataFrame) -> pd.Series:
    """(n,) number of each transaction in its account, from 1, by time; rows of one moment share theirs, as copies do."""
    return frame.groupby("entity")["time"].rank(method="dense").astype("int64")


def count_1d(frame: pd.DataFrame) -> pd.Series:
    """(n,) transactions at the terminal in the day before."""
    return _visits(frame, 1)


def count_7d(frame: pd.DataFrame) -> pd.Series:
    """(n,) transactions at the terminal in the seven days before."""
    return _visits(frame, 7)


def reports_28d(frame: pd.DataFrame) -> pd.Series:
    """(n,) frauds at the terminal reported in the 28 days before; none where nothing says when anything was reported."""
    code = pd.factorize(frame["terminal"])[0]
    there = frame["reported_at"].notna().to_numpy()
    events = seconds(frame["reported_at"][there])
    return pd.Series(_between(code[there], events, code, seconds(frame["time"]), 28 * DAY), index=frame.index)


def _visits(frame: pd.DataFrame, days: int) -> pd.Series:
    code, at = pd.factorize(frame["terminal"])[0], seconds(frame["time"])
    return pd.Series(_between(code, at, code, at, days * DAY), index=frame.index)


def _between(code: NDArray[np.intp], events: Seconds, who: NDArray[np.intp], at: Seconds, length: int) -> NDArray[np.float64]:
    """(n,) how many events of `who` lie in [at - length, at): sorted once, counted by bisection."""
    if not len(events) or not len(at):
        return np.zeros(len(at))
    start = min(int(events.min()), int(at.min()) - length)
    span = max(int(events.max()), int(at.max())) - start + 1
    keys = np.sort(code.astype(np.int64) * span + events - start)
    base = who.astype(np.int64) * span + at - start
    return (np.searchsorted(keys, base) - np.searchsorted(keys, base - length)).astype(np.float64)


def seconds(times: pd.Series) -> Seconds:
    """(n,) whole seconds since 1970."""
    return times.to_numpy("datetime64[us]").astype("datetime64[s]").astype(np.int64)
