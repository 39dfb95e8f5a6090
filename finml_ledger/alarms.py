"""Alarms: what is wrong with a version that serves, written down once a cause, and the run that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import select, update

from finml_models.core import catalog
from finml_models.core.errors import FinmlError
from finml_models.core.spec import Frozen

from .deployments import Deployments, Slot
from .ledger import Ledger
from .models import Alarm
from .monitoring import freshness, totals

STALE_SESSIONS = 5
"""Sessions behind which a market answer was made from old data: a week."""
LOOK_BACK = timedelta(days=1)
RETRAINED = ("drift", "decay")
"""Kinds that training again may cure; the others are for whoever runs the service."""


class Finding(Frozen):
    """Something wrong with a version, not yet an alarm."""

    task: str
    slot: Slot
    kind: str
    detail: dict[str, Any] = Field(default_factory=dict)


def findings(ledger: Ledger, task: str) -> Iterator[Finding]:
    """What is wrong with the champion of a use case now, and with its challenger's guard-rails."""
    from finml_models.monitoring import guard_rails
    from finml_models.monitoring.documents import Quality

    from .watch import decay_of, drift_of, experiment_of

    deployed = Deployments(ledger).now(task)
    champion = deployed.state.champion
    if champion is None:
        return
    moved = drift_of(ledger, task, champion)
    if moved.drifted:
        shifts = {one.feature: {"psi": one.psi, "ks": one.ks, "p": one.p_adjusted} for one in moved.features if one.drifted}
        yield Finding(task=task, slot=champion, kind="drift", detail={"reason": moved.reason, "rows": moved.rows, "inputs": shifts})
    if catalog.task(task).outcome is not None:
        quality, _ = decay_of(ledger, task, champion)
        if quality.state is Quality.DECAYED:
            yield Finding(task=task, slot=champion, kind="decay", detail=quality.model_dump(mode="json"))
    running = experiment_of(ledger, task)
    for rail in running.rails:
        if rail.broken and running.challenger is not None:
            yield Finding(task=task, slot=running.challenger, kind=rail.name, detail={**rail.model_dump(mode="json"), "reason": running.reason})
    requests, failed, _, _ = totals(ledger, task, champion.version)
    if (own := guard_rails.errors(failed, requests, 0.0)).broken:
        reason = f"{failed} of {requests} requests failed, more than {own.allowed:.0%}"
        yield Finding(task=task, slot=champion, kind="errors", detail={"reason": reason, "requests": requests, "bad": failed, "allowed": own.allowed})
    if stale := _stale(ledger, task, champion):
        yield Finding(task=task, slot=champion, kind="freshness", detail=stale)


def record_alarm(ledger: Ledger, finding: Finding) -> Alarm | None:
    """Write an alarm, once a version and kind: None where that cause is known already."""
    cause = Alarm.task == finding.task, Alarm.entry == finding.slot.entry, Alarm.version == finding.slot.version, Alarm.kind == finding.kind
    with ledger.write() as session:
        if session.scalar(select(Alarm.sequence).where(*cause).limit(1)) is not None:
            return None
        alarm = Alarm(
            task=finding.task,
            entry=finding.slot.entry,
            version=finding.slot.version,
            kind=finding.kind,
            detail=finding.detail,
            run_id=None,
            at=ledger.clock(),
        )
        session.add(alarm)
    return alarm


def alarms(ledger: Ledger, task: str | None = None, *, before: int | None = None, limit: int = 100) -> list[Alarm]:
    """The alarms, newest first, of sequences below `before`."""
    query = select(Alarm).order_by(Alarm.sequence.desc()).limit(limit)
    if task is not None:
        query = query.where(Alarm.task == task)
    if before is not None:
        query = query.where(Alarm.sequence < before)
    with ledger.read() as session:
        return list(session.scalars(query))


def unanswered(ledger: Ledger) -> list[Alarm]:
    """Alarms that training again may cure and that no run has answered yet, oldest first."""
    query = select(Alarm).where(Alarm.run_id.is_(None), Alarm.kind.in_(RETRAINED)).order_by(Alarm.sequence)
    with ledger.read() as session:
        return list(session.scalars(query))


def answer(ledger: Ledger, sequence: int, run_id: str) -> None:
    """Note the run that an alarm started; the first one stays."""
    with ledger.write() as session:
        session.execute(update(Alarm).where(Alarm.sequence == sequence, Alarm.run_id.is_(None)).values(run_id=run_id))


def evaluate(ledger: Ledger, task: str) -> tuple[list[Alarm], str | None]:
    """Look at a use case and write what is new: the alarms, and what kept a look from being whole, if anything did."""
    catalog.task(task)
    written: list[Alarm] = []
    try:
        # Extended as they come: what was written before an error stays told.
        written.extend(alarm for finding in findings(ledger, task) if (alarm := record_alarm(ledger, finding)))
    except FinmlError as error:
        # An artifact or report that is gone must not keep the other use cases from being looked at.
        return written, f"{task}: {error}"
    return written, None


def _stale(ledger: Ledger, task: str, champion: Slot) -> dict[str, Any] | None:
    now = ledger.clock()
    points = freshness(ledger, task, since=now - LOOK_BACK, until=now + timedelta(seconds=1), bucket=timedelta(hours=1))
    own = [point for point in points if point.version == champion.version and point.sessions is not None]
    if not own or (own[-1].sessions or 0) <= STALE_SESSIONS:
        return None
    last = own[-1]
    return {
        "reason": f"its newest answer is from {last.as_of:%Y-%m-%d}, {last.sessions} sessions ago",
        "as_of": last.as_of.isoformat(),
        "sessions": last.sessions,
    }
