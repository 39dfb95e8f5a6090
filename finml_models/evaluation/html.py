"""The pages: a report and a leaderboard, each one file without outside assets or scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from finml_models.core.spec import Frozen

from .document import Report, Slice, TableRow

if TYPE_CHECKING:
    from jinja2 import Environment

    from .leaderboard import LeaderboardRow
    from .plots import Plot

Horizon = int | Literal["all"]
LISTED = 6
"""Entities shown at once, the worst first; the others are folded."""


class Compared(Frozen):
    """A line of the first table: the entry, the baseline it is judged against, and how good a value can be at all."""

    horizon: Horizon
    own: TableRow
    baseline: TableRow
    ceiling: float | None
    note: str
    worse: float = Field(description="how much worse than the baseline's the value is, as a share of it")


def render(report: Report, plots: Sequence[Plot] = ()) -> str:
    """A report's page. Every text is escaped; plots are embedded as images, so that nothing in them can run."""
    horizons: list[Horizon] = list(dict.fromkeys(row.horizon for row in report.table))
    return _page(
        "report.html.j2",
        report=report,
        plots={plot.id: (plot, "data:image/svg+xml;base64," + base64.b64encode(plot.svg.encode()).decode()) for plot in plots},
        compared=[compare(report, horizon) for horizon in horizons],
        horizons=horizons,
        entries=list(dict.fromkeys(row.entry for row in report.table)),
        winners={(horizon, note.id): _winner(report, note.id, horizon) for horizon in horizons for note in report.metrics},
        slices=_groups(report.slices),
        widest=max((abs(part.excess) for part in report.slices), default=0.0) or 1.0,
        listed=LISTED,
        waiver=getattr(report.gate, "waiver", None),
        code=_code(report.fingerprint),
        fingerprint=json.dumps(report.fingerprint, indent=2, sort_keys=True, ensure_ascii=False),
    )


def render_leaderboard(rows: Sequence[LeaderboardRow]) -> str:
    """The page of a use case's leaderboard; it links to reports by their place beside it."""
    low, high = min(row.interval[0] for row in rows), max(row.interval[1] for row in rows)
    return _page("leaderboard.html.j2", rows=rows, champion=next((row for row in rows if row.champion), None), low=low, span=(high - low) or 1.0)


def compare(report: Report, horizon: Horizon) -> Compared:
    """The primary metric of a horizon beside the best baseline's, with a note on what noise leaves to gain."""
    decisive = report.metrics[0].id
    named = {row.entry for row in report.table}
    against = report.judgement.against if report.judgement.against in named else report.best_baseline
    own, baseline = report.row(report.entry, decisive, horizon), report.row(against, decisive, horizon)
    ceiling = report.ceiling(decisive, horizon)
    sign = 1.0 if report.metrics[0].lower_is_better else -1.0
    worse = sign * (own.value - baseline.value) / abs(baseline.value) if baseline.value else 0.0
    if ceiling is not None:
        gap = sign * (baseline.value - ceiling.value)
        way = f"{sign * (baseline.value - own.value) / gap:.0%} of the way from {against} to the ceiling. " if gap > 0 else ""
        return Compared(horizon=horizon, own=own, baseline=baseline, ceiling=ceiling.value, note=way + ceiling.why, worse=worse)
    noise = (own.high - own.low) / 2 / abs(own.value) if own.value else 0.0
    return Compared(horizon=horizon, own=own, baseline=baseline, ceiling=None, note=f"±{noise:.0%} by chance: {_labels(report, horizon)}", worse=worse)


def _labels(report: Report, horizon: Horizon) -> str:
    """How many labels there are that say something of their own."""
    if report.scored.unit == "entity":
        return f"{report.scored.rows:,} cases"
    steps = max((int(row.horizon) for row in report.table if row.horizon != "all"), default=1) if horizon == "all" else horizon
    return f"{report.scored.dates // steps:,} labels of {steps} step{'s' if steps > 1 else ''} that do not overlap"


def number(value: float | None, digits: int = 4) -> str:
    """A figure with so many significant digits, without an exponent where one can be avoided."""
    if value is None:
        return "–"
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - (int(f"{value:e}".rpartition("e")[2]) if value else 0))
    return f"{value:,.{min(decimals, digits)}f}".replace("-", "−")


def percent(value: float, digits: int = 1) -> str:
    """A signed share in percent."""
    return f"{value:+.{digits}%}".replace("-", "−")


def _page(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """One for all pages of a process: compiling the templates takes as long as a plot."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("finml_models.evaluation", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def _groups(slices: Sequence[Slice]) -> dict[str, list[Slice]]:
    """Regimes and years in their order, entities from the worst."""
    parts: dict[str, list[Slice]] = {by: [part for part in slices if part.by == by] for by in ("regime", "year", "entity")}
    parts["entity"].sort(key=lambda part: -part.excess)
    return {by: found for by, found in parts.items() if found}


def _code(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fingerprint.get(name) for name in ("commit", "dirty", "code_version")}


def _winner(report: Report, name: str, horizon: Horizon) -> str | None:
    """The entry with the lowest value; nobody wins at a metric whose best value is a nominal one."""
    rows: list[TableRow] = [row for row in report.table if row.metric == name and row.horizon == horizon]
    direction = next(note.lower_is_better for note in report.metrics if note.id == name)
    if direction is None:
        return None
    return (min if direction else max)(rows, key=lambda row: row.value).entry
