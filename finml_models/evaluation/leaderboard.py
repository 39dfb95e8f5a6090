"""All entries of a use case in one order, with the champion named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finml_models.core.errors import DataError
from finml_models.core.files import write_atomic
from finml_models.core.spec import Frozen

from .document import Report
from .verdict import Verdict

LEADERBOARD_HTML = "leaderboard.html"


class LeaderboardRow(Frozen):
    """One entry. `interval` is the table's [low, high]; `release` the version that may be deployed, None where the gate refused it.

    `failed` names the checks of the gate that decide and failed; `waived` says who released it all the same.
    """

    use_case: str
    model: str
    is_baseline: bool
    baseline: str
    metric: str
    lower_is_better: bool = True
    value: float
    interval: tuple[float, float]
    baseline_value: float
    verdict: Verdict
    gate_passed: bool
    failed: tuple[str, ...] = ()
    waived: str | None = None
    version: str = ""
    release: str | None
    champion: bool


def leaderboard(reports: Sequence[Report]) -> list[LeaderboardRow]:
    """The rows of one use case, best first.

    The champion is the passing model with the best primary metric; where no model passed, the best baseline is.
    Raises `DataError` when the reports are of different use cases or judged on different data.
    """
    if len({report.task for report in reports}) > 1 or len({(report.data.snapshot, report.scored) for report in reports}) > 1:
        kinds = sorted({f"{report.task} on {report.data.snapshot[:12]} ({report.scored.rows} rows)" for report in reports})
        raise DataError(f"leaderboard: the reports do not compare: {', '.join(kinds)}; run all entries on the same data")
    ordered = sorted(reports, key=_value)
    passed = [report for report in ordered if report.gate.passed]
    champion = next((report for report in passed if not report.is_baseline), passed[0] if passed else None)
    return [_row(report, report is champion) for report in ordered]


def beside_newest(reports: Sequence[Report]) -> list[Report]:
    """Of reports in the order of their making, those on the data of the newest: others cannot be ranked beside it until they are made again."""
    return [report for report in reports if (report.data.snapshot, report.scored) == (reports[-1].data.snapshot, reports[-1].scored)]


def write_leaderboard(rows: Sequence[LeaderboardRow], folder: Path) -> Path | None:
    """Write `leaderboard.html` beside the reports of a use case; returns its path, or None where there are no rows."""
    from .html import render_leaderboard

    if not rows:
        return None
    path = folder / LEADERBOARD_HTML
    write_atomic(path, render_leaderboard(rows).encode())
    return path


def _value(report: Report) -> float:
    """What to sort by: the primary metric, negative where more of it is better."""
    sign = -1.0 if report.metrics[0].lower_is_better is False else 1.0
    return sign * report.row(report.entry, report.metrics[0].id).value


def _row(report: Report, champion: bool) -> LeaderboardRow:
    decisive = report.metrics[0].id
    own = report.row(report.entry, decisive)
    return LeaderboardRow(
        use_case=report.task,
        model=report.entry,
        is_baseline=report.is_baseline,
        baseline=report.best_baseline,
        metric=decisive,
        lower_is_better=report.metrics[0].lower_is_better is not False,
        value=own.value,
        interval=(own.low, own.high),
        baseline_value=report.row(report.best_baseline, decisive).value,
        verdict=report.verdict,
        gate_passed=report.gate.passed,
        failed=tuple(check.name for check in report.gate.checks if check.blocking and not check.passed),
        waived=waiver.author if (waiver := getattr(report.gate, "waiver", None)) else None,
        version=report.version,
        release=report.version if report.gate.passed else None,
        champion=champion,
    )
