"""The audit trail: who changed what, from what to what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from finml_ledger import Ledger
from finml_ledger.models import AuditEntry


class Audit:
    """The trail in a ledger. Changes of deployments enter it by themselves, in the transaction that makes them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(
        self, *, actor: str, action: str, subject: str, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None, reason: str = ""
    ) -> None:
        """Add a row."""
        row = AuditEntry(
            actor=actor,
            action=action,
            subject=subject,
            before=None if before is None else dict(before),
            after=None if after is None else dict(after),
            reason=reason,
            at=self._ledger.clock(),
        )
        with self._ledger.write() as session:
            session.add(row)

    def page(self, *, before: int | None = None, limit: int = 50, subject: str | None = None, action: str | None = None) -> list[AuditEntry]:
        """Rows of sequences below `before`, newest first, that hold every given condition."""
        query = select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntry.sequence < before)
        if subject is not None:
            query = query.where(AuditEntry.subject == subject)
        if action is not None:
            query = query.where(AuditEntry.action == action)
        with self._ledger.read() as session:
            return list(session.scalars(query))
