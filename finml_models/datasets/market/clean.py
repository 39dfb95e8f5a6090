"""The declared rules: every defect of a market frame is refused or repaired, and counted.

Light, because the rows of a prediction request pass the same rules in the serving process: pandas at the two ends only, numpy
in between (66 rows are a matter of a few milliseconds). Row numbers in messages are the labels of the frame's index, so a
source that reads files sets the index to the file's row numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.datasets.numeric import numbers
from finml_models.datasets.times import session_dates

from .faults import MOST
from .policy import Action, Gap, PartAction, Policy, Repairs, Split
from .realised import held_in_part, refuse_wrong_unit
from .sessions import Sessions

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume", "realised_variance", "anomaly")
OPEN, HIGH, LOW, CLOSE, VOLUME, REALISED, ANOMALY = range(7)
REQUIRED = ("entity", "time", "close")
INPUT = ("entity", "time", *VALUES)
COLUMNS = (*INPUT, "known_at")
OPTIONAL = frozenset({"realised_variance", "anomaly"})
"""Columns that a cleaned frame holds only where an asset has a value there; the others are always there, empty or not."""

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
BAD_VARIANCE = RowRule("bad_variances", "a realised variance is positive and finite", "correct the value or leave the row out")
PARTIAL = RowRule(
    "partial_variances",
    "the asset has a realised variance on other rows and none here, and would be measured in two ways",
    "give it on all rows of an asset or on none; for files, the rule partial_variances drops such rows or ignores the variances of the asset",
)
BAD_LABEL = RowRule("bad_labels", f"an anomaly is a whole number from 0 (none) to {MOST}", "correct the label or leave it empty")
BARS = RowRule("contradictory_bars", "the high is the largest and the low the smallest price of its bar", "correct the bar or give the close alone")
CLOSED = RowRule("non_sessions", "the exchange was closed on this day", "leave the row out, or name the calendar that the asset trades on")
TWICE = RowRule("exact_duplicates", "the row repeats an earlier one", "send each session once")
FUTURE = RowRule("future", "the session lies in the future", "send closed sessions only")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows on their way through the rules. Shapes: `names` (s,) ascending; `labels`, `code`, `time` (n,); `numbers` (n, 7)."""

    names: NDArray[np.object_]
    labels: NDArray[np.generic]
    code: NDArray[np.int64]
    time: NDArray[np.datetime64]
    numbers: NDArray[np.float64]

    def take(self, at: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """The rows of a mask or of positions."""
        return Rows(self.names, self.labels[at], self.code[at], self.time[at], self.numbers[at])

    def again(self) -> NDArray[np.bool_]:
        """Of sorted rows: whether the row before is of the same entity. Shape: (n - 1,)."""
        return self.code[1:] == self.code[:-1]


def clean(
    frame: pd.DataFrame, *, policy: Policy | None = None, calendar_sessions: Sessions | None = None, now: datetime | None = None
) -> tuple[pd.DataFrame, Repairs]:
    """The raw market frame of some rows, and what was done to them.

    In: columns `entity time close`, optionally `open high low volume realised_variance anomaly`, in any row order. Out: `COLUMNS`,
    the `OPTIONAL` ones where an asset has them, a RangeIndex, sorted by (entity, time), one row an entity and session. `known_at` is the
    close of the session in UTC, or without a calendar the end of the day in UTC, which is too early only for exchanges that close
    after midnight UTC. `now` (default: the clock) decides what lies in the future. Raises `DataError` naming row, column, value
    and remedy.
    """
    policy = policy or Policy()
    rows, converted = _typed(frame, calendar_sessions.zone if calendar_sessions else policy.time_zone)
    counts: Counter[str] = Counter(rows_in=len(frame), converted_times=converted)
    rows, longest = ruled(rows, policy, counts, calendar_sessions=calendar_sessions, now=now)
    counts["zero_volumes"] = int((rows.numbers[:, VOLUME] == 0).sum())
    repairs = Repairs(**counts, rows_out=len(rows.code), longest_gap=longest, suspected_splits=_splits(rows, policy.split_tolerance))
    return framed(rows, calendar_sessions), repairs


def ruled(
    rows: Rows, policy: Policy, counts: Counter[str], *, calendar_sessions: Sessions | None = None, now: datetime | None = None
) -> tuple[Rows, Gap | None]:
    """The rules of `clean` on rows that are arrays already, sorted by (entity, time) afterwards, and their longest gap; repairs are added to `counts`."""
    rows = _apply(rows, _future(rows, now or datetime.now(UTC)), FUTURE, "refuse", counts)
    rows = _apply(rows, _missing(rows), MISSING, policy.missing_prices, counts)
    rows = _apply(rows, _bad(rows), BAD, policy.bad_prices, counts)
    rows = _apply(rows, _bad_variances(rows), BAD_VARIANCE, policy.bad_variances, counts)
    rows = _apply(rows, _bad_labels(rows), BAD_LABEL, "refuse", counts)
    rows, counts["widened_bars"] = _widened(rows, policy.rounding)
    rows = _apply(rows, _contradictory(rows), BARS, policy.contradictory_bars, counts)
    order = np.lexsort((rows.time, rows.code))
    rows, counts["unsorted"] = rows.take(order), int((np.diff(order) < 0).sum())
    rows = _apply(rows, _repeated(rows), TWICE, policy.exact_duplicates, counts)
    _refuse_conflicts(rows)
    if calendar_sessions is not None:
        closed = calendar_sessions.positions(rows.time) < 0
        too_many = closed.sum() > policy.non_session_share * len(closed)
        rows = _apply(rows, closed, CLOSED, "refuse" if too_many else policy.non_sessions, counts)
    rows = _whole_variances(rows, policy.partial_variances, counts)
    _refuse_few(rows, policy.minimum_rows, counts)
    refuse_wrong_unit(rows.names, rows.code, rows.numbers[:, CLOSE], rows.numbers[:, REALISED], policy.variance_scale)
    counts["missing_sessions"], longest = _gaps(rows, calendar_sessions, policy.longest_gap)
    return rows, longest


def _typed(frame: pd.DataFrame, zone: str) -> tuple[Rows, int]:
    """The rows as arrays, and how many timestamps were converted."""
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
    code, names = coded(frame["entity"].to_numpy(object), frame.index.to_numpy())
    time, converted = session_dates(frame["time"], zone)
    values = np.full((len(frame), len(VALUES)), np.nan)
    for position, name in enumerate(VALUES):
        if name in frame.columns:
            values[:, position] = numbers(frame[name])
    return Rows(names, frame.index.to_numpy(), code, time, values), converted


def coded(entity: NDArray[np.object_], labels: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Position of each row's entity among the names, and the names in ascending order. Raises `DataError` for what is no name."""
    try:
        codes, found = pd.factorize(entity)
    except TypeError as error:
        raise DataError(f"column `entity` holds what is no text ({error}): give names") from error
    names = np.array([*found, None], dtype=object)
    bad = np.array([not is_name(name) for name in names])[codes]
    if bad.any():  # a missing name has code -1, which picks the None at the end
        at = int(np.argmax(bad))
        raise DataError(
            f"row {labels[at]}, column `entity`, value {ascii(entity[at])[:80]}: a name is text of 1 to {LONGEST_NAME} printable characters: "
            f"correct it or leave the row out ({int(bad.sum())} such row(s))"
        )
    order = np.argsort(names[:-1])
    return np.argsort(order)[codes], names[order]


def is_name(name: object) -> bool:
    """Whether this can be the name of an asset."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and UNSPEAKABLE.search(name) is None


def _future(rows: Rows, now: datetime) -> NDArray[np.bool_]:
    return rows.time > np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us") + EARLIEST_ZONE


def _missing(rows: Rows) -> NDArray[np.bool_]:
    cells = np.isnan(rows.numbers)
    bar = cells[:, :CLOSE]
    bar &= (bar.any(axis=1) & ~bar.all(axis=1))[:, None]
    cells[:, VOLUME:] = False
    return cells


def _bad(rows: Rows) -> NDArray[np.bool_]:
    cells = np.isinf(rows.numbers) | (rows.numbers < 0)
    cells[:, :VOLUME] |= rows.numbers[:, :VOLUME] == 0
    cells[:, REALISED:] = False
    return cells


def _bad_variances(rows: Rows) -> NDArray[np.bool_]:
    cells = np.zeros(rows.numbers.shape, dtype=bool)
    cells[:, REALISED] = np.isinf(rows.numbers[:, REALISED]) | (rows.numbers[:, REALISED] <= 0)
    return cells


def _bad_labels(rows: Rows) -> NDArray[np.bool_]:
    cells = np.zeros(rows.numbers.shape, dtype=bool)
    label = rows.numbers[:, ANOMALY]
    cells[:, ANOMALY] = ~np.isnan(label) & ~np.isin(label, np.arange(MOST + 1))
    return cells


def _whole_variances(rows: Rows, action: PartAction, counts: Counter[str]) -> Rows:
    """Assets with a realised variance on all their rows or on none: a mixture would jump wherever the measure changes.

    The last of the rules that drop rows: what another one drops cannot leave a hole here.
    """
    realised = rows.numbers[:, REALISED]
    partial = held_in_part(rows.code, realised)
    if action == "ignore":
        counts["ignored_variances"] = int((partial & ~np.isnan(realised)).sum())
        values = rows.numbers.copy()
        values[partial, REALISED] = np.nan
        return replace(rows, numbers=values)
    cells = np.zeros(rows.numbers.shape, dtype=bool)
    cells[:, REALISED] = partial & np.isnan(realised)
    return _apply(rows, cells, PARTIAL, action, counts)


def _range(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest and smallest price of each bar. Shape: (n,), (n,)."""
    prices = rows.numbers[:, :VOLUME]
    return np.fmax.reduce(prices, axis=1), np.fmin.reduce(prices, axis=1)


def _widened(rows: Rows, tolerance: float) -> tuple[Rows, int]:
    """Highs and lows that rounding left inside their bar moved to its ends, and the number of such bars."""
    (top, bottom), (high, low) = _range(rows), rows.numbers[:, HIGH : LOW + 1].T
    raise_, lower = (high < top) & (top - high <= tolerance * top), (low > bottom) & (low - bottom <= tolerance * bottom)
    values = rows.numbers.copy()
    values[raise_, HIGH], values[lower, LOW] = top[raise_], bottom[lower]
    return replace(rows, numbers=values), int((raise_ | lower).sum())


def _contradictory(rows: Rows) -> NDArray[np.bool_]:
    top, bottom = _range(rows)
    cells = np.zeros(rows.numbers.shape, dtype=bool)
    cells[:, HIGH], cells[:, LOW] = rows.numbers[:, HIGH] < top, rows.numbers[:, LOW] > bottom
    return cells


def _repeated(rows: Rows) -> NDArray[np.bool_]:
    """Of sorted rows: those equal to the one before in every column."""
    before, after = rows.numbers[:-1], rows.numbers[1:]
    equal = ((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1)
    return np.append(False, rows.again() & (rows.time[1:] == rows.time[:-1]) & equal)


def _apply(rows: Rows, cells: NDArray[np.bool_], rule: RowRule, action: Action, counts: Counter[str]) -> Rows:
    """Refuse or drop the rows with a defect. `cells` is (n, 7) where the defect lies in a value, (n,) where it lies in the time."""
    bad = cells.any(axis=1) if cells.ndim == 2 else cells
    many = int(bad.sum())
    if not many:
        return rows
    if action == "refuse":
        at = int(np.argmax(bad))
        raise _refusal(rows, at, VALUES[int(np.argmax(cells[at]))] if cells.ndim == 2 else "time", rule, many)
    counts[rule.name] = many
    return rows.take(~bad)


def _refusal(rows: Rows, at: int, column: str, rule: RowRule, many: int) -> DataError:
    day = rows.time[at].astype("datetime64[D]")
    value = day if column == "time" else rows.numbers[at, VALUES.index(column)]
    where = f"row {rows.labels[at]}, column `{column}`, value {value} ({rows.names[rows.code[at]]}, {day})"
    return DataError(f"{where}: {rule.problem}: {rule.remedy} ({many} such row(s))")


def _refuse_conflicts(rows: Rows) -> None:
    """Sorted rows without exact duplicates: two of one entity and session differ somewhere."""
    twice = rows.again() & (rows.time[1:] == rows.time[:-1])
    if not twice.any():
        return
    at = int(np.argmax(twice)) + 1
    first, second = rows.numbers[at - 1], rows.numbers[at]
    column = int(np.argmax(~((first == second) | (np.isnan(first) & np.isnan(second)))))
    problem = f"contradicts row {rows.labels[at - 1]}, which says {first[column]}"
    raise _refusal(rows, at, VALUES[column], RowRule("conflict", problem, "keep the row that is right: one a session"), int(twice.sum()))


def _refuse_few(rows: Rows, minimum: int, counts: Counter[str]) -> None:
    lengths = np.bincount(rows.code, minlength=len(rows.names))
    if not lengths.any():
        raise DataError(f"no row is left of {counts['rows_in']}: {dict(+counts)}: check the column mapping and the calendar")
    few = lengths < minimum
    if few.any():
        at = int(np.argmax(few))
        raise DataError(f"entity {rows.names[at]!r} has {lengths[at]} usable row(s), {minimum} are needed: send more history ({int(few.sum())} such entities)")


def _gaps(rows: Rows, sessions: Sessions | None, limit: int) -> tuple[int, Gap | None]:
    """Sessions (weekdays without a calendar) that are missing between an entity's first and last, and the longest run of them."""
    days = rows.time.astype("datetime64[D]")
    absent = np.busday_count(days[:-1] + 1, days[1:]) if sessions is None else np.diff(sessions.positions(rows.time)) - 1
    absent = np.where(rows.again(), absent, 0)
    if not absent.any():
        return 0, None
    at = int(np.argmax(absent))
    gap = Gap(entity=rows.names[rows.code[at]], after=days[at].item(), before=days[at + 1].item(), sessions=int(absent[at]))
    if gap.sessions > limit:
        kind = "weekdays" if sessions is None else f"sessions of {sessions.calendar}"
        remedy = "fill the gap from the source, or give the part after it a name of its own"
        raise DataError(
            f"column `time`: {gap.entity} lacks {gap.sessions} {kind} between {gap.after} and {gap.before}, at most {limit} may be missing: {remedy}"
        )
    return int(absent.sum()), gap


def _splits(rows: Rows, tolerance: float) -> tuple[Split, ...]:
    """Overnight returns close to a simple ratio. Where there is an open it must show the jump too, or it was a trading day."""
    opening, close = np.log(rows.numbers[:, OPEN]), np.log(rows.numbers[:, CLOSE])
    logs = np.log(SPLITS)
    distance = np.abs(np.diff(close)[:, None] + logs)  # (n - 1, ratios): two shares for one halve the price
    nearest = distance.argmin(axis=1)
    overnight = opening[1:] - close[:-1] + logs[nearest]
    found = rows.again() & (distance.min(axis=1) <= tolerance) & (np.isnan(overnight) | (np.abs(overnight) <= 2 * tolerance))
    at = np.flatnonzero(found)
    days, names, ratios = rows.time[at + 1].astype("datetime64[D]").tolist(), rows.names[rows.code[at + 1]], SPLITS[nearest[at]].round(4).tolist()
    return tuple(Split(entity=name, time=day, ratio=ratio) for name, day, ratio in zip(names, days, ratios, strict=True))


def columns_of(rows: Rows) -> dict[str, NDArray[np.float64]]:
    """The numbers by column, the `OPTIONAL` ones where an asset has them. Shape: (n,) each."""
    return {name: rows.numbers[:, at] for at, name in enumerate(VALUES) if name not in OPTIONAL or not np.isnan(rows.numbers[:, at]).all()}


def framed(rows: Rows, sessions: Sessions | None = None) -> pd.DataFrame:
    """Rows that passed the rules as the raw market frame."""
    known = rows.time + np.timedelta64(1, "D") if sessions is None else sessions.closes[sessions.positions(rows.time)]
    entity = pd.array(rows.names, dtype="str").take(rows.code)
    return pd.DataFrame({"entity": entity, "time": rows.time, **columns_of(rows), "known_at": known})
