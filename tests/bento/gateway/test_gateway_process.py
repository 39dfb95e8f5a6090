"""A gateway in a process of its own: under load while versions change, killed, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from gateway_cases import BODY, JSON, PREDICT, released
from service_cases import TASK

from bento.gateway.serve import serve_gateway
from bento.process import Running
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_ledger.predictions import PredictionLog
from finml_models.core import artifact, catalog, serving
from finml_models.core.errors import ServiceFailed
from finml_models.core.home import artifacts


@pytest.fixture
def running(ledger: Ledger, slots: list[Slot]) -> Iterator[Running]:
    """A gateway of this test's own."""
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    with serve_gateway() as gateway:
        yield gateway


def worker(running: Running) -> psutil.Process:
    (child,) = psutil.Process(running.process.pid).children()
    return child


def ask(client: httpx.Client, key: str = "client") -> httpx.Response:
    return client.post(PREDICT, content=BODY, headers=JSON | {"x-finml-key": key})


def offline(slot: Slot) -> object:
    asked = catalog.task(TASK).request.model_validate_json(BODY)
    return serving.answer(artifact.load(artifacts(TASK, slot.entry) / slot.version), asked).model_dump(mode="json")


def test_versions_change_under_load_without_a_failed_request(standing: tuple[Running, Ledger], slots: list[Slot]) -> None:
    running, ledger = standing
    book, done = Deployments(ledger), threading.Event()
    expected = {slot.version: offline(slot) for slot in slots}

    def load(number: int) -> list[tuple[float, str]]:
        seen = []
        with httpx.Client(base_url=running.url, timeout=30) as client:
            while not done.is_set():
                answer = ask(client, f"client-{number}-{len(seen)}")
                assert answer.status_code == 200, answer.text
                version = answer.headers["x-finml-version"]
                assert answer.json() == expected[version]
                seen.append((time.monotonic(), version))
                time.sleep(0.01)
        return seen

    with ThreadPoolExecutor(3) as pool, httpx.Client(base_url=running.url, timeout=30) as control:
        loads = [pool.submit(load, number) for number in range(3)]
        try:
            time.sleep(0.3)
            book.split(TASK, slots[1], 0.5, actor="test")
            time.sleep(1)
            # Not prepared: the gateway loads it while the others answer.
            book.promote(TASK, slots[2], actor="test")
            time.sleep(1)
            book.roll_back(TASK, actor="test")
            control.post("/deployments/refresh").raise_for_status()
            rolled_back = time.monotonic()
            time.sleep(0.5)
        finally:
            done.set()
        seen = sorted(pair for future in loads for pair in future.result())
    assert {version for _, version in seen} == set(expected)
    # What was asked before the roll back may be answered after it, by one request a client.
    late = [version for moment, version in seen if moment > rolled_back]
    assert len(late) > 3
    assert sum(version != slots[0].version for version in late) <= 3


def test_a_worker_that_is_killed_mid_request_is_replaced_within_three_seconds(standing: tuple[Running, Ledger]) -> None:
    running, _ = standing
    first = worker(running)
    moment = 0.0

    def half() -> Iterator[bytes]:
        nonlocal moment
        yield BODY[:100].encode()
        time.sleep(0.2)
        first.kill()
        moment = time.monotonic()
        time.sleep(0.1)
        yield BODY[100:].encode()

    with httpx.Client(base_url=running.url, timeout=30) as client:
        with pytest.raises(httpx.TransportError):
            client.post(PREDICT, content=half(), headers=JSON)
        # The port stayed open: who asks meanwhile waits, and nobody is refused.
        again = ask(client)
        assert again.status_code == 200, again.text
        assert time.monotonic() - moment < 3
        assert client.get("/readyz").status_code == 200
    assert worker(running).pid != first.pid


def test_a_gateway_that_is_asked_to_end_answers_what_is_in_flight_logs_it_and_leaves_nothing(running: Running, ledger: Ledger) -> None:
    family = [psutil.Process(running.process.pid), worker(running)]

    def half() -> Iterator[bytes]:
        yield BODY[:100].encode()
        time.sleep(0.2)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        yield BODY[100:].encode()

    with httpx.Client(base_url=running.url, timeout=30) as client:
        answers = [*(ask(client) for _ in range(5)), client.post(PREDICT, content=half(), headers=JSON)]
    assert {answer.status_code for answer in answers} == {200}
    assert running.process.wait(10) == 0
    assert {row.id for row in PredictionLog(ledger).page()} == {answer.headers["x-finml-prediction"] for answer in answers}
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_worker_does_not_outlive_its_supervisor(running: Running) -> None:
    child = worker(running)
    running.process.kill()
    child.wait(10)
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url + "/livez")


def test_it_listens_on_the_loopback_only(standing: tuple[Running, Ledger]) -> None:
    running, _ = standing
    family = [psutil.Process(running.process.pid), worker(running)]
    addresses = {c.laddr.ip for process in family for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}


def test_the_guard_holds_behind_bentoml_too(standing: tuple[Running, Ledger]) -> None:
    running, _ = standing
    for method, path, content, status in (
        ("GET", "/docs.json", b"", 404),
        ("GET", "/schema.json", b"", 404),
        ("GET", PREDICT, b"", 405),
        ("POST", PREDICT, b"{", 400),
        ("POST", PREDICT, b"[" * 3_000_000, 413),
    ):
        answer = httpx.request(method, running.url + path, content=content, headers=JSON)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
    for path in ("/livez", "/readyz", "/metrics", "/deployed", "/openapi.json"):
        assert httpx.get(running.url + path).status_code == 200, path


def test_a_gateway_without_a_ledger_says_why_it_does_not_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_LEDGER_URL", f"sqlite:///{home}/missing/ledger.sqlite")
    with pytest.raises(ServiceFailed, match=r"gateway ended with status 1 .*missing/ledger.sqlite"):
        serve_gateway()


def test_a_damaged_champion_does_not_keep_a_gateway_from_starting(slots: list[Slot]) -> None:
    ledger = released(slots)
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    os.truncate(artifacts(TASK, slots[0].entry) / slots[0].version / "weights.safetensors", 10)
    with serve_gateway() as gateway, httpx.Client(base_url=gateway.url) as client:
        assert client.get("/deployed").json()["versions"][0]["condition"] == "failed"
        assert ask(client).status_code == 503


def test_a_taken_port_is_an_error_that_names_a_free_one(standing: tuple[Running, Ledger]) -> None:
    port = int(standing[0].url.rpartition(":")[2])
    with pytest.raises(ServiceFailed, match=r"cannot be used .*; \d+ is free"):
        serve_gateway(port)


def test_no_request_made_from_the_document_ends_in_a_server_error(standing: tuple[Running, Ledger]) -> None:
    url = standing[0].url
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    fuzz = ["run", f"{url}/openapi.json", "--url", url, "--max-examples", "3", "--phases", "examples,fuzzing", "--checks", checks, "--seed", "1"]
    done = subprocess.run([Path(sys.executable).with_name("schemathesis"), *fuzz], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    assert httpx.get(f"{url}/readyz").status_code == 200
