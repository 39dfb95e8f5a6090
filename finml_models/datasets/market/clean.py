"""The declared rules: every defect of a market frame is refused or repaired, and counted.

Pure pandas and numpy, because the rows of a prediction request pass the same rules in the serving process. Row numbers in
messages are the labels of the frame's index, so a source that reads files sets the index to the file's row numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError

from .policy import Action, Gap, Policy, Repairs, Split
from .sessions import Sessions
from .times import session_dates

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
REQUIRED = ("entity", "time", "close")
INPUT = ("entity", "time", *VALUES)
COLUMNS = (*INPUT, "known_at")

SPLITS = np.array([2, 3, 1.5, 4, 5, 10, 1 / 2, 1 / 3, 2 / 3, 1 / 4, 1 / 5, 1 / 10])
LONGEST_NAME = 64
UNSPEAKABLE = re.compile("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, overrides of the writing direction and lone surrogates have no place in the name of an asset."""
EARLIEST_ZONE = np.timedelta64(14, "h")
"""No place's date begins earlier than 14 hours before the date in UTC does."""


@dataclass(frozen=True)
class RowRule:
    """A defect of single rows. `name` is the field of `Policy` and of `Repairs`."""

    name: str
    problem: str
    remedy: str


MISSING = RowRule("missing_prices", "a price is missing", "give open, high and low all three or none, and always a close, or leave the row out")
BAD = RowRule("bad_prices", "prices are positive and finite, volumes finite and not negative", "correct the value or leave the row out")
BARS = RowRule("contradictory_bars", "the high is the largest and the low the smallest price of its bar", "correct the bar or give the close alone")
CLOSED = RowRule("non_sessions", "the exchange was closed on this day", "leave the row out, or name the calendar that the asset trades on")
TWICE = RowRule("exact_duplicates", "the row repeats an earlier one", "send each session once")


