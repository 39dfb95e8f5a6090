"""Changes of what serves: one line a use case, each with its row in the audit trail, in one transaction."""

from __future__ import annotations

import pytest
from ledger_rows import RELEASE
from sqlalchemy import func, select

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.models import AuditEntry, DeploymentChange
from finml_models.core.errors import Conflict

TASK = RELEASE["task"]
FIRST, SECOND = Slot(entry="gru", version="a"), Slot(entry="gru", version="b")


@pytest.fixture
def deployments(ledger: Ledger) -> Deployments:
    for slot in (FIRST, SECOND):
        for task in (TASK, "price_forecasting"):
            ledger.record_release(**RELEASE | {"task": task, "entry": slot.entry, "version": slot.version, "gate_passed": True})
    return Deployments(ledger)


def count(ledger: Ledger, table: type[AuditEntry] | type[DeploymentChange]) -> int:
    with ledger.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_change_and_its_audit_row_are_written_together(ledger: Ledger, deployments: Deployments) -> None:
    deployments.deploy(TASK, FIRST, actor="ada", reason="first")
    deployments.promote(TASK, SECOND, actor="bob", reason="better")
    with ledger.read() as session:
        rows = list(session.scalars(select(AuditEntry).order_by(AuditEntry.sequence)))
    assert [(row.actor, row.action, row.subject, row.reason) for row in rows] == [
        ("ada", "deployment.deploy", TASK, "first"),
        ("bob", "deployment.promote", TASK, "better"),
    ]
    assert rows[1].before is not None
    assert rows[1].after is not None
    assert (rows[1].before["champion"], rows[1].after["champion"]) == (FIRST.model_dump(), SECOND.model_dump())


def test_a_change_that_cannot_be_audited_does_not_happen(ledger: Ledger, deployments: Deployments) -> None:
    with ledger.write() as session:
        session.connection().exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more rows'); END")
    with pytest.raises(Conflict):
        deployments.deploy(TASK, FIRST, actor="t")
    assert deployments.now(TASK).revision == 0
    assert (count(ledger, AuditEntry), count(ledger, DeploymentChange)) == (0, 0)


def test_a_refused_change_leaves_no_audit_row(ledger: Ledger, deployments: Deployments) -> None:
    deployments.deploy(TASK, FIRST, actor="t")
    for refused in (
        lambda: deployments.promote(TASK, SECOND, actor="t", expected=0),
        lambda: deployments.promote(TASK, FIRST, actor="t"),
        lambda: deployments.roll_back(TASK, actor="t"),
    ):
        with pytest.raises(Conflict):
            refused()
    assert count(ledger, AuditEntry) == 1


def test_all_holds_the_newest_of_each_use_case_in_the_order_of_their_changes(deployments: Deployments) -> None:
    deployments.deploy(TASK, FIRST, actor="t")
    deployments.deploy("price_forecasting", FIRST, actor="t")
    deployments.promote(TASK, SECOND, actor="t")
    assert [(held.task, held.revision) for held in deployments.all()] == [("price_forecasting", 1), (TASK, 2)]
