"""Opening a database so that nothing that was committed is lost and writers wait for each other."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from finml_models.core.errors import LedgerUnavailable

from .models import Encoded

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_MILLISECONDS = 10_000
MIGRATIONS = Path(__file__).parent / "migrations"
# "finml" as a number: the key under which Postgres lets one process migrate at a time.
MIGRATION_LOCK = 0x66696E6D6C
_alembic_is_not_thread_safe = threading.Lock()


def connect(address: str) -> Engine:
    """An engine on this SQLAlchemy URL; no connection is made yet. Raises `LedgerUnavailable` on an unusable address."""
    try:
        url = make_url(address)
        if url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise LedgerUnavailable(f"FINML_LEDGER_URL names {url.get_backend_name()!r}; use sqlite:///path or postgresql+psycopg://user@host/database")
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_pre_ping=True, json_serializer=_encode)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise LedgerUnavailable(f"FINML_LEDGER_URL cannot be used ({error}); use sqlite:///path or postgresql+psycopg://user@host/database") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_MILLISECONDS / 1000}, json_serializer=_encode)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision; safe when several processes open a fresh ledger at once."""
    from alembic import command
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = _config()
    heads = set(ScriptDirectory.from_config(config).get_heads())
    with guarded(engine.url), _alembic_is_not_thread_safe:
        with engine.connect() as connection:
            if set(MigrationContext.configure(connection).get_current_heads()) == heads:
                return
        if engine.dialect.name == "sqlite":
            _write_ahead(engine)
        with engine.execution_options(immediate=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise LedgerUnavailable(f"the ledger {_name(engine.url)} was written by another version of finml ({error}); update finml") from error


@contextmanager
def guarded(url: URL) -> Iterator[None]:
    """Turn a database that is gone, locked or read-only into one error that says so."""
    try:
        yield
    except DatabaseError as error:
        # Its other subclasses are about one statement: a constraint, a wrong column.
        if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
            raise
        raise LedgerUnavailable(f"the ledger {_name(url)} cannot be used: {error.orig}; check that it is there, writable and not locked") from error


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _name(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _encode(document: object) -> str:
    import json

    if isinstance(document, Encoded):
        return document.text
    return json.dumps(document, allow_nan=False, ensure_ascii=False)


def _configure(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001 - the event passes its pool record
    # Without this the driver opens transactions by itself, late and deferred.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads before it writes fails at once when another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("immediate") else "BEGIN")


def _write_ahead(engine: Engine) -> None:
    """Switch a database file to write-ahead logging, once; SQLite does not wait for this lock by itself."""
    deadline = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        raw = engine.raw_connection()
        try:
            driver: Any = raw.driver_connection
            driver.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline or "locked" not in str(error):
                raise LedgerUnavailable(f"the ledger {_name(engine.url)} cannot be used: {error}; check that its folder is there and writable") from error
            time.sleep(0.02)
        else:
            return
        finally:
            raw.close()