def clean(
    frame: pd.DataFrame, *, policy: Policy | None = None, calendar_sessions: Sessions | None = None, now: datetime | None = None
) -> tuple[pd.DataFrame, Repairs]:
    """The raw market frame of some rows, and what was done to them.

    In: columns `entity time close`, optionally `open high low volume`, in any row order. Out: `COLUMNS`, a RangeIndex, sorted
    by (entity, time), one row an entity and session. `known_at` is the close of the session in UTC, or without a calendar the
    end of the day in UTC, which is never too early west of Greenwich. `now` (default: the clock) decides what lies in the future.
    Raises `DataError` naming row, column, value and remedy.
    """
    policy = policy or Policy()
    counts: Counter[str] = Counter(rows_in=len(frame))
    rows = _typed(frame)
    rows["time"], counts["converted_times"] = session_dates(frame["time"], calendar_sessions.zone if calendar_sessions else policy.time_zone)
    _refuse_future(rows, now or datetime.now(UTC))
    rows = _apply(rows, _missing(rows), MISSING, policy.missing_prices, counts)
    rows = _apply(rows, _bad(rows), BAD, policy.bad_prices, counts)
    counts["widened_bars"] = _widen(rows, policy.rounding)
    rows = _apply(rows, _contradictory(rows), BARS, policy.contradictory_bars, counts)
    rows = _apply(rows, _all_of("time", rows.duplicated().to_numpy()), TWICE, policy.exact_duplicates, counts)
    _refuse_conflicts(rows)
    if calendar_sessions is not None:
        rows = _on_sessions(rows, calendar_sessions, policy, counts)
    rows, counts["unsorted"] = _sorted(rows)
    if rows.empty:
        raise DataError(f"no row is left of {counts['rows_in']}: {dict(counts)}: check the column mapping and the calendar")
    _refuse_few(rows, policy.minimum_rows)
    counts["missing_sessions"], longest = _gaps(rows, calendar_sessions, policy.longest_gap)
    counts["zero_volumes"] = int((rows["volume"] == 0).sum())
    dates = rows["time"].to_numpy()
    rows["known_at"] = dates + np.timedelta64(1, "D") if calendar_sessions is None else calendar_sessions.closes[calendar_sessions.positions(dates)]
    repairs = Repairs(**counts, rows_out=len(rows), longest_gap=longest, suspected_splits=_splits(rows, policy.split_tolerance))
    return rows[list(COLUMNS)], repairs


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The canonical columns as text and float64; `time` still to be parsed."""
    absent = [name for name in REQUIRED if name not in frame.columns]
    if absent:
        raise DataError(f"column(s) {', '.join(absent)} missing, the frame has {list(map(str, frame.columns))}: add or map them")
    extra = [str(name) for name in frame.columns if name not in INPUT]
    if extra:
        raise DataError(f"column(s) {', '.join(extra)[:200]} unexpected: send {', '.join(INPUT)} only")
    if not frame.columns.is_unique:
        raise DataError(f"a column occurs twice among {list(map(str, frame.columns))}: keep one of each")
    if frame.empty:
        raise DataError("the frame has no rows: send at least one session")
    columns = {"entity": _names(frame["entity"]), "time": pd.Series(np.datetime64("NaT", "us"), index=frame.index)}
    columns |= {name: _numbers(frame[name], columns["entity"]) if name in frame.columns else np.nan for name in VALUES}
    return pd.DataFrame(columns, index=frame.index)


def _names(entity: pd.Series) -> pd.Series:
    codes, names = pd.factorize(entity, use_na_sentinel=True)
    fit = np.array([isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and UNSPEAKABLE.search(name) is None for name in names] + [False])
    bad = ~fit[codes]  # -1, a missing name, picks the False at the end
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"row {entity.index[at]}, column `entity`, value {ascii(entity.iloc[at])[:80]}: a name is text of 1 to {LONGEST_NAME} printable characters: "
            f"correct it or leave the row out ({int(bad.sum())} such row(s))"
        )
    return entity.astype(str)


def _numbers(column: pd.Series, entity: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"column `{column.name}` holds true and false: give numbers")
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = (numbers.isna() & column.notna()).to_numpy()
    if bad.any():
        at = int(np.argmax(bad))
        where = f"row {column.index[at]}, column `{column.name}`, value {ascii(column.iloc[at])[:80]} ({entity.iloc[at]})"
        raise DataError(f"{where}: not a number: write 1234.5, or leave it empty ({int(bad.sum())} such row(s))")
    return numbers


def _missing(rows: pd.DataFrame) -> NDArray[np.bool_]:
    cells = rows[list(VALUES)].isna().to_numpy(copy=True)
    partial = cells[:, :3].any(axis=1) & ~cells[:, :3].all(axis=1)
    cells[:, :3] &= partial[:, None]
    cells[:, 4] = False
    return cells


def _bad(rows: pd.DataFrame) -> NDArray[np.bool_]:
    values = rows[list(VALUES)].to_numpy()
    return np.isinf(values) | (values < 0) | ((values == 0) & (np.arange(len(VALUES)) < len(PRICES)))


def _widen(rows: pd.DataFrame, tolerance: float) -> int:
    """Move highs and lows that rounding left inside their bar, in place."""
    top, bottom = rows[list(PRICES)].max(axis=1), rows[list(PRICES)].min(axis=1)
    high = (rows["high"] < top) & (top - rows["high"] <= tolerance * top)
    low = (rows["low"] > bottom) & (rows["low"] - bottom <= tolerance * bottom)
    rows["high"], rows["low"] = rows["high"].mask(high, top), rows["low"].mask(low, bottom)
    return int((high | low).sum())


def _contradictory(rows: pd.DataFrame) -> NDArray[np.bool_]:
    cells = np.zeros((len(rows), len(VALUES)), dtype=bool)
    cells[:, 1] = rows["high"] < rows[list(PRICES)].max(axis=1)
    cells[:, 2] = rows["low"] > rows[list(PRICES)].min(axis=1)
    return cells


def _all_of(column: str, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A defect of whole rows, shown at one column. Shape: (n,) -> (n, values + 1) with `time` as the last column."""
    cells = np.zeros((len(bad), len(VALUES) + 1), dtype=bool)
    cells[:, (*VALUES, "time").index(column)] = bad
    return cells


def _apply(rows: pd.DataFrame, cells: NDArray[np.bool_], rule: RowRule, action: Action, counts: Counter[str]) -> pd.DataFrame:
    bad = cells.any(axis=1)
    if not bad.any():
        return rows
    if action == "refuse":
        at = int(np.argmax(bad))
        _refuse(rows, at, (*VALUES, "time")[int(np.argmax(cells[at]))], rule, int(bad.sum()))
    counts[rule.name] = int(bad.sum())
    return rows[~bad]


def _refuse(rows: pd.DataFrame, at: int, column: str, rule: RowRule, many: int = 1) -> None:
    row = rows.iloc[at]
    where = f"row {rows.index[at]}, column `{column}`, value {row[column]} ({row['entity']}, {row['time']:%Y-%m-%d})"
    raise DataError(f"{where}: {rule.problem}: {rule.remedy} ({many} such row(s))")


