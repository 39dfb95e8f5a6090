"""What is known of a run: from Dagster while it answers, from the ledger whoever answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.concurrency import run_in_threadpool

from finml_console.schemas.catalogue import Measurement
from finml_console.schemas.training import ENDED, Configuration, RunStatus
from finml_console.services import Services
from finml_console.services.evidence import Judged
from finml_console.services.training import Training
from finml_console.views.measurements import measurement_of
from finml_ledger import Deployment, Release, Role, Slot
from finml_models.core import catalog
from finml_models.core.errors import CorruptArtifact, NotBuilt, ServiceFailed, UnknownName
from finml_models.evaluation.document import MetricNote
from finml_models.evaluation.verdict import Check, Judgement

Becomes = Literal["champion", "challenger"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as a page shows it. `status` is None where Dagster does not say; `gap` says why then."""

    status: RunStatus | None
    last: int
    """The id of the newest event that `status` follows from."""
    made: Sequence[Release]
    gap: str | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self.status is None or self.status.state in ENDED


@dataclass(frozen=True, slots=True)
class Outcome:
    """The version that a training came to, and what can be done with it."""

    release: Release
    measurement: Measurement | None
    note: MetricNote | None
    judgement: Judgement | None
    """Whom it was compared with, and how that went."""
    checks: tuple[Check, ...]
    """Of the gate, those that decide and failed."""
    deployment: Deployment
    serves: Role | None
    """As what this version serves already."""

    @property
    def deployable(self) -> bool:
        """Whether the API would deploy it."""
        return self.release.gate_passed and self.release.bento_tag is not None and self.serves is None

    @property
    def becomes(self) -> Becomes:
        """What a deployment would make of it."""
        return "challenger" if self.deployment.state.champion else "champion"


async def look(services: Services, training: Training, run_id: str) -> Seen:
    """What there is of a run now. Raises `UnknownName` where neither Dagster nor the ledger knows it."""
    made = (await run_in_threadpool(services.evidence.of_runs, [run_id])).get(run_id, [])
    try:
        _, status = await training.follow(run_id)
    except ServiceFailed as error:
        return Seen(None, 0, made, str(error))
    except UnknownName:
        if not made:
            raise
        return Seen(None, 0, made, "Dagster does not know this run: it was made by another instance, or deleted there. What it judged is in the ledger.")
    return Seen(status, training.feeds.of(run_id).last, made)


def outcome_of(services: Services, seen: Seen) -> Outcome | None:
    """The judgement that a training was started for; None where it came to none, or is not told which it was."""
    status = seen.status
    if status is None or status.result is None:
        return None
    release = next((one for one in seen.made if (one.task, one.entry) == (status.use_case, status.model_id)), None)
    if release is None:
        return None
    deployment = services.deployments.now(release.task)
    slot = Slot(entry=release.entry, version=release.version)
    serves = next((role for role, one in deployment.state.roles().items() if one == slot), None)
    try:
        report = services.evidence.report_of(release)
    except (CorruptArtifact, NotBuilt):
        return Outcome(release, None, None, None, (), deployment, serves)
    failed = tuple(check for check in report.gate.checks if check.blocking and not check.passed)
    return Outcome(release, measurement_of(Judged(release, report)), report.metrics[0], report.judgement, failed, deployment, serves)


def configuration_of(training: Training, status: RunStatus | None) -> Configuration | None:
    """The configuration that a training was ordered with."""
    if status is None or status.config_id is None:
        return None
    try:
        return training.configuration(status.config_id)
    except UnknownName:
        return None


def defaults_of(model_id: str | None) -> Mapping[str, Any]:
    """The defaults of a model's hyperparameters; nothing for one that is not in the catalogue any more."""
    try:
        return {} if model_id is None else catalog.entry(model_id).card.hyperparameters().model_dump(mode="json")
    except UnknownName:
        return {}


def metric_note(metric: str | None) -> tuple[str, str]:
    """A metric's label and the sentence that explains it."""
    from finml_models.evaluation.metrics import METRICS

    found = METRICS.get(metric or "")
    return (found.label, found.explanation) if found else (metric or "", "")


def named(model_id: str) -> str:
    """The name of a model or baseline, its id where the catalogue does not know it."""
    try:
        return catalog.entry(model_id).card.name
    except UnknownName:
        return model_id


def use_case_named(use_case: str) -> str:
    """The name of a use case, its id where the catalogue does not know it."""
    return catalog.tasks()[use_case].name if use_case in catalog.tasks() else use_case
