"""Deployments, configurations, answered requests, audit, predictions, outcomes and alarms; the order in which releases were judged."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
UNIQUE = {"deployments": ("task", "revision"), "configurations": ("id",), "answered_requests": ("route", "key"), "predictions": ("id",)}
INDICES = {"predictions": (("task",), ("version",)), "outcomes": (("task", "entity", "time"),), "alarms": (("task",),)}


def tables() -> dict[str, tuple[sa.Column[Any], ...]]:
    """The columns of each new table; new objects each time, for a column belongs to one table."""
    return {
        "deployments": (
            sa.Column("task", sa.String(), nullable=False),
            sa.Column("revision", sa.Integer(), nullable=False),
            sa.Column("action", sa.String(), nullable=False),
            sa.Column("entry", sa.String()),
            sa.Column("version", sa.String()),
            sa.Column("state", sa.JSON(), nullable=False),
            sa.Column("evidence", sa.JSON(), nullable=False),
            sa.Column("actor", sa.String(), nullable=False),
            sa.Column("reason", sa.String(), nullable=False),
            sa.Column("at", MOMENT, nullable=False),
        ),
        "configurations": (
            sa.Column("id", sa.String(), nullable=False),
            sa.Column("model", sa.String(), nullable=False),
            sa.Column("use_case", sa.String()),
            sa.Column("hyperparameters", sa.JSON(), nullable=False),
            sa.Column("training", sa.JSON(), nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
        ),
        "answered_requests": (
            sa.Column("route", sa.String(), nullable=False),
            sa.Column("key", sa.String(), nullable=False),
            sa.Column("digest", sa.String(), nullable=False),
            sa.Column("status", sa.Integer()),
            sa.Column("answer", sa.JSON()),
            sa.Column("created_at", MOMENT, nullable=False),
        ),
        "audit": (
            sa.Column("actor", sa.String(), nullable=False),
            sa.Column("action", sa.String(), nullable=False),
            sa.Column("subject", sa.String(), nullable=False),
            sa.Column("before", sa.JSON()),
            sa.Column("after", sa.JSON()),
            sa.Column("reason", sa.String(), nullable=False),
            sa.Column("at", MOMENT, nullable=False),
        ),
        "predictions": (
            sa.Column("id", sa.String(), nullable=False),
            sa.Column("task", sa.String(), nullable=False),
            sa.Column("entry", sa.String(), nullable=False),
            sa.Column("version", sa.String(), nullable=False),
            sa.Column("role", sa.String(), nullable=False),
            sa.Column("key", sa.String(), nullable=False),
            sa.Column("revision", sa.Integer(), nullable=False),
            sa.Column("status", sa.Integer(), nullable=False),
            sa.Column("milliseconds", sa.Double(), nullable=False),
            sa.Column("request", sa.JSON(), nullable=False),
            sa.Column("answer", sa.JSON()),
            sa.Column("error", sa.String()),
            sa.Column("at", MOMENT, nullable=False),
        ),
        "outcomes": (
            sa.Column("task", sa.String(), nullable=False),
            sa.Column("entity", sa.String(), nullable=False),
            sa.Column("time", MOMENT, nullable=False),
            sa.Column("values", sa.JSON(), nullable=False),
            sa.Column("at", MOMENT, nullable=False),
        ),
        "alarms": (
            sa.Column("task", sa.String(), nullable=False),
            sa.Column("entry", sa.String(), nullable=False),
            sa.Column("version", sa.String(), nullable=False),
            sa.Column("kind", sa.String(), nullable=False),
            sa.Column("detail", sa.JSON(), nullable=False),
            sa.Column("run_id", sa.String()),
            sa.Column("at", MOMENT, nullable=False),
        ),
    }


def upgrade() -> None:
    """Make the tables, and number the releases in the order in which they were recorded."""
    for table, columns in tables().items():
        unique = UNIQUE.get(table)
        op.create_table(
            table,
            sa.Column("sequence", SEQUENCE, nullable=False),
            *columns,
            sa.PrimaryKeyConstraint("sequence", name=op.f(f"pk_{table}")),
            *((sa.UniqueConstraint(*unique, name=op.f(f"uq_{table}_{'_'.join(unique)}")),) if unique else ()),
            sqlite_autoincrement=True,
        )
        for index in INDICES.get(table, ()):
            op.create_index(op.f(f"ix_{table}_{'_'.join(index)}"), table, list(index))
    op.add_column("releases", sa.Column("judged", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE releases SET judged = sequence")


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("releases") as releases:
        releases.drop_column("judged")
    for table in reversed(tables()):
        op.drop_table(table)