def _refuse_future(rows: pd.DataFrame, now: datetime) -> None:
    latest = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us") + EARLIEST_ZONE
    future = (rows["time"] > latest).to_numpy()
    if future.any():
        _refuse(rows, int(np.argmax(future)), "time", RowRule("future", "the session lies in the future", "send closed sessions only"), int(future.sum()))


def _refuse_conflicts(rows: pd.DataFrame) -> None:
    again = rows.duplicated(["entity", "time"]).to_numpy()
    if not again.any():
        return
    at = int(np.argmax(again))
    row = rows.iloc[at]
    first = rows[((rows["entity"] == row["entity"]) & (rows["time"] == row["time"])).to_numpy()].iloc[0]
    column = next(name for name in VALUES if row[name] != first[name] and not (pd.isna(row[name]) and pd.isna(first[name])))
    problem = f"contradicts row {first.name}, which says {first[column]}"
    _refuse(rows, at, column, RowRule("conflict", problem, "keep the row that is right: one a session"), int(again.sum()))


def _on_sessions(rows: pd.DataFrame, sessions: Sessions, policy: Policy, counts: Counter[str]) -> pd.DataFrame:
    closed = sessions.positions(rows["time"].to_numpy()) < 0
    share = float(closed.mean()) if len(closed) else 0.0
    action = "refuse" if share > policy.non_session_share else policy.non_sessions
    return _apply(rows, _all_of("time", closed), CLOSED, action, counts)


def _sorted(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Sorted rows under a fresh index, and how many rows stood before a row that belongs in front of them."""
    order = np.lexsort((rows["time"].to_numpy(), pd.factorize(rows["entity"], sort=True)[0]))
    return rows.iloc[order].reset_index(drop=True), int((np.diff(order) < 0).sum())


def _refuse_few(rows: pd.DataFrame, minimum: int) -> None:
    lengths = rows["entity"].value_counts(sort=False)
    few = lengths[lengths < minimum]
    if len(few):
        raise DataError(f"entity {few.index[0]!r} has {few.iloc[0]} row(s), {minimum} are needed: send more history ({len(few)} such entities)")


def _gaps(rows: pd.DataFrame, sessions: Sessions | None, limit: int) -> tuple[int, Gap | None]:
    """Sessions (weekdays without a calendar) that are missing between an entity's first and last, and the longest run of them."""
    dates = rows["time"].to_numpy()
    same = (rows["entity"].to_numpy()[1:] == rows["entity"].to_numpy()[:-1]).astype(bool)
    if sessions is None:
        days = dates.astype("datetime64[D]")
        absent = np.busday_count(days[:-1] + 1, days[1:])
    else:
        absent = np.diff(sessions.positions(dates)) - 1
    absent = np.where(same, absent, 0)
    if not absent.any():
        return 0, None
    at = int(np.argmax(absent))
    after, before = pd.Timestamp(dates[at]).date(), pd.Timestamp(dates[at + 1]).date()
    gap = Gap(entity=rows["entity"].iloc[at], after=after, before=before, sessions=int(absent[at]))
    if gap.sessions > limit:
        kind = "weekdays" if sessions is None else f"sessions of {sessions.calendar}"
        remedy = "fill the gap from the source, or give the part after it a name of its own"
        raise DataError(f"column `time`: {gap.entity} lacks {gap.sessions} {kind} between {after} and {before}, at most {limit} may be missing: {remedy}")
    return int(absent.sum()), gap


def _splits(rows: pd.DataFrame, tolerance: float) -> tuple[Split, ...]:
    """Overnight returns close to a simple ratio. Where there is an open it must show the jump too, or it was a trading day."""
    close, opening = np.log(rows["close"].to_numpy()), np.log(rows["open"].to_numpy())
    same = (rows["entity"].to_numpy()[1:] == rows["entity"].to_numpy()[:-1]).astype(bool)
    logs = np.log(SPLITS)
    distance = np.abs(np.diff(close)[:, None] + logs)  # (n - 1, ratios): two shares for one halve the price
    nearest = distance.argmin(axis=1)
    overnight = opening[1:] - close[:-1] + logs[nearest]
    found = same & (distance.min(axis=1) <= tolerance) & (np.isnan(overnight) | (np.abs(overnight) <= 2 * tolerance))
    at = np.flatnonzero(found)
    names, dates = rows["entity"].iloc[at + 1], rows["time"].iloc[at + 1]
    return tuple(Split(entity=n, time=d.date(), ratio=round(float(SPLITS[nearest[i]]), 4)) for n, d, i in zip(names, dates, at, strict=True))
