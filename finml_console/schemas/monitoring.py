"""What the routes of monitoring take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, field_validator

from finml_ledger.deployments import Role, Slot
from finml_ledger.experiments import Experiment
from finml_ledger.monitoring import FreshnessPoint, TrafficPoint
from finml_models.core.spec import Frozen
from finml_models.monitoring.documents import CoursePoint, Decay, DriftReport

__all__ = ["AlarmPage", "Drift", "Experiment", "Freshness", "Latency", "Outcomes", "OutcomesRecorded", "Performance", "Summary"]

MOST_OUTCOMES = 5_000
AlarmKind = Literal["drift", "decay", "latency", "errors", "freshness"]
UseCaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Entity = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Window(Frozen):
    """What a series covers: from `since` to before `until`, in steps of so many seconds."""

    use_case: str
    since: datetime
    until: datetime
    step_seconds: int


class Latency(Window):
    """Quantiles of the milliseconds of answers, failures and shares of the traffic, a version and step."""

    points: tuple[TrafficPoint, ...]


class Freshness(Window):
    """Age of the newest row that was asked about, a version and step."""

    points: tuple[FreshnessPoint, ...]


class VersionDrift(Frozen):
    """A version with a role, and the drift of its inputs."""

    role: Role
    slot: Slot
    drift: DriftReport | None
    trouble: str | None = Field(None, description="why it could not be measured, such as an artifact that is gone")


class Drift(Frozen):
    """Drift by input of every version that serves, against what each was trained on."""

    use_case: str
    since: datetime
    versions: tuple[VersionDrift, ...]


class VersionPerformance(Frozen):
    """A version with a role: its realised metric beside what its report promised, and the metric's course."""

    role: Role
    slot: Slot
    decay: Decay | None
    course: tuple[CoursePoint, ...] = ()
    trouble: str | None = Field(None, description="why there is no realised metric")


class Performance(Frozen):
    """The realised quality of every version that serves."""

    use_case: str
    versions: tuple[VersionPerformance, ...]


class AlarmEntry(Frozen):
    """Something that is or was wrong with a version, and the run that answered it."""

    sequence: int
    use_case: str
    slot: Slot
    kind: AlarmKind
    reason: str
    detail: dict[str, Any]
    run_id: str | None
    at: datetime


class AlarmPage(Frozen):
    """Alarms, newest first."""

    items: tuple[AlarmEntry, ...]
    next: str | None = Field(description="the cursor of the page behind this one; null on the last")


class Summary(Window):
    """What serves a use case and how it does: one point a version over the whole window."""

    revision: int = Field(description="of the deployment; 0 where nothing was ever deployed")
    roles: dict[Role, Slot]
    share: float
    traffic: tuple[TrafficPoint, ...]
    freshness: tuple[FreshnessPoint, ...]
    alarms: tuple[AlarmEntry, ...] = Field(description="of the versions that serve now, newest first, at most 20")
    outcomes: str | None = Field(description="why the use case's answers have no outcomes; null where they do")


class OutcomeEntry(Frozen):
    """What came true of an entity after `time`, the as-of of the answers that it scores: for a session, its date at 00:00Z."""

    use_case: UseCaseName
    entity: Entity
    time: AwareDatetime
    values: dict[str, float | bool | str] = Field(description="the fields of the use case's outcome", examples=[{"defaulted": False}], max_length=16)

    @field_validator("time")
    @classmethod
    def _within_what_databases_hold(cls, value: datetime) -> datetime:
        # A moment in the year 1 or 9999 leaves the calendar when it is moved to UTC.
        if not 1900 <= value.year <= 2200:
            raise ValueError("the year must lie between 1900 and 2200")
        return value


class Outcomes(Frozen):
    """Reports, all kept or none. Sending one again changes nothing; of several about one entity and time the newest counts."""

    outcomes: tuple[OutcomeEntry, ...] = Field(min_length=1, max_length=MOST_OUTCOMES)


class OutcomesRecorded(Frozen):
    """How many reports said something new, and how many what was known."""

    recorded: int
    unchanged: int
