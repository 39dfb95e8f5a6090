"""The ledger's tables. `sequence` orders the rows; the clock only decorates them, because clocks step back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, Double, Index, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# SQLite counts rows by themselves only in a column of exactly this type.
Sequence = BigInteger().with_variant(Integer, "sqlite")
Document = JSON(none_as_null=True)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document as the JSON that it is already; the column holds this very text. It must be JSON by the standard, without lone surrogates."""

    text: str


class Status(StrEnum):
    """State of a trial. A killed trainer leaves its trial running; it was tried all the same, and counts."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware moment as the database keeps it; raises `ValueError` on a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; pass an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The kept moment, aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names for every constraint, so that a migration can drop what another one made."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double(), datetime: Moment(), dict[str, Any]: Document, str: String()}


class Trial(Base):
    """One fit that was started: with what, on what, and what came of it. `fold` is None for the final fit."""

    __tablename__ = "trials"
    __table_args__ = (CheckConstraint("status IN ('running', 'finished', 'failed')", name="status"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    task: Mapped[str] = mapped_column(index=True)
    entry: Mapped[str] = mapped_column(index=True)
    fold: Mapped[int | None]
    seed: Mapped[int]
    config_hash: Mapped[str]
    hyperparameters: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    data_snapshot: Mapped[str]
    code_version: Mapped[str]
    fingerprint_id: Mapped[str]
    metric: Mapped[str | None]
    value: Mapped[float | None]
    variance: Mapped[float | None]
    """Variance of the metric over the scored samples; with `samples` it deflates the best of many trials."""
    samples: Mapped[int | None]
    seconds: Mapped[float | None]
    status: Mapped[str]
    error: Mapped[str | None]
    run_id: Mapped[str | None] = mapped_column(index=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Release(Base):
    """A version that was trained and judged. Paths are relative to the state folder, so that it may be moved."""

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("task", "entry", "version"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    version: Mapped[str]
    task: Mapped[str]
    entry: Mapped[str]
    bento_tag: Mapped[str | None]
    """None while nothing is packaged, as for a version that lost."""
    artifact: Mapped[str]
    report: Mapped[str | None]
    verdict: Mapped[str]
    gate_passed: Mapped[bool]
    headline: Mapped[dict[str, Any]]
    fingerprint: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    run_id: Mapped[str | None]
    judged: Mapped[int] = mapped_column(BigInteger)
    """Order of the newest judgements over all releases: a version that is trained again to the same bits keeps its row, and is the newest again."""


class DeploymentChange(Base):
    """One change of what serves a use case, with the whole state after it. Rows are only ever added: the newest one of a use case holds."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("task", "revision"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    task: Mapped[str]
    revision: Mapped[int]
    """1, 2, 3 … within a use case; two changes at once both want the next one, and one of them gets it."""
    action: Mapped[str]
    entry: Mapped[str | None]
    version: Mapped[str | None]
    state: Mapped[dict[str, Any]]
    evidence: Mapped[dict[str, Any]]
    """What was checked before the change, such as the rollback drill of a promotion."""
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    """Never before the row that it follows, whatever the clock did."""


class Configuration(Base):
    """A validated configuration, named by its content."""

    __tablename__ = "configurations"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    model: Mapped[str]
    use_case: Mapped[str | None]
    hyperparameters: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class AnsweredRequest(Base):
    """The answer that a request with an `Idempotency-Key` was given, for when it is sent again. `status` is None while it is being answered."""

    __tablename__ = "answered_requests"
    __table_args__ = (UniqueConstraint("route", "key"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    route: Mapped[str]
    key: Mapped[str]
    digest: Mapped[str]
    """Of the body: the same key with another body is refused."""
    status: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """Who changed what, from what to what, and why."""

    __tablename__ = "audit"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    reason: Mapped[str]
    at: Mapped[datetime]


class ServedPrediction(Base):
    """A request that the gateway answered or failed to, by which version, and with what."""

    __tablename__ = "predictions"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    task: Mapped[str] = mapped_column(index=True)
    entry: Mapped[str]
    version: Mapped[str] = mapped_column(index=True)
    role: Mapped[str]
    """champion, challenger or shadow."""
    key: Mapped[str]
    """What the traffic split is sticky by."""
    revision: Mapped[int]
    """Of the deployment that sent the request to this version."""
    status: Mapped[int]
    milliseconds: Mapped[float]
    request: Mapped[dict[str, Any]]
    answer: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    at: Mapped[datetime]


class Outcome(Base):
    """What came true of an entity after a time, reported later; of several reports the newest counts."""

    __tablename__ = "outcomes"
    __table_args__ = (Index(None, "task", "entity", "time"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    task: Mapped[str]
    entity: Mapped[str]
    time: Mapped[datetime]
    """The as-of time of the predictions that it scores."""
    values: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class Alarm(Base):
    """A deployed version that drifted, decayed or failed, and the run that it started, if it did."""

    __tablename__ = "alarms"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    task: Mapped[str] = mapped_column(index=True)
    entry: Mapped[str]
    version: Mapped[str]
    kind: Mapped[str]
    """drift, decay, latency, errors or freshness."""
    detail: Mapped[dict[str, Any]]
    run_id: Mapped[str | None]
    at: Mapped[datetime]
