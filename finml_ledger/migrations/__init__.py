"""Alembic's scripts; `Ledger.open` runs them."""
