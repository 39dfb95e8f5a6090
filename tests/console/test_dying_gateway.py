"""A gateway that dies while it answers: the request is asked of its successor, or a problem says that nobody answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from console_cases import HAR, ROWS, TASK, http

from finml_console.app import create_app
from finml_console.services.gateway import Gateway
from finml_console.settings import Settings
from finml_ledger import Deployments, Ledger

ANSWER = {"version": HAR.version, "level": 0.9, "assets": [], "warnings": []}
HEADERS = f"x-finml-entry: {HAR.entry}\r\nx-finml-version: {HAR.version}\r\nx-finml-role: champion\r\nx-finml-prediction: p-1"


@contextmanager
def dying(deaths: int) -> Iterator[tuple[str, list[bytes]]]:
    """A gateway that reads a request and is gone, so often, and then answers; with the requests that came to it."""
    content = json.dumps(ANSWER)
    whole = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{HEADERS}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n{content}"
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65_536))
                # Half an answer first: death in the middle is worse than before it.
                connection.sendall(whole.encode() if len(asked) > deaths else whole[:40].encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(("deaths", "status", "times"), [(0, 200, 1), (1, 200, 2), (5, 503, 2)])
def test_a_request_that_its_gateway_died_of_is_asked_once_more(deaths: int, status: int, times: int, ledger: Ledger) -> None:
    Deployments(ledger).deploy(TASK, HAR, actor="t")
    with dying(deaths) as (url, asked):
        api = http(create_app(Settings(dagster_url="http://127.0.0.1:9"), ledger=ledger, gateway=Gateway(url)))
        answer = api.post("/models/predict", json={"model_id": HAR.entry, "input_data": ROWS})
    assert (answer.status_code, len(asked)) == (status, times)
    if status == 503:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "finml up" in answer.json()["detail"]
    else:
        assert (answer.json()["version"], answer.json()["prediction_id"]) == (HAR.version, "p-1")
