"""What the routes of monitoring ask, with the costly answers kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from finml_console.schemas.monitoring import (
    AlarmEntry,
    AlarmPage,
    Drift,
    Freshness,
    Latency,
    Outcomes,
    OutcomesRecorded,
    Performance,
    Summary,
    VersionDrift,
    VersionPerformance,
)
from finml_ledger import Deployments, Ledger, Role, Slot
from finml_ledger.alarms import alarms
from finml_ledger.experiments import Experiment
from finml_ledger.models import Alarm
from finml_ledger.monitoring import freshness, traffic
from finml_ledger.outcomes import OutcomeReport, record_outcomes
from finml_models.core import catalog
from finml_models.core.errors import FinmlError

KEPT = timedelta(seconds=20)
"""Drift computes features of hundreds of requests; a page that asks every second gets the same answer for so long."""
SHARE = 20
"""A costly answer is kept at least so many times as long as it took, so that pages which ask again and again cost a twentieth of a core."""
T = TypeVar("T")


class Kept(NamedTuple):
    """An answer, when it was made and how long it is good for."""

    made: datetime
    good_for: timedelta
    answer: object

    def holds(self, now: datetime) -> bool:
        """Whether it is still good; a clock that was set back ends it too."""
        return timedelta(0) <= now - self.made < self.good_for


class Monitoring:
    """Series and judgements of one ledger. Safe to share between threads; one costly answer is computed at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._deployments = Deployments(ledger)
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], Kept] = {}

    def summary(self, use_case: str, hours: int) -> Summary:
        """What serves and how it did in the last hours."""
        task = catalog.task(use_case)
        now, since = self._window(hours)
        held = self._deployments.now(use_case)
        roles = held.state.roles()
        known = [_alarm(row) for row in alarms(self._ledger, use_case)]
        return Summary(
            use_case=use_case,
            since=since,
            until=now,
            step_seconds=hours * 3600,
            revision=held.revision,
            roles=roles,
            share=held.state.share,
            traffic=traffic(self._ledger, use_case, since=since, until=now, bucket=None),
            freshness=freshness(self._ledger, use_case, since=since, until=now, bucket=None),
            alarms=tuple(alarm for alarm in known if alarm.slot in roles.values())[:20],
            outcomes=task.unscored if task.outcome is None else None,
        )

    def latency(self, use_case: str, hours: int, step_seconds: int) -> Latency:
        """The series of quantiles, failures and shares."""
        now, since = self._window(hours)
        points = traffic(self._ledger, catalog.task(use_case).id(), since=since, until=now, bucket=timedelta(seconds=step_seconds))
        return Latency(use_case=use_case, since=since, until=now, step_seconds=step_seconds, points=points)

    def freshness(self, use_case: str, hours: int, step_seconds: int) -> Freshness:
        """The series of ages."""
        now, since = self._window(hours)
        points = freshness(self._ledger, catalog.task(use_case).id(), since=since, until=now, bucket=timedelta(seconds=step_seconds))
        return Freshness(use_case=use_case, since=since, until=now, step_seconds=step_seconds, points=points)

    def drift(self, use_case: str, hours: int) -> Drift:
        """Drift of every version that serves. One that cannot be measured says why."""
        from finml_ledger.watch import drift_of

        _, since = self._window(hours)

        def of(slot: Slot) -> VersionDrift:
            try:
                return VersionDrift(role="champion", slot=slot, drift=drift_of(self._ledger, use_case, slot, since=since))
            except FinmlError as error:
                return VersionDrift(role="champion", slot=slot, drift=None, trouble=str(error))

        found = tuple(
            self._remember(("drift", use_case, slot, hours), partial(of, slot)).model_copy(update={"role": role}) for role, slot in self._roles(use_case)
        )
        return Drift(use_case=use_case, since=since, versions=found)

    def performance(self, use_case: str) -> Performance:
        """Realised quality of every version that serves. One without says why."""
        from finml_ledger.watch import decay_of

        def of(slot: Slot) -> VersionPerformance:
            try:
                decay, course = decay_of(self._ledger, use_case, slot)
            except FinmlError as error:
                return VersionPerformance(role="champion", slot=slot, decay=None, trouble=str(error))
            return VersionPerformance(role="champion", slot=slot, decay=decay, course=course)

        found = tuple(
            self._remember(("performance", use_case, slot), partial(of, slot)).model_copy(update={"role": role}) for role, slot in self._roles(use_case)
        )
        return Performance(use_case=use_case, versions=found)

    def experiment(self, use_case: str) -> Experiment:
        """The A/B test that runs, or why there is none."""
        from finml_ledger.watch import experiment_of

        catalog.task(use_case)
        revision = self._deployments.now(use_case).revision
        return self._remember(("experiment", use_case, revision), lambda: experiment_of(self._ledger, use_case))

    def record(self, reports: Outcomes) -> OutcomesRecorded:
        """Keep outcomes; what was computed without them is computed anew."""
        told = [OutcomeReport(task=one.use_case, entity=one.entity, time=one.time, values=dict(one.values)) for one in reports.outcomes]
        done = record_outcomes(self._ledger, told)
        if done.recorded:
            with self._lock:
                self._kept.clear()
        return OutcomesRecorded(recorded=done.recorded, unchanged=done.unchanged)

    def alarms(self, use_case: str | None, before: int | None, limit: int) -> AlarmPage:
        """A page of alarms, newest first."""
        if use_case is not None:
            catalog.task(use_case)
        rows = alarms(self._ledger, use_case, before=before, limit=limit + 1)
        return AlarmPage(items=tuple(_alarm(row) for row in rows[:limit]), next=str(rows[limit - 1].sequence) if len(rows) > limit else None)

    def _roles(self, use_case: str) -> tuple[tuple[Role, Slot], ...]:
        catalog.task(use_case)
        return tuple(self._deployments.now(use_case).state.roles().items())

    def _window(self, hours: int) -> tuple[datetime, datetime]:
        # The end is excluded, and what is written at this very moment belongs to the window.
        now = self._ledger.clock() + timedelta(milliseconds=1)
        return now, now - timedelta(hours=hours)

    def _remember(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        with self._lock:
            now = self._ledger.clock()
            held = self._kept.get(key)
            if held is None or not held.holds(now):
                self._kept = {name: one for name, one in self._kept.items() if one.holds(now)}
                begun = time.monotonic()
                made = make()
                held = self._kept[key] = Kept(now, max(KEPT, SHARE * timedelta(seconds=time.monotonic() - begun)), made)
            found: T = held.answer  # type: ignore[assignment]
            return found


def _alarm(row: Alarm) -> AlarmEntry:
    return AlarmEntry(
        sequence=row.sequence,
        use_case=row.task,
        slot=Slot(entry=row.entry, version=row.version),
        kind=row.kind,
        reason=str(row.detail.get("reason", "")),
        detail=row.detail,
        run_id=row.run_id,
        at=row.at,
    )
