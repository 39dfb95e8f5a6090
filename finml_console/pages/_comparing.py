"""A comparison as tables: one scale and one number of digits for each metric, the best baseline's mark on every line."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from statistics import median
from typing import Literal, NamedTuple

from finml_console.schemas.versions import Column, Comparison, MetricValue
from finml_console.services.evidence import Judged
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.evaluation.document import DataSection, MetricNote, ScoredSummary

from ._figures import MISSING

Horizon = int | Literal["all"]
DIGITS = 4
"""Significant digits of a column's middle magnitude; all of it has as many decimals as that one needs."""


class Offer(NamedTuple):
    """A version that may be picked; `name` is what the address calls it."""

    name: str
    label: str
    version: str
    verdict: str
    is_baseline: bool
    newest: bool
    chosen: bool


class Figure(NamedTuple):
    """A metric of a version; `mark` is the best baseline's value in the same report."""

    own: MetricValue
    mark: float | None
    value: str
    low: str
    high: str


class Scale(NamedTuple):
    """A metric: how it is read, and all that is drawn on its line."""

    note: MetricNote
    among: tuple[float, ...]


class Line(NamedTuple):
    """A version: its figures, one a scale, and what it takes."""

    column: Column
    baseline: str
    """The best baseline of its report; its own id where it is that."""
    figures: tuple[Figure | None, ...]
    milliseconds: str
    megabytes: str


class Side(NamedTuple):
    """The tables."""

    scales: tuple[Scale, ...]
    lines: tuple[Line, ...]


class MeasuredOn(NamedTuple):
    """Data and scored rows, and who was measured on them."""

    names: tuple[str, ...]
    data: DataSection
    scored: ScoredSummary
    interval_level: float


def offers(releases: Sequence[Release], chosen: Collection[str]) -> tuple[Offer, ...]:
    """What may be picked, of releases newest first: the newest of each entry by its id alone, then the older versions."""
    seen: set[str] = set()
    found = []
    for release in releases:
        newest = release.entry not in seen
        seen.add(release.entry)
        exact = f"{release.entry}:{release.version}"
        name = release.entry if newest and exact not in chosen else exact
        entry = catalog.entry(release.entry)
        found.append(Offer(name, entry.card.name, release.version, release.verdict, entry.is_baseline, newest, name in chosen))
    return tuple(sorted(found, key=lambda offer: (offer.is_baseline, offer.label.casefold())))


def horizons_of(found: Iterable[Judged]) -> list[Horizon]:
    """The horizons that were scored, all of them together first."""
    several: set[Horizon] = {row.horizon for judged in found for row in judged.report.table}
    single = sorted(horizon for horizon in several if horizon != "all")
    return ["all", *single]


def side_by_side(found: Sequence[Judged], compared: Comparison, horizon: Horizon) -> Side:
    """The lines of a comparison at a horizon, in its order."""
    judged = {(one.release.entry, one.release.version): one for one in found}
    ordered = [(column, judged[column.model_id, column.source.version]) for column in compared.columns]
    scales, columns = [], []
    for note in compared.metrics:
        values = [_value(column, note.id, horizon) for column, _ in ordered]
        if any(values):
            marks = [_mark(one, note.id, horizon) for _, one in ordered]
            scales.append(Scale(note, tuple(_drawn(values, marks))))
            columns.append(_figures(values, marks))
    speeds = aligned([column.resources.milliseconds for column, _ in ordered], 3)
    sizes = aligned([column.resources.megabytes for column, _ in ordered], 3)
    lines = [
        Line(column, one.report.best_baseline, tuple(figures[at] for figures in columns), speeds[at], sizes[at]) for at, (column, one) in enumerate(ordered)
    ]
    return Side(tuple(scales), tuple(lines))


def measured_on(found: Sequence[Judged]) -> tuple[MeasuredOn, ...]:
    """The different data that versions were measured on, with their names."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for judged in found:
        groups.setdefault((judged.report.data.snapshot, judged.report.scored.model_dump_json()), []).append(judged)
    return tuple(
        MeasuredOn(tuple(one.report.entry_name for one in group), group[0].report.data, group[0].report.scored, group[0].report.interval_level)
        for group in groups.values()
    )


def aligned(values: Sequence[float | None], digits: int = DIGITS) -> list[str]:
    """Numbers of one column with the same decimals: as many as its middle magnitude needs for so many significant digits."""
    places = decimals([value for value in values if value is not None], digits)
    return [_text(value, places) for value in values]


def decimals(values: Iterable[float], digits: int = DIGITS) -> int:
    """Decimals that show the middle magnitude of some numbers with so many significant digits; at most 8."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(median(sizes))), 0), 8)


def _figures(values: Sequence[MetricValue | None], marks: Sequence[float | None]) -> list[Figure | None]:
    # A value that is small beside its interval has fewer digits that say something.
    places = decimals(max(abs(own.value), (own.high - own.low) / 2) for own in values if own)
    return [_figure(own, mark, places) if own else None for own, mark in zip(values, marks, strict=True)]


def _figure(own: MetricValue, mark: float | None, places: int) -> Figure:
    return Figure(own, mark, _text(own.value, places), _text(own.low, places), _text(own.high, places))


def _value(column: Column, metric: str, horizon: Horizon) -> MetricValue | None:
    return next((one for one in column.metrics if (one.metric, one.horizon) == (metric, horizon)), None)


def _mark(judged: Judged, metric: str, horizon: Horizon) -> float | None:
    row = judged.report.cell(judged.report.best_baseline, metric, horizon)
    return row.value if row else None


def _drawn(values: Sequence[MetricValue | None], marks: Sequence[float | None]) -> Iterable[float]:
    yield from (end for own in values if own for end in (own.low, own.value, own.high))
    yield from (mark for mark in marks if mark is not None)


def _text(value: float | None, places: int) -> str:
    return MISSING if value is None or not math.isfinite(value) else f"{value:,.{places}f}".replace("-", "−")
