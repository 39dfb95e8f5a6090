"""Series of what was served: latency quantiles, failures, traffic shares, and how old the data were. Aggregated by the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Integer, case, cast, extract, func, select
from sqlalchemy.orm import Session

from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.core.realised import answered
from finml_models.core.spec import Frozen

from .ledger import Ledger
from .models import ServedPrediction

MOST_POINTS = 500
"""Windows of a series at most."""
FAILED = 500
"""Statuses from here on are the service's own failures; those of 400 to 499 are the client's."""
QUANTILES = (0.5, 0.95, 0.99)


class TrafficPoint(Frozen):
    """What one version did in one window that begins `at`. Quantiles are of all its requests that did not fail, nearest rank; None without any."""

    at: datetime
    entry: str
    version: str
    role: str
    requests: int
    failed: int
    error_rate: float
    traffic: float | None = Field(description="share of the requests that clients were answered; none for a shadow, which answers nobody")
    p50: float | None
    p95: float | None
    p99: float | None


class FreshnessPoint(Frozen):
    """How old the newest row was that a version answered about, at the last answer of a window."""

    at: datetime
    entry: str
    version: str
    as_of: datetime
    age_seconds: float
    sessions: int | None = Field(description="sessions of the exchange that had closed since; None where the data follow no exchange")


def traffic(ledger: Ledger, task: str, *, since: datetime, until: datetime, bucket: timedelta | None) -> tuple[TrafficPoint, ...]:
    """The series of every version that was asked from `since` to before `until`, in windows of `bucket`, oldest first.

    Windows begin at multiples of `bucket` since 1970; None makes one of all, which begins with the second of `since`.
    """
    _check(since, until, bucket)
    with ledger.read() as session:
        rows = session.execute(_traffic(session, task, since, until, bucket)).all()
    answered_by: dict[int, int] = {}
    for start, _, _, role, requests, *_ in rows:
        answered_by[start] = answered_by.get(start, 0) + (requests if role != "shadow" else 0)
    return tuple(
        TrafficPoint(
            at=datetime.fromtimestamp(start, UTC),
            entry=entry,
            version=version,
            role=role,
            requests=requests,
            failed=failed,
            error_rate=failed / requests,
            traffic=requests / answered_by[start] if role != "shadow" else None,
            p50=p50,
            p95=p95,
            p99=p99,
        )
        for start, entry, version, role, requests, failed, p50, p95, p99 in rows
    )


def totals(
    ledger: Ledger, task: str, version: str, *, roles: Sequence[str] = (), revision: int = 0, slow: float | None = None
) -> tuple[int, int, int, float | None]:
    """(requests, failed, slower than `slow` ms, 95th percentile in ms) of a version since a revision of the deployment, in these roles (all)."""
    mine = [ServedPrediction.task == task, ServedPrediction.version == version, ServedPrediction.revision >= revision]
    mine += [ServedPrediction.role.in_(roles)] if roles else []
    well = ServedPrediction.status < FAILED
    counts = select(
        func.count(),
        func.coalesce(func.sum(case((well, 0), else_=1)), 0),
        func.coalesce(func.sum(case((well & (ServedPrediction.milliseconds > (slow if slow is not None else 0.0)), 1), else_=0)), 0),
    ).where(*mine)
    with ledger.read() as session:
        requests, failed, slower = session.execute(counts).one()
        place = -(-95 * (requests - failed) // 100)
        nearest = select(ServedPrediction.milliseconds).where(*mine, well).order_by(ServedPrediction.milliseconds).offset(max(place - 1, 0)).limit(1)
        return int(requests), int(failed), int(slower) if slow is not None else 0, session.scalar(nearest)


def freshness(ledger: Ledger, task: str, *, since: datetime, until: datetime, bucket: timedelta | None) -> tuple[FreshnessPoint, ...]:
    """The series of every version, by the last answer of each window; the windows are those of `traffic`."""
    _check(since, until, bucket)
    with ledger.read() as session:
        start = _start(session, since, until, bucket)
        last = (
            select(func.max(ServedPrediction.sequence))
            .where(*_window(task, since, until), ServedPrediction.status < 400, ServedPrediction.answer.is_not(None), ServedPrediction.role != "shadow")
            .group_by(start, ServedPrediction.version)
        )
        columns = start, ServedPrediction.entry, ServedPrediction.version, ServedPrediction.answer, ServedPrediction.at
        rows = session.execute(select(*columns).where(ServedPrediction.sequence.in_(last)).order_by(ServedPrediction.sequence)).all()
    exchange = catalog.task(task).dataset == "market"
    points = []
    for window, entry, version, answer, at in rows:
        if times := [time for _, time in answered(answer or {})]:
            as_of = max(times)
            age = (at - as_of).total_seconds()
            behind = sessions_since(as_of, at) if exchange else None
            points.append(FreshnessPoint(at=datetime.fromtimestamp(window, UTC), entry=entry, version=version, as_of=as_of, age_seconds=age, sessions=behind))
    return tuple(points)


def sessions_since(as_of: datetime, now: datetime, calendar: str = "XNYS") -> int:
    """Sessions after the session `as_of` that had closed at a moment; 0 where the newest closed one was used."""
    import numpy as np

    from finml_models.datasets.market.sessions import sessions

    first, moment = (np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us") for time in (as_of, now))
    if moment <= first:
        return 0
    held = sessions(calendar, first, moment)
    return int(((held.dates > first.astype("datetime64[D]")) & (held.closes <= moment)).sum())


def _traffic(session: Session, task: str, since: datetime, until: datetime, bucket: timedelta | None) -> Any:
    start = _start(session, since, until, bucket).label("start")
    version = ServedPrediction.entry, ServedPrediction.version, ServedPrediction.role
    well = case((ServedPrediction.status < FAILED, 1), else_=0)
    own = start, *version
    ranked = (
        select(
            start,
            *version,
            well.label("well"),
            ServedPrediction.milliseconds.label("milliseconds"),
            # Failures come last, so that the places of the others are theirs alone.
            func.row_number().over(partition_by=own, order_by=(well.desc(), ServedPrediction.milliseconds)).label("place"),
            func.sum(well).over(partition_by=own).label("answered"),
        )
        .where(*_window(task, since, until))
        .subquery()
    )
    held = ranked.c
    key = held.start, held.entry, held.version, held.role
    nearest = [func.min(case(((held.well == 1) & (held.place >= q * held.answered), held.milliseconds))) for q in QUANTILES]
    return select(*key, func.count(), func.count() - func.sum(held.well), *nearest).group_by(*key).order_by(*key)


def _start(session: Session, since: datetime, until: datetime, bucket: timedelta | None) -> ColumnElement[int]:
    """Seconds since 1970 at which the window of a row begins."""
    first = 0 if bucket else int(since.timestamp())
    size = int(bucket.total_seconds()) if bucket else int(until.timestamp()) + 1 - first
    if session.get_bind().dialect.name == "sqlite":
        seconds: ColumnElement[int] = cast(func.strftime("%s", ServedPrediction.at), Integer)
    else:
        seconds = cast(func.floor(extract("epoch", ServedPrediction.at)), Integer)
    return first + ((seconds - first) // size) * size


def _window(task: str, since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    return [ServedPrediction.task == task, ServedPrediction.at >= since, ServedPrediction.at < until]


def _check(since: datetime, until: datetime, bucket: timedelta | None) -> None:
    bucket = until - since if bucket is None else bucket
    if bucket < timedelta(seconds=1) or until <= since:
        raise DataError(f"the window from {since} to {until} in steps of {bucket} is empty; give a later end and steps of at least a second")
    if (until - since) / bucket > MOST_POINTS:
        raise DataError(f"the window from {since} to {until} has more than {MOST_POINTS} steps of {bucket}; make the steps longer or the window shorter")
