"""The sessions of an exchange and the moments at which they close."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError, UnknownName
from finml_models.datasets.times import session_dates

EARLIEST = np.datetime64("1885-01-01")
"""exchange_calendars knows no holiday before."""


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions in ascending order. Shapes: `dates` (n,) midnights, `closes` (n,) in UTC, both datetime64[us] without a zone."""

    calendar: str
    zone: str
    dates: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]

    def positions(self, dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Position of each date among the sessions, -1 where the exchange was closed. Shape: (n,) -> (n,)."""
        at = np.searchsorted(self.dates, dates).clip(max=len(self.dates) - 1)
        return np.where(self.dates[at] == dates, at, -1)


def sessions(calendar: str, first: np.datetime64, last: np.datetime64) -> Sessions:
    """The sessions of a calendar (an ISO 10383 code, XNYS) that cover `first` to `last`, both included.

    Raises `UnknownName` for a calendar that exchange_calendars does not hold, `DataError` for years that it does not cover.
    """
    if first < EARLIEST:
        raise DataError(f"the first session, {first.astype('datetime64[D]')}, lies before {EARLIEST}: correct the year or leave those rows out")
    years = first.astype("datetime64[Y]"), last.astype("datetime64[Y]")
    return _sessions(calendar, str(years[0]), str(years[1]))


def covering(calendar: str, time: pd.Series) -> Sessions:
    """The sessions around some timestamps of any kind. Raises as `sessions` and `session_dates` do."""
    if time.empty:
        raise DataError("the source has no rows: check its file or query")
    dates, _ = session_dates(time, "UTC")  # up to a day off, until the calendar says its zone
    day, today = np.timedelta64(1, "D"), np.datetime64("today")
    return sessions(calendar, min(dates.min(), today) - day, min(dates.max(), today) + day)


def last_session(now: datetime, calendar: str = "XNYS") -> date:
    """The newest session that had closed at an aware moment."""
    moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
    held = sessions(calendar, moment - np.timedelta64(366, "D"), moment)
    return held.dates[np.searchsorted(held.closes, moment, side="right") - 1].astype("datetime64[D]").item()


@lru_cache(maxsize=16)
def _sessions(calendar: str, first_year: str, last_year: str) -> Sessions:
    import exchange_calendars

    known = exchange_calendars.get_calendar_names()
    if calendar not in known:
        raise UnknownName("calendar", calendar, known)
    try:
        held = exchange_calendars.get_calendar(calendar, start=f"{first_year}-01-01", end=f"{last_year}-12-31")
    except ValueError as error:
        raise DataError(f"calendar {calendar!r} does not cover {first_year} to {last_year}: {error}: name another calendar or leave out those years") from error
    closes = held.closes.dt.tz_localize(None)
    dates, moments = closes.index.to_numpy(dtype="datetime64[us]"), closes.to_numpy(dtype="datetime64[us]")
    return Sessions(calendar=calendar, zone=str(held.tz), dates=dates, closes=moments)
