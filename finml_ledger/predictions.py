"""The log of what was asked of deployed versions, and what they answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from finml_models.core.errors import UnknownName

from .deployments import Role
from .ledger import Ledger
from .models import Encoded, ServedPrediction

__all__ = ["Encoded", "PredictionLog", "Served"]

TABLE = ServedPrediction.metadata.tables[ServedPrediction.__tablename__]


@dataclass(frozen=True, slots=True)
class Served:
    """A request that was routed to a version, as it is logged; the fields are those of `ServedPrediction`."""

    id: str
    task: str
    entry: str
    version: str
    role: Role
    key: str
    revision: int
    status: int
    milliseconds: float
    request: dict[str, Any] | Encoded
    answer: dict[str, Any] | Encoded | None
    error: str | None
    at: datetime

    def row(self) -> dict[str, Any]:
        """The fields by column. No database of ours can hold a NUL in its texts."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.replace("\0", "?") if isinstance(value, str) else value for name, value in values.items()}


class PredictionLog:
    """The book of predictions in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def append(self, served: Sequence[Served]) -> int:
        """Write these in one transaction and return how many were new: what was written before, by its id, is not written again."""
        if not served:
            return 0
        with self._ledger.write() as session:
            connection = session.connection()
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            # Rows as they are: objects of them would cost as much as writing does. The same id twice in one call is one prediction too.
            added = connection.execute(dialect.insert(TABLE).on_conflict_do_nothing(index_elements=["id"]), [one.row() for one in served])
            return added.rowcount

    def get(self, prediction: str) -> ServedPrediction:
        """The prediction of this id; raises `UnknownName`."""
        with self._ledger.read() as session:
            row = session.scalar(select(ServedPrediction).where(ServedPrediction.id == prediction))
        if row is None:
            raise UnknownName("prediction", prediction, ())
        return row

    def page(
        self,
        task: str | None = None,
        entry: str | None = None,
        version: str | None = None,
        role: Role | None = None,
        *,
        before: int | None = None,
        limit: int = 50,
    ) -> list[ServedPrediction]:
        """The newest predictions that hold every given condition, newest first, of a sequence below `before`: the last row's leads to the next page."""
        wanted = {"task": task, "entry": entry, "version": version, "role": role}
        query = select(ServedPrediction).where(*(getattr(ServedPrediction, name) == value for name, value in wanted.items() if value is not None))
        if before is not None:
            query = query.where(ServedPrediction.sequence < before)
        with self._ledger.read() as session:
            return list(session.scalars(query.order_by(ServedPrediction.sequence.desc()).limit(limit)))

    def prune(self, keep: int) -> int:
        """Delete all but the newest `keep` predictions; returns how many went."""
        with self._ledger.write() as session:
            newest = session.scalar(select(func.max(ServedPrediction.sequence))) or 0
            return len(session.scalars(delete(ServedPrediction).where(ServedPrediction.sequence <= newest - keep).returning(ServedPrediction.sequence)).all())
