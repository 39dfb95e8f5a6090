"""Writers wait for each other, nothing committed is lost, and the schema is what the models say."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledger_rows import RELEASE, TRIAL
from sqlalchemy import create_engine, text

from finml_ledger import Ledger, engine
from finml_ledger.models import Base
from finml_models.core.errors import LedgerUnavailable

WRITER = """
import json, sys
from finml_ledger import Ledger
trial = json.loads(sys.argv[3])
ledger = Ledger.open(sys.argv[1])
for seed in range(int(sys.argv[2])):
    ledger.finish_trial(ledger.start_trial(**trial | {"seed": seed}), metric="qlike", value=0.5, variance=0.1, samples=10, seconds=1.0)
"""


def writers(address: str, processes: int, trials: int) -> None:
    """Run this many processes that open the ledger and write at once."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, address, str(trials), json.dumps(TRIAL)], stderr=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def test_the_migrated_schema_is_the_models_schema(address: str, ledger: Ledger) -> None:
    with create_engine(address).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata) == []


def test_opening_twice_migrates_once(address: str, ledger: Ledger) -> None:
    ledger.start_trial(**TRIAL)
    again = Ledger.open(address)
    assert again.count_trials() == 1
    again.close()


def test_a_ledger_of_a_newer_program_is_refused(address: str, ledger: Ledger) -> None:
    with create_engine(address).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerUnavailable, match="update finml"):
        Ledger.open(address)


def test_a_migration_that_is_cut_short_leaves_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlalchemy as sa
    from alembic import op

    make = op.create_table

    def fails_at_the_second(name: str, *columns: sa.Column, **options: object) -> None:
        if name == "releases":
            raise KeyboardInterrupt
        make(name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_table", fails_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(address)
    with create_engine(address).connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    Ledger.open(address).close()


def test_every_connection_is_durable_and_every_write_takes_its_lock_first(address: str, ledger: Ledger) -> None:
    bound = engine.connect(address)
    with bound.connect() as connection:
        settings = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    with bound.execution_options(immediate=True).begin(), sqlite3.connect(address.removeprefix("sqlite:///"), timeout=0) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE trials SET seed = 0")
        assert other.execute("SELECT count(*) FROM trials").fetchone() == (0,)


def test_threads_lose_nothing(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda seed: ledger.start_trial(**TRIAL | {"seed": seed}), range(80)))
    trials = ledger.trials()
    assert {t.id for t in trials} == set(ids)
    assert [t.sequence for t in trials] == list(range(1, 81))


def test_processes_that_open_a_fresh_ledger_at_once_lose_nothing(address: str) -> None:
    writers(address, processes=4, trials=10)
    ledger = Ledger.open(address)
    assert ledger.count_trials() == 40
    assert all(t.status == "finished" for t in ledger.trials())
    ledger.close()


def test_threads_that_open_a_fresh_ledger_at_once_both_succeed(address: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Ledger.open(address), range(4)))
    assert [ledger.count_trials() for ledger in opened] == [0, 0, 0, 0]
    for ledger in opened:
        ledger.close()


def test_the_same_release_from_many_threads_is_one_row(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: ledger.record_release(**RELEASE).sequence, range(16)))
    assert set(rows) == {1}


def test_a_writer_waits_for_a_locked_database(address: str, ledger: Ledger) -> None:
    holder = sqlite3.connect(address.removeprefix("sqlite:///"), check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.5, lambda: holder.execute("COMMIT")).start()
    began = time.monotonic()
    ledger.start_trial(**TRIAL)
    assert time.monotonic() - began > 0.3
    assert ledger.count_trials() == 1
    holder.close()


def test_a_database_that_stays_locked_is_a_clear_error(address: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 100)
    impatient = Ledger.open(address)
    holder = sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked"):
        impatient.start_trial(**TRIAL)
    assert impatient.count_trials() == 0
    holder.execute("ROLLBACK")
    holder.close()
    impatient.close()


def test_a_killed_writer_leaves_a_whole_ledger(address: str, ledger: Ledger) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, address, "100000", json.dumps(TRIAL)])
    deadline = time.monotonic() + 20
    while ledger.count_trials() < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    survived = ledger.count_trials()
    assert survived >= 5
    with create_engine(address).connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    ledger.start_trial(**TRIAL)
    assert ledger.count_trials() == survived + 1


@pytest.mark.skipif("FINML_TEST_POSTGRES" not in os.environ, reason="set FINML_TEST_POSTGRES to the URL of an empty Postgres database")
def test_postgres_keeps_the_same_ledger(tmp_path: Path) -> None:
    address = os.environ["FINML_TEST_POSTGRES"]
    with create_engine(address).begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    writers(address, processes=4, trials=10)
    with create_engine(address).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata) == []
    ledger = Ledger.open(address)
    with ThreadPoolExecutor(8) as pool:
        rows = set(pool.map(lambda _: ledger.record_release(**RELEASE).sequence, range(16)))
    assert len(rows) == 1
    assert ledger.count_trials() == 40
    (trial, *_) = ledger.trials()
    assert trial.hyperparameters == TRIAL["hyperparameters"]
    assert trial.started_at.tzinfo is not None
    ledger.close()
