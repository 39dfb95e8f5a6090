"""Small market frames without a defect."""

from __future__ import annotations

import numpy as np
import pandas as pd

# The second week of January 2020: five sessions of the New York Stock Exchange, no holiday.
WEEK = pd.date_range("2020-01-06", periods=5, unit="us")


def bars(entity: str = "A", *, days: pd.DatetimeIndex = WEEK, first: float = 100.0) -> pd.DataFrame:
    """Bars without a defect, a dollar up each day."""
    close = first + np.arange(len(days), dtype=float)
    columns = {"open": close - 0.5, "high": close + 1, "low": close - 1, "close": close, "volume": close * 10}
    return pd.DataFrame({"entity": entity, "time": days, **columns})


def closes(entity: str = "A", *, days: pd.DatetimeIndex = WEEK, first: float = 100.0) -> pd.DataFrame:
    return bars(entity, days=days, first=first)[["entity", "time", "close"]]
