"""Versions, their model cards, and several of them side by side."""

from __future__ import annotations

from collections.abc import Sequence

from finml_console.schemas.catalogue import Levels
from finml_console.schemas.versions import Column, Comparison, Costs, MetricValue, Version, VersionCard
from finml_console.services.evidence import Judged
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.core.documents import model_detail

from .measurements import claims, measurement_of, path_of, source_of
from .serving_now import Roles


def version_of(release: Release, serving: Roles) -> Version:
    """A release in a list."""
    path = path_of(release)
    return Version(
        use_case=release.task,
        model_id=release.entry,
        version=release.version,
        verdict=release.verdict,
        gate_passed=release.gate_passed,
        packaged=release.bento_tag is not None,
        headline=release.headline,
        created_at=release.created_at,
        run_id=release.run_id,
        roles=serving.get((release.task, release.entry, release.version), ()),
        report=f"{path}/report" if release.report else None,
        page=f"{path}/report.html" if release.report else None,
        card=f"{path}/card",
    )


def card_of(judged: Judged, serving: Roles, *, ready: set[str]) -> VersionCard:
    """The model card of a version."""
    report, entry = judged.report, catalog.entry(judged.release.entry)
    chosen = report.fingerprint.get("hyperparameters")
    return VersionCard(
        version=version_of(judged.release, serving),
        model=model_detail(entry, ready=ready),
        hyperparameters=chosen if isinstance(chosen, dict) else {},
        training=report.training,
        data=report.data,
        measurement=measurement_of(judged),
        claims=claims(entry, [judged], ready=ready),
        limitations=report.limitations,
        notes=report.notes,
    )


def comparison(use_case: str, found: Sequence[Judged]) -> Comparison:
    """Several versions of a use case side by side, best first."""
    reports = [judged.report for judged in found]
    comparable = len({(report.data.snapshot, report.scored) for report in reports}) <= 1
    ordered = sorted(found, key=_order)
    passed = [judged for judged in ordered if judged.report.gate.passed]
    best = next((judged for judged in passed if not judged.report.is_baseline), passed[0] if passed else None)
    kinds = ", ".join(sorted({f"{r.entry}: {r.data.dataset} {r.data.snapshot[:12]}, {r.scored.rows:,} rows" for r in reports}))
    return Comparison(
        use_case=use_case,
        metrics=tuple({note.id: note for report in reports for note in report.metrics}.values()),
        interval_level=reports[0].interval_level if reports else 0.95,
        comparable=comparable,
        warnings=() if comparable else (f"they were not scored on the same rows, so that their numbers do not compare ({kinds}); run all of them again",),
        columns=tuple(map(_column, ordered)),
        best=best.release.entry if best and comparable else None,
    )


def _order(judged: Judged) -> float:
    report = judged.report
    sign = -1.0 if report.metrics[0].lower_is_better is False else 1.0
    return sign * report.row(report.entry, report.metrics[0].id).value


def _column(judged: Judged) -> Column:
    report = judged.report
    card = catalog.entry(report.entry).card
    own = [row for row in report.table if row.entry == report.entry]
    return Column(
        model_id=report.entry,
        name=report.entry_name,
        is_baseline=report.is_baseline,
        source=source_of(judged.release),
        verdict=report.verdict,
        sentence=report.judgement.sentence,
        gate_passed=report.gate.passed,
        failed=report.gate.failed,
        metrics=tuple(MetricValue(metric=r.metric, horizon=r.horizon, value=r.value, low=r.low, high=r.high, n=r.n) for r in own),
        resources=Costs(
            milliseconds=report.resources.milliseconds,
            megabytes=report.resources.megabytes,
            training_seconds=report.training.seconds,
            fits=report.training.fits,
            parameters=report.training.parameters,
        ),
        suitability=Levels(latency_class=card.latency_class, data_requirements=card.data_requirements, explainability=card.explainability),
    )
