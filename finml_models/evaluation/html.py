"""The report's page: one file, no outside asset, no script."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from .document import Report, TableRow

if TYPE_CHECKING:
    from .plots import Plot


def render(report: Report, plots: Sequence[Plot] = ()) -> str:
    """The page as HTML. Every text is escaped; plots are embedded as images, so that nothing in them can run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("finml_models.evaluation", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    horizons: list[int | Literal["all"]] = list(dict.fromkeys(row.horizon for row in report.table))
    return environment.get_template("report.html.j2").render(
        report=report,
        plots=[(plot, "data:image/svg+xml;base64," + base64.b64encode(plot.svg.encode()).decode()) for plot in plots],
        horizons=horizons,
        entries=list(dict.fromkeys(row.entry for row in report.table)),
        winners={(horizon, note.id): _winner(report, note.id, horizon) for horizon in horizons for note in report.metrics},
        fingerprint=json.dumps(report.fingerprint, indent=2, sort_keys=True, ensure_ascii=False),
    )


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


def _winner(report: Report, name: str, horizon: int | Literal["all"]) -> str | None:
    """The entry with the lowest value; nobody wins at a metric whose best value is a nominal one."""
    rows: list[TableRow] = [row for row in report.table if row.metric == name and row.horizon == horizon]
    direction = next(note.lower_is_better for note in report.metrics if note.id == name)
    if direction is None:
        return None
    return (min if direction else max)(rows, key=lambda row: row.value).entry
