"""What came true of served predictions: reported once or again, the newest report counts, and joined with the answers it scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field, ValidationError
from sqlalchemy import ColumnElement, func, select

from finml_models.core import catalog
from finml_models.core.errors import DataError, NoOutcome
from finml_models.core.realised import Realised, answered, moment
from finml_models.core.spec import Frozen

from .ledger import Ledger
from .models import Outcome, ServedPrediction

if TYPE_CHECKING:
    from pandas import DataFrame

    from finml_models.core.task import Task

MOST_ANSWERS = 20_000
"""Newest answers of a version that are joined: a bound on memory, far above what the tests need."""
CHUNK = 500
"""Rows a query names at most."""
Key = tuple[str, datetime]


class OutcomeReport(Frozen):
    """What came true of an entity after `time`, the as-of of the answers that it scores; `values` are the fields of the use case's outcome."""

    task: str = Field(min_length=1, max_length=64)
    entity: str = Field(min_length=1, max_length=64)
    time: AwareDatetime
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many reports said something new, and how many what was known already."""

    recorded: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Joined:
    """An answered entity with its outcome, and which request it was: `sequence` orders them as they were served."""

    sequence: int
    version: str
    role: str
    revision: int
    realised: Realised


def record_outcomes(ledger: Ledger, reports: Sequence[OutcomeReport]) -> Recorded:
    """Keep reports; one that says what the newest report of its entity and time says changes nothing, so that sending again is safe.

    All or none: raises `DataError` naming the first report whose values are not those of its use case, `NoOutcome` where a use case
    has none, `UnknownName` for one that there is not.
    """
    checked = [_checked(place, report) for place, report in enumerate(reports)]
    recorded = 0
    with ledger.write() as session:
        for task in dict.fromkeys(report.task for report in checked):
            own = [report for report in checked if report.task == task]
            known = dict(_newest(session.execute, task, [(report.entity, report.time) for report in own]))
            for report in own:
                said = report.values  # noqa: PD011 - a field, no frame
                if known.get((report.entity, report.time)) != said:
                    known[report.entity, report.time] = said
                    session.add(Outcome(task=task, entity=report.entity, time=report.time, values=said, at=ledger.clock()))
                    recorded += 1
    return Recorded(recorded, len(reports) - recorded)


def outcomes(ledger: Ledger, task: str, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
    """The newest report of each of these entities and times that has one."""
    with ledger.read() as session:
        return dict(_newest(session.execute, task, keys))


def joined(
    ledger: Ledger, task: str, version: str, *, since: datetime | None = None, revision: int = 0, most: int = MOST_ANSWERS, roles: Sequence[str] = ()
) -> list[Joined]:
    """The answers of a version whose outcome is known, oldest first: those since a moment and from a revision of the deployment on, in these
    roles (all). Of more than `most` answers the newest. Raises `NoOutcome` where the use case has none."""
    held = catalog.task(task)()
    if held.outcome is None:
        held.realised({}, {})
    where: list[ColumnElement[bool]] = [
        ServedPrediction.task == task,
        ServedPrediction.version == version,
        ServedPrediction.revision >= revision,
        ServedPrediction.status < 400,
        ServedPrediction.answer.is_not(None),
    ]
    where += [ServedPrediction.at >= since] if since else []
    where += [ServedPrediction.role.in_(roles)] if roles else []
    columns = ServedPrediction.sequence, ServedPrediction.role, ServedPrediction.revision, ServedPrediction.answer
    with ledger.read() as session:
        rows = session.execute(select(*columns).where(*where).order_by(ServedPrediction.sequence.desc()).limit(most)).all()
    answers = [(sequence, role, by, answer) for sequence, role, by, answer in reversed(rows) if answer is not None]
    known = outcomes(ledger, task, dict.fromkeys(key for *_, answer in answers for key in answered(answer)))
    return [Joined(sequence, version, role, by, one) for sequence, role, by, answer in answers for one in held.realised(answer, known)]


def record_known(ledger: Ledger, task: type[Task], raw: DataFrame, *, since: datetime | None = None) -> Recorded:
    """Record the outcomes of served answers that newer raw rows tell, such as the closes that came after; nothing where no answer waits for one."""
    if task.outcome is None:
        raise NoOutcome(f"{task.id()} has no outcome for a single answer: {task.unscored}")
    asked = set(_asked(ledger, task.id(), since))
    target = task().target(raw)
    columns = [name for name in target.columns if name not in {"entity", "time", "until"}]
    known = target[target[columns].notna().all(axis=1) & target["entity"].isin({entity for entity, _ in asked})]
    told = (
        OutcomeReport(task=task.id(), entity=entity, time=moment(time.to_pydatetime()), values=task().came_true(tuple(values)).model_dump(mode="json"))
        for entity, time, *values in known[["entity", "time", *columns]].itertuples(index=False)
        if (entity, moment(time.to_pydatetime())) in asked
    )
    return record_outcomes(ledger, list(told))


def _asked(ledger: Ledger, task: str, since: datetime | None) -> Iterator[Key]:
    where = [ServedPrediction.task == task, ServedPrediction.answer.is_not(None), *([ServedPrediction.at >= since] if since else [])]
    with ledger.read() as session:
        for answer in session.scalars(select(ServedPrediction.answer).where(*where).order_by(ServedPrediction.sequence.desc()).limit(MOST_ANSWERS)):
            yield from answered(answer or {})


def _checked(place: int, report: OutcomeReport) -> OutcomeReport:
    task = catalog.task(report.task)
    if task.outcome is None:
        raise NoOutcome(f"outcomes[{place}]: {task.id()} has no outcome for a single answer: {task.unscored}")
    try:
        values = task.outcome.model_validate(report.values)
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False, include_context=False))
        raise DataError(f"outcomes[{place}].values: {fields}; give {', '.join(task.outcome.model_fields)}") from error
    return report.model_copy(update={"time": moment(report.time), "values": values.model_dump(mode="json")})


def _newest(execute: Any, task: str, keys: Iterable[Key]) -> Iterator[tuple[Key, dict[str, Any]]]:
    """(key, values) of the newest report of each key. By the names of entities, then by time: rows of two columns cannot be named portably."""
    wanted = set(keys)
    entities = sorted({entity for entity, _ in wanted})
    for first in range(0, len(entities), CHUNK):
        part = set(entities[first : first + CHUNK])
        times = [time for entity, time in wanted if entity in part]
        where = Outcome.task == task, Outcome.entity.in_(sorted(part)), Outcome.time.between(min(times), max(times) + timedelta(microseconds=1))
        last = select(func.max(Outcome.sequence)).where(*where).group_by(Outcome.entity, Outcome.time)
        for entity, time, values in execute(select(Outcome.entity, Outcome.time, Outcome.values).where(Outcome.sequence.in_(last))):
            if (entity, time) in wanted:
                yield (entity, time), values
