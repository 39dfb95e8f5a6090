"""What Dagster's pages show of each record: figures as figures, plots as pictures."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import dagster as dg

from .records import ModelRecord, RawRecord, ReportRecord, locate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from finml_models.evaluation.audit import Audit
    from finml_models.evaluation.leaderboard import LeaderboardRow

Metadata = dict[str, dg.MetadataValue]


def of_raw(record: RawRecord) -> Metadata:
    """Size, span and repairs of a snapshot."""
    return {
        "dataset": dg.MetadataValue.text(record.dataset),
        "snapshot": dg.MetadataValue.text(record.snapshot),
        "rows": dg.MetadataValue.int(record.rows),
        "entities": dg.MetadataValue.int(record.entities),
        "span": dg.MetadataValue.text(f"{record.first} to {record.last}"),
        "repairs": dg.MetadataValue.json(dict(record.repairs)),
    }


def of_audit(audit: Audit) -> dg.AssetCheckResult:
    """The truncation audit's outcome; a leak blocks everything downstream."""
    return dg.AssetCheckResult(
        check_name="truncation_audit",
        passed=audit.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "cuts": dg.MetadataValue.text(", ".join(audit.cuts)),
            "values compared": dg.MetadataValue.int(audit.compared),
            "leaks": dg.MetadataValue.md("\n".join(f"- {leak}" for leak in audit.leaks) or "none"),
        },
    )


def of_model(record: ModelRecord) -> Metadata:
    """Version and cost of a training."""
    return {
        "version": dg.MetadataValue.text(record.version),
        "profile": dg.MetadataValue.text(record.profile),
        "seconds": dg.MetadataValue.float(record.seconds),
        "snapshot": dg.MetadataValue.text(record.snapshot),
        "fingerprint": dg.MetadataValue.json(dict(record.fingerprint)),
    }


def of_report(record: ReportRecord) -> Metadata:
    """Headline, primary metric and plots."""
    from finml_models.evaluation import report as reporting

    document = reporting.read(locate(record.report))
    plots = {name: dg.MetadataValue.md(f"![{name}]({_data_uri(svg)})") for name, svg in reporting.read_plots(locate(record.report).parent).items()}
    return {
        "headline": dg.MetadataValue.text(document.headline),
        "verdict": dg.MetadataValue.text(record.verdict),
        **{note.id: dg.MetadataValue.float(cell.value) for note in document.metrics if (cell := document.cell(record.entry, note.id))},
        "page": dg.MetadataValue.path(str(locate(record.page))),
        **plots,
    }


def of_gate(record: ReportRecord) -> dg.AssetCheckResult:
    """The gate's outcome. Losing is a result, not an accident: the severity is a warning and the run stays green."""
    from finml_models.evaluation import report as reporting

    gate = reporting.read(locate(record.report)).gate
    return dg.AssetCheckResult(
        check_name="gate",
        passed=gate.passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={check.name: dg.MetadataValue.text(f"{'passed' if check.passed else 'failed'}: {check.sentence}") for check in gate.checks},
    )


def of_leaderboard(rows: list[LeaderboardRow], page: Path | None) -> Mapping[str, dg.MetadataValue]:
    """The table, the champion's name, and where the page is."""
    lines = ["| | entry | metric | value | interval | verdict | released |", "|-|-|-|-|-|-|-|"]
    lines += [
        f"| {'★' if row.champion else ''} | {row.model} | {row.metric} | {row.value:.4f} | {row.interval[0]:.4f} to {row.interval[1]:.4f} "
        f"| {row.verdict} | {row.release or '–'} |"
        for row in rows
    ]
    champion = next((row.model for row in rows if row.champion), "none")
    shown: Metadata = {"champion": dg.MetadataValue.text(champion), "leaderboard": dg.MetadataValue.md("\n".join(lines))}
    return shown if page is None else {**shown, "page": dg.MetadataValue.path(str(page))}


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
