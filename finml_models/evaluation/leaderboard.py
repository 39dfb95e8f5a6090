"""All entries of a use case in one order, with the champion named."""

from __future__ import annotations

from collections.abc import Sequence

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen

from .document import Report
from .verdict import Verdict


class LeaderboardRow(Frozen):
    """One entry. `interval` is the table's [low, high]; `release` the version that may be deployed, None where the gate refused it."""

    use_case: str
    model: str
    is_baseline: bool
    baseline: str
    metric: str
    value: float
    interval: tuple[float, float]
    baseline_value: float
    verdict: Verdict
    gate_passed: bool
    release: str | None
    champion: bool


def leaderboard(reports: Sequence[Report]) -> list[LeaderboardRow]:
    """The rows of one use case, best first.

    The champion is the passing model with the lowest primary metric; where no model passed, the best baseline is.
    Raises `DataError` when the reports are of different use cases or judged on different data.
    """
    if len({report.task for report in reports}) > 1 or len({(report.data.snapshot, report.scored) for report in reports}) > 1:
        kinds = sorted({f"{report.task} on {report.data.snapshot[:12]} ({report.scored.rows} rows)" for report in reports})
        raise DataError(f"leaderboard: the reports do not compare: {', '.join(kinds)}; run all entries on the same data")
    ordered = sorted(reports, key=_value)
    passed = [report for report in ordered if report.gate.passed]
    champion = next((report for report in passed if not report.is_baseline), passed[0] if passed else None)
    return [_row(report, report is champion) for report in ordered]


def _value(report: Report) -> float:
    return report.row(report.entry, report.metrics[0].id).value


def _row(report: Report, champion: bool) -> LeaderboardRow:
    decisive = report.metrics[0].id
    own = report.row(report.entry, decisive)
    return LeaderboardRow(
        use_case=report.task,
        model=report.entry,
        is_baseline=report.is_baseline,
        baseline=report.best_baseline,
        metric=decisive,
        value=own.value,
        interval=(own.low, own.high),
        baseline_value=report.row(report.best_baseline, decisive).value,
        verdict=report.verdict,
        gate_passed=report.gate.passed,
        release=report.version if report.gate.passed else None,
        champion=champion,
    )
