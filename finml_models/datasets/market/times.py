"""Timestamps of any source as session dates of the exchange."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError

OFFSET = r"[T ]\d{2}:\d{2}.*?(Z|[+-]\d{2}:?\d{2}(?::?\d{2})?)$"
ONE_HOUR = 3600


def session_dates(time: pd.Series, zone: str) -> tuple[NDArray[np.datetime64], int]:
    """The session date of each timestamp, (n,) datetime64[us] at midnight, and how many timestamps were converted.

    A timestamp without a zone is the exchange's local time. One with a zone is a moment, converted to `zone` -- unless all
    are midnights of their own zone: daily data exported as midnight UTC carries dates, not moments, and converting them
    would move every row to the day before. Offsets may differ by an hour (daylight saving); wider apart, or beside
    timestamps without a zone, they are refused. Raises `DataError`.
    """
    if isinstance(time.dtype, pd.DatetimeTZDtype):
        return _moments(time, time.dt.tz_localize(None), zone)
    if pd.api.types.is_datetime64_dtype(time.dtype):
        _refuse_missing(time, time)
        return _midnights(time)
    if pd.api.types.is_numeric_dtype(time.dtype):
        raise DataError(f"`time` holds numbers (first value {time.iloc[0]!r}), which could count seconds or days: give ISO 8601 dates, 2024-01-31")
    return _texts(time, zone)


def _texts(time: pd.Series, zone: str) -> tuple[NDArray[np.datetime64], int]:
    text = time.astype(str).str.strip()
    offset = text.str.extract(OFFSET, expand=False)
    aware = offset.notna().to_numpy()
    if aware.any() and not aware.all():
        at = int(np.argmax(aware != aware[0]))
        kinds = {False: "without", True: "with"}
        raise DataError(
            f"row {time.index[at]}, column `time`, value {text.iloc[at]!r}: {kinds[bool(aware[at])]} a time zone after rows {kinds[bool(aware[0])]}: "
            "write all timestamps in one zone"
        )
    moment = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    _refuse_missing(time, moment)
    if not aware.any():
        return _midnights(moment.dt.tz_localize(None))
    seconds = _offset_seconds(offset)
    if np.ptp(seconds) > ONE_HOUR:
        at = int(np.argmax(np.abs(seconds - seconds[0]) > ONE_HOUR))
        raise DataError(
            f"row {time.index[at]}, column `time`, value {text.iloc[at]!r}: offset {offset.iloc[at]} after {offset.iloc[0]}, more than "
            "daylight saving explains: write all timestamps in one zone"
        )
    return _moments(moment, moment.dt.tz_localize(None) + pd.to_timedelta(seconds, unit="s"), zone)


def _moments(moment: pd.Series, own: pd.Series, zone: str) -> tuple[NDArray[np.datetime64], int]:
    """Dates of aware timestamps, of which `own` is the wall clock in the zone they were written in."""
    _refuse_missing(moment, moment)
    if (own == own.dt.normalize()).all():
        return own.to_numpy(dtype="datetime64[us]"), 0
    return _midnights(moment.dt.tz_convert(zone).dt.tz_localize(None))[0], len(moment)


def _midnights(time: pd.Series) -> tuple[NDArray[np.datetime64], int]:
    date = time.dt.normalize()
    return date.to_numpy(dtype="datetime64[us]"), int((date != time).sum())


def _offset_seconds(offset: pd.Series) -> NDArray[np.int64]:
    """Seconds east of Greenwich. The few distinct offsets are parsed once each."""
    codes, texts = pd.factorize(offset)
    return np.array([_seconds(text) for text in texts], dtype=np.int64)[codes]


def _seconds(text: str) -> int:
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(6, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    return -seconds if text[0] == "-" else seconds


def _refuse_missing(raw: pd.Series, parsed: pd.Series) -> None:
    bad = parsed.isna().to_numpy()
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(f"row {raw.index[at]}, column `time`, value {str(raw.iloc[at])[:80]!r}: not a date: give ISO 8601, 2024-01-31")
