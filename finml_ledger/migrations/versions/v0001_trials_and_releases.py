"""Trials and releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "trials",
        sa.Column("sequence", SEQUENCE, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.Column("fold", sa.Integer()),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("config_hash", sa.String(), nullable=False),
        sa.Column("hyperparameters", sa.JSON(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("data_snapshot", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("fingerprint_id", sa.String(), nullable=False),
        sa.Column("metric", sa.String()),
        sa.Column("value", sa.Double()),
        sa.Column("variance", sa.Double()),
        sa.Column("samples", sa.Integer()),
        sa.Column("seconds", sa.Double()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("run_id", sa.String()),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.CheckConstraint("status IN ('running', 'finished', 'failed')", name=op.f("ck_trials_status")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_trials")),
        sa.UniqueConstraint("id", name=op.f("uq_trials_id")),
        sqlite_autoincrement=True,
    )
    for column in ("task", "entry", "run_id"):
        op.create_index(op.f(f"ix_trials_{column}"), "trials", [column])
    op.create_table(
        "releases",
        sa.Column("sequence", SEQUENCE, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.Column("bento_tag", sa.String()),
        sa.Column("artifact", sa.String(), nullable=False),
        sa.Column("report", sa.String()),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("gate_passed", sa.Boolean(), nullable=False),
        sa.Column("headline", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("run_id", sa.String()),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_releases")),
        sa.UniqueConstraint("task", "entry", "version", name=op.f("uq_releases_task_entry_version")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("releases")
    op.drop_table("trials")
