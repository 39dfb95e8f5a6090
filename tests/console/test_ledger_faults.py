"""A ledger that is locked, read-only or gone: waited for, then a 503 that says what to do; never a 500, never half a change."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from console_cases import HAR, TASK, FakeGateway, application, http

from finml_ledger import Deployments, Ledger, engine

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = {"model_id": HAR.entry, "version": HAR.version}
PATH = f"/v1/deployments/{TASK}"


def test_a_change_waits_for_a_ledger_that_is_locked_for_eight_seconds(api: httpx.Client, home: Path) -> None:
    holder = sqlite3.connect(home / "ledger.sqlite", check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(8.0, lambda: holder.execute("COMMIT")).start()
    began = time.monotonic()
    assert api.post(f"{PATH}/deploy", json=DEPLOY).status_code == 200
    assert time.monotonic() - began > 7.5
    holder.close()


def test_a_ledger_that_stays_locked_is_a_503_and_reading_goes_on(ledger: Ledger, gateway: FakeGateway, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 100)
    impatient = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    api = http(application(impatient, gateway))
    holder = sqlite3.connect(home / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = api.post(f"{PATH}/deploy", json=DEPLOY, headers=headers)
        assert answer.status_code == 503
        assert "locked" in answer.json()["detail"]
        assert answer.headers["retry-after"]
    assert api.get("/models/list").status_code == 200
    holder.execute("ROLLBACK")
    assert api.post(f"{PATH}/deploy", json=DEPLOY, headers={"Idempotency-Key": "k"}).status_code == 200
    assert Deployments(ledger).now(TASK).revision == 1
    holder.close()
    impatient.close()


def test_a_read_only_ledger_is_read_and_not_written(ledger: Ledger, gateway: FakeGateway, home: Path) -> None:
    only = Ledger.open(f"sqlite:///file:{home / 'ledger.sqlite'}?mode=ro&uri=true")
    api = http(application(only, gateway))
    answer = api.post(f"{PATH}/deploy", json=DEPLOY)
    assert answer.status_code == 503
    assert "readonly" in answer.json()["detail"]
    assert api.get("/models/gru").json()["production_ready"] is True
    only.close()


def test_a_ledger_that_is_gone_is_a_503_on_every_route_that_needs_it(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    ledger.close()
    for file in home.glob("ledger.sqlite*"):
        file.unlink()
    (home / "ledger.sqlite").mkdir()
    for path in ("/models/list", "/models/gru", "/models/deployed", PATH, "/v1/versions", "/v1/audit", "/v1/readiness"):
        answer = api.get(path)
        assert answer.status_code == 503, path
        assert "check that it is there" in answer.json()["detail"]
    assert api.get("/models/categories").status_code == 200
    assert api.get("/v1/health").status_code == 200


def environment(**settings: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | {f"FINML_{name}": value for name, value in settings.items()}


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"LEDGER_URL": "sqlite:////nowhere/at/all.sqlite"}, "check that it is there"), ({"HOST": "0.0.0.0"}, "FINML_TOKEN"), ({"PORT": "70000"}, "port")],  # noqa: S104
)
def test_a_server_that_cannot_start_says_why_in_one_line(settings: dict[str, str], said: str, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finml_console"], env=environment(HOME=str(home), **settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_answers_and_ends_well_when_it_is_asked_to(ledger: Ledger, home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "finml_console"], env=environment(HOME=str(home), PORT=str(port)))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            deadline = time.monotonic() + 40
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if client.get("/v1/health").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            assert client.get("/models/list").json()["count"] == 18
            assert client.get("/models/list", headers={"Host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
