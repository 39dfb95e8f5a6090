"""Tables of loans, news, orders and transactions as raw frames: their schema says what a column is called, what it holds and whether it may be empty.

Row numbers in messages are those of the source, from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finml_models.core.errors import DataError

from .numeric import numbers
from .reading import table
from .record_rules import RecordPolicy, RecordRepairs
from .times import in_zone, moments

if TYPE_CHECKING:
    from pandera.pandas import Column

    from .spec import RecordTable

Columns = Mapping[str, "Column"]
LISTED = 20
"""Names of a source's columns that a message lists."""


def _year_later(frame: pd.DataFrame) -> pd.Series:
    """When a loan's outcome is known: `HORIZON_MONTHS` after the decision, by the definition of `defaulted`."""
    from .loans.vocabulary import HORIZON_MONTHS

    return (frame["time"] + pd.DateOffset(months=HORIZON_MONTHS)).astype("datetime64[us]")


def _matured(frame: pd.DataFrame) -> pd.Series:
    """When a fraud without a date of its report was known: at the latest when the window closed."""
    from .transactions.schema import MATURITY

    return (frame["time"] + MATURITY).where(frame["fraud"] == 1)


def _of_terminals(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    def derive(frame: pd.DataFrame) -> pd.Series:
        found: pd.Series = getattr(import_module(f"{__package__}.transactions.terminals"), name)(frame)
        return found

    return derive


def _clean_news(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    from .news.clean import clean

    return clean(frame)


@dataclass(frozen=True)
class Reading:
    """What a kind adds to its schema: the zone of its times, whether they are dates, columns that follow from others, own rules."""

    clock: str | None = None
    dated: bool = False
    derived: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = field(default_factory=dict)
    rules: Callable[[pd.DataFrame], tuple[pd.DataFrame, dict[str, int]]] | None = None


READINGS = {
    "loans": Reading(dated=True, derived={"outcome_at": _year_later}),
    "news": Reading(clock="UTC", rules=_clean_news),
    "orders": Reading(),
    "transactions": Reading(
        clock="UTC",
        derived={
            "reported_at": _matured,
            "number": _of_terminals("numbered"),
            "terminal_count_1d": _of_terminals("count_1d"),
            "terminal_count_7d": _of_terminals("count_7d"),
            "terminal_reports_28d": _of_terminals("reports_28d"),
        },
    ),
}


def read(spec: RecordTable, folder: Path) -> tuple[pd.DataFrame, RecordRepairs]:
    """The raw frame of a table of records, and what was done to its rows; `folder` is the settings file's.

    A column that the source lacks is left empty where the schema lets it be, and otherwise refused; `known_at` is `time` where it
    is not given. Raises `DataError` naming row, column, value and remedy.
    """
    schema, reading = import_module(f"{__package__}.{spec.kind}.schema"), READINGS[spec.kind]
    columns: Columns = getattr(schema, spec.kind.upper()).columns
    derived = {**reading.derived, "known_at": lambda frame: frame["time"]}
    rows = _named(spec, folder, columns, derived.keys())
    taken = len(rows)
    rows = rows.assign(**{name: _typed(rows[name], columns[name]) for name in rows.columns if not _is_time(columns[name])})
    rows, missing = _without_missing(rows, columns, spec.rules)
    rows, converted = _timed(rows, columns, spec, reading)
    for name, derive in derived.items():
        if name in columns and name not in rows.columns:
            rows[name] = derive(rows)
    rows = rows[[name for name in columns if name in rows.columns]]
    rows, unsorted, twice = _ordered(rows, spec.rules)
    rows, own = (rows, {}) if reading.rules is None else reading.rules(rows)
    checked = schema.check(rows).reset_index(drop=True)
    repairs = RecordRepairs(
        rows_in=taken, rows_out=len(checked), unsorted=unsorted, exact_duplicates=twice, missing_values=missing, converted_times=converted, of_the_kind=own
    )
    return checked, repairs


def _is_time(column: Column) -> bool:
    return str(column.dtype).startswith("datetime64")


def _is_text(column: Column) -> bool:
    return str(column.dtype).startswith("str")


def _named(spec: RecordTable, folder: Path, columns: Columns, derived: Any) -> pd.DataFrame:
    """The source's rows under canonical names, those columns only, with empty ones for what may be missing."""
    if unknown := sorted(spec.columns.keys() - columns.keys()):
        raise DataError(f"columns: {', '.join(unknown)} are no columns of {spec.kind}, which has {', '.join(columns)}: correct the names on the left")
    names = {canonical: spec.columns.get(canonical, canonical) for canonical in columns}
    text = [name for canonical, name in names.items() if name is not False and (_is_text(columns[canonical]) or _is_time(columns[canonical]))]
    source = table(spec, folder, text=text).reset_index(drop=True)
    if source.empty:
        raise DataError("the source has no rows: check its file or query")
    if twice := sorted(set(source.columns[source.columns.duplicated()]) & set(names.values())):
        raise DataError(f"column(s) {', '.join(twice)} occur twice in the source: name each of its columns once")
    there = {canonical: name for canonical, name in names.items() if name is not False and name in source.columns}
    wanted = {canonical for canonical, column in columns.items() if column.required and not column.nullable and canonical not in derived}
    wanted |= {canonical for canonical, name in spec.columns.items() if name is not False}
    if absent := [f"{canonical} = {names[canonical]!r}" for canonical in columns if canonical in wanted and canonical not in there]:
        has = list(map(str, source.columns))
        shown = f"{has[:LISTED]} and {len(has) - LISTED} more" if len(has) > LISTED else has
        raise DataError(f"column(s) not in the source: {', '.join(absent)}; it has {shown}: correct `columns` in the settings file")
    rows = pd.DataFrame({canonical: source[name].to_numpy() if source[name].dtype == object else source[name] for canonical, name in there.items()})
    for canonical, column in columns.items():
        if canonical not in there and column.required and canonical not in derived:
            rows[canonical] = pd.Series([None] * len(rows), dtype=object)
    return rows


def _typed(column: pd.Series, contract: Column) -> pd.Series:
    """Texts as text, empty ones as missing; numbers as float64 until it is known that none is missing."""
    if _is_text(contract):
        text = column.astype("str")
        return text.mask(text.str.strip() == "")
    values = numbers(column.map({True: 1.0, False: 0.0}) if pd.api.types.infer_dtype(column, skipna=True) == "boolean" else column)
    if str(contract.dtype).startswith("int"):
        broken = np.isfinite(values) & (values != np.round(values)) | np.isinf(values)
        if broken.any():
            at = int(np.argmax(broken))
            raise DataError(f"row {column.index[at]}, column `{column.name}`, value {values[at]}: a whole number is needed ({int(broken.sum())} such row(s))")
    return pd.Series(values, index=column.index)


def _without_missing(rows: pd.DataFrame, columns: Columns, policy: RecordPolicy) -> tuple[pd.DataFrame, int]:
    needed = [name for name in rows.columns if not columns[name].nullable]
    empty = pd.DataFrame({name: rows[name].isna() | _blank(rows[name]) for name in needed})
    bad = empty.any(axis=1).to_numpy()
    if bad.any() and policy.missing_values == "refuse":
        at = int(np.argmax(bad))
        column = next(name for name in needed if empty[name].iloc[at])
        raise DataError(
            f"row {rows.index[at]}, column `{column}`: no value, and every row needs one: fill it, or leave the row out "
            f'(rules = {{ missing_values = "drop" }}) ({int(bad.sum())} such row(s))'
        )
    if bad.all():
        raise DataError(f"no row of {len(rows)} has a value in each of {', '.join(needed)}: check the column mapping")
    kept = rows[~bad]
    return kept.astype({name: "int64" for name in needed if str(columns[name].dtype).startswith("int")}), int(bad.sum())


def _blank(column: pd.Series) -> pd.Series | bool:
    return column.astype(str).str.strip() == "" if pd.api.types.is_string_dtype(column.dtype) else False


def _timed(rows: pd.DataFrame, columns: Columns, spec: RecordTable, reading: Reading) -> tuple[pd.DataFrame, int]:
    """Times as datetime64[us] in the kind's zone, and how many were converted."""
    clock, changed, times = spec.clock or reading.clock, 0, {}
    for name in (name for name in rows.columns if _is_time(columns[name])):
        raw = rows[name]
        # What may be empty, such as the date of a report, is read where it stands.
        there = ~(raw.isna() | _blank(raw)).to_numpy() if columns[name].nullable else np.ones(len(raw), bool)
        told, converted = np.full(len(raw), np.datetime64("NaT", "us")), 0
        if there.any():
            given = raw[there]
            told[there], converted = moments(given if spec.time_zone is None else in_zone(given, spec.time_zone), clock)
        if reading.dated and name == "time":
            dates = told.astype("datetime64[D]").astype("datetime64[us]")
            converted = max(converted, int((dates != told).sum()))
            told = dates
        changed += converted
        times[name] = told
    return rows.assign(**times), changed


def _ordered(rows: pd.DataFrame, policy: RecordPolicy) -> tuple[pd.DataFrame, int, int]:
    """Rows by entity and time without repetitions, the breaks in their order, and the repetitions."""
    position = np.lexsort((rows["time"].to_numpy(), pd.factorize(rows["entity"], sort=True)[0]))
    ordered, key = rows.iloc[position], ["entity", "time"]
    again = ordered.duplicated().to_numpy()
    if again.any() and policy.exact_duplicates == "refuse":
        at = int(np.argmax(again))
        raise DataError(f"row {ordered.index[at]} ({_who(ordered, at)}) repeats an earlier one: leave it out ({int(again.sum())} such row(s))")
    single = ordered[~again]
    if (twice := single.duplicated(key).to_numpy()).any():
        at = int(np.argmax(twice))
        before, after = single.iloc[at - 1], single.iloc[at]
        column = next(name for name in single.columns if before[name] != after[name] and not (pd.isna(before[name]) and pd.isna(after[name])))
        raise DataError(
            f"row {single.index[at]}, column `{column}`, value {_shown(after[column])} ({_who(single, at)}): contradicts row {single.index[at - 1]}, "
            f"which says {_shown(before[column])}: keep the row that is right ({int(twice.sum())} such row(s))"
        )
    return single, int((np.diff(position) < 0).sum()), int(again.sum())


def _who(rows: pd.DataFrame, at: int) -> str:
    return f"{rows['entity'].iloc[at]}, {rows['time'].iloc[at]}"


def _shown(value: object) -> str:
    return ascii(str(value))[:80]
