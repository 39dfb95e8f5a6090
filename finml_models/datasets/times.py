"""Timestamps of any source as session dates of an exchange, or as moments told in one zone."""

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
    own, moment = _read(time)
    if moment is None:
        return _midnights(own)
    if _all_midnights(own):
        return own.to_numpy(dtype="datetime64[us]"), 0
    return _midnights(moment.dt.tz_convert(zone).dt.tz_localize(None))[0], len(moment)


def moments(time: pd.Series, zone: str | None) -> tuple[NDArray[np.datetime64], int]:
    """Each timestamp as told in `zone`, (n,) datetime64[us], and how many were converted. The rules are those of `session_dates`.

    Without a `zone` only timestamps without one, and dates, can be read: how much to shift the others would be a guess.
    """
    own, moment = _read(time)
    if moment is None or _all_midnights(own):
        return own.to_numpy(dtype="datetime64[us]"), 0
    if zone is None:
        raise DataError(
            f"row {time.index[0]}, column `{time.name}`, value {str(time.iloc[0])!r}: a timestamp with a zone, and nothing says in which zone the times "
            "are kept: name it in `clock`, America/New_York"
        )
    return moment.dt.tz_convert(zone).dt.tz_localize(None).to_numpy(dtype="datetime64[us]"), len(moment)


def in_zone(time: pd.Series, zone: str) -> pd.Series:
    """Timestamps that carry no zone, in the zone that the settings name. Raises `DataError`."""
    if isinstance(time.dtype, pd.DatetimeTZDtype):
        raise DataError(f"`time_zone` = {zone!r}, but the timestamps of `{time.name}` carry the zone {time.dt.tz}: leave `time_zone` out")
    try:
        read = pd.to_datetime(time, format=None if pd.api.types.is_datetime64_dtype(time.dtype) else "ISO8601")
        return read.dt.tz_localize(zone)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"`{time.name}` cannot be read as local times of `time_zone` = {zone!r}: {error}: correct the zone or the timestamps") from error


def _read(time: pd.Series) -> tuple[pd.Series, pd.Series | None]:
    """Wall clocks as they were written, and the moments in time where all carry a zone."""
    if isinstance(time.dtype, pd.DatetimeTZDtype):
        _refuse_missing(time, time)
        return time.dt.tz_localize(None), time
    if pd.api.types.is_datetime64_dtype(time.dtype):
        _refuse_missing(time, time)
        return time, None
    if pd.api.types.is_numeric_dtype(time.dtype):
        raise DataError(f"`{time.name}` holds numbers (first value {time.iloc[0]!r}), which could count seconds or days: give ISO 8601 dates, 2024-01-31")
    return _texts(time)


def _texts(time: pd.Series) -> tuple[pd.Series, pd.Series | None]:
    text = time.astype(str).str.strip()
    offset = text.str.extract(OFFSET, expand=False)
    aware = offset.notna().to_numpy()
    if aware.any() and not aware.all():
        at = int(np.argmax(aware != aware[0]))
        kinds = {False: "without", True: "with"}
        raise DataError(
            f"row {time.index[at]}, column `{time.name}`, value {text.iloc[at]!r}: {kinds[bool(aware[at])]} a time zone after rows "
            f"{kinds[bool(aware[0])]}: write all timestamps in one zone"
        )
    moment = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    _refuse_missing(time, moment)
    if not aware.any():
        return moment.dt.tz_localize(None), None
    seconds = _offset_seconds(offset)
    if np.ptp(seconds) > ONE_HOUR:
        at = int(np.argmax(np.abs(seconds - seconds[0]) > ONE_HOUR))
        raise DataError(
            f"row {time.index[at]}, column `{time.name}`, value {text.iloc[at]!r}: offset {offset.iloc[at]} after {offset.iloc[0]}, more than "
            "daylight saving explains: write all timestamps in one zone"
        )
    return moment.dt.tz_localize(None) + pd.to_timedelta(seconds, unit="s"), moment


def _all_midnights(own: pd.Series) -> bool:
    return bool((own == own.dt.normalize()).all())


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
        raise DataError(f"row {raw.index[at]}, column `{raw.name}`, value {str(raw.iloc[at])[:80]!r}: not a date: give ISO 8601, 2024-01-31")
