"""Alembic's entry point: migrate the connection that the caller opened, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from finml_ledger.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True)
context.run_migrations()
