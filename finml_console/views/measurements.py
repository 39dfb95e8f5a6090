"""What was measured of a model, and its card's claims beside it."""

from __future__ import annotations

from collections.abc import Sequence

from finml_console.schemas.catalogue import Claim, Measurement, ModelPage, Source
from finml_console.services.evidence import Judged
from finml_ledger import Release
from finml_models.core.catalog import Entry
from finml_models.core.documents import model_detail
from finml_models.core.spec import Level
from finml_models.evaluation.verdict import Verdict

LATENCY: tuple[tuple[float, Level], ...] = ((10.0, Level.LOW), (50.0, Level.MEDIUM))
"""Milliseconds below which a prediction is of a class: those of `core.spec.THRESHOLDS`."""
LEVELS = list(Level)


def path_of(release: Release) -> str:
    """The address of a version."""
    return f"/v1/versions/{release.task}/{release.entry}/{release.version}"


def source_of(release: Release) -> Source:
    """Where the numbers of a release come from."""
    return Source(use_case=release.task, version=release.version, run_id=release.run_id, report=f"{path_of(release)}/report")


def measurement_of(judged: Judged) -> Measurement:
    """A report in one row."""
    report = judged.report
    decisive = report.metrics[0]
    own = report.row(report.entry, decisive.id)
    return Measurement(
        source=source_of(judged.release),
        verdict=report.verdict,
        gate_passed=report.gate.passed,
        failed=report.gate.failed,
        sentence=report.judgement.sentence,
        metric=decisive.id,
        lower_is_better=decisive.lower_is_better is not False,
        value=own.value,
        low=own.low,
        high=own.high,
        baseline=report.best_baseline,
        baseline_value=report.row(report.best_baseline, decisive.id).value,
        milliseconds=report.resources.milliseconds,
        megabytes=report.resources.megabytes,
        training_seconds=report.training.seconds,
        dataset=report.data.dataset,
        rows=report.data.rows,
    )


def model_page(entry: Entry, found: Sequence[Judged], *, ready: set[str]) -> ModelPage:
    """The whole card of a model or baseline beside what was measured of it."""
    return ModelPage(
        **model_detail(entry, ready=ready).model_dump(),
        measurements=tuple(map(measurement_of, found)),
        claims=claims(entry, found, ready=ready),
        measured_weaknesses=tuple(
            judged.report.judgement.sentence
            for judged in found
            if not judged.report.is_baseline and judged.report.verdict in {Verdict.INFERIOR, Verdict.INCONCLUSIVE}
        ),
    )


def claims(entry: Entry, found: Sequence[Judged], *, ready: set[str]) -> tuple[Claim, ...]:
    """Each claim of a card in each use case that measured it, or once without a measurement."""
    passed = [judged for judged in found if judged.report.gate.passed]
    derived = Claim(
        name="production_ready",
        claimed=str(entry.id in ready).lower(),
        measured=f"{len(passed)} of {len(found)} newest versions passed their gate" if found else None,
        holds=(entry.id in ready) == bool(passed) if found else None,
        source=source_of(passed[0].release) if passed else None,
    )
    measured = [claim for judged in found for claim in _measured(entry, judged)]
    return (derived, *(measured or _unmeasured(entry)))


def _measured(entry: Entry, judged: Judged) -> tuple[Claim, ...]:
    card, source = entry.card, source_of(judged.release)
    milliseconds, megabytes, rows = judged.report.resources.milliseconds, judged.report.resources.megabytes, judged.report.data.rows
    level = next((name for limit, name in LATENCY if milliseconds < limit), Level.HIGH)
    kept = LEVELS.index(level) <= LEVELS.index(card.latency_class)
    fits = megabytes <= card.deployment.memory_mb
    return (
        Claim(name="latency_class", claimed=card.latency_class, measured=f"{level}: {milliseconds:.3g} ms on one CPU core", holds=kept, source=source),
        Claim(
            name="data_requirements",
            claimed=card.data_requirements,
            measured=f"{judged.report.verdict.value} with {rows:,} raw rows",
            # One size of data shows neither what fewer rows would do nor what more would.
            holds=None,
            source=source,
        ),
        Claim(
            name="memory_mb",
            claimed=str(card.deployment.memory_mb),
            measured=f"artifact of {megabytes:.3g} MB",
            # An artifact larger than the claim refutes it; a smaller one leaves open what working memory adds.
            holds=None if fits else False,
            source=source,
        ),
        Claim(
            name="gpu",
            claimed=str(card.deployment.gpu).lower(),
            measured=f"{'within' if kept else 'not within'} its latency class without one",
            holds=kept or card.deployment.gpu,
            source=source,
        ),
    )


def _unmeasured(entry: Entry) -> tuple[Claim, ...]:
    card = entry.card
    return (
        Claim(name="latency_class", claimed=card.latency_class, measured=None, holds=None, source=None),
        Claim(name="data_requirements", claimed=card.data_requirements, measured=None, holds=None, source=None),
        Claim(name="memory_mb", claimed=str(card.deployment.memory_mb), measured=None, holds=None, source=None),
        Claim(name="gpu", claimed=str(card.deployment.gpu).lower(), measured=None, holds=None, source=None),
    )
