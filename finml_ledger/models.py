"""The ledger's tables. `sequence` orders the rows; the clock only decorates them, because clocks step back."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, Double, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# SQLite counts rows by themselves only in a column of exactly this type.
Sequence = BigInteger().with_variant(Integer, "sqlite")
Document = JSON(none_as_null=True)


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
