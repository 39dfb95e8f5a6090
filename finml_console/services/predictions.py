"""Reading the log of predictions."""

from __future__ import annotations

from sqlalchemy import select

from finml_ledger import Ledger
from finml_ledger.models import ServedPrediction
from finml_models.core.errors import UnknownName


class Predictions:
    """The log in a ledger. The gateway writes it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def page(
        self,
        *,
        task: str | None = None,
        entry: str | None = None,
        version: str | None = None,
        role: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[ServedPrediction]:
        """Predictions of sequences below `before`, newest first, that hold every given condition."""
        query = select(ServedPrediction).order_by(ServedPrediction.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(ServedPrediction.sequence < before)
        for name, value in {"task": task, "entry": entry, "version": version, "role": role}.items():
            if value is not None:
                query = query.where(getattr(ServedPrediction, name) == value)
        with self._ledger.read() as session:
            return list(session.scalars(query))

    def get(self, prediction_id: str) -> ServedPrediction:
        """The prediction of this id; raises `UnknownName`."""
        with self._ledger.read() as session:
            row = session.scalar(select(ServedPrediction).where(ServedPrediction.id == prediction_id))
        if row is None:
            raise UnknownName("prediction", prediction_id, ())
        return row
