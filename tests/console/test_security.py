"""Who may ask, how much, and how fast; every route there is is enumerated."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from console_cases import ADDRESS, FakeGateway, application, http
from fastapi import FastAPI

from finml_console.settings import Settings, load
from finml_ledger import Ledger
from finml_models.core.errors import ServiceFailed

TOKEN = "a-secret-of-some-length"  # noqa: S105
MUTATING = ("post", "put", "patch", "delete")


@pytest.fixture
def locked(ledger: Ledger, gateway: FakeGateway) -> FastAPI:
    return application(ledger, gateway, token=TOKEN)


def operations(app: FastAPI) -> list[tuple[str, str]]:
    return [(method, path) for path, item in app.openapi()["paths"].items() for method in item]


def test_every_mutating_route_refuses_without_the_token(locked: FastAPI, ledger: Ledger) -> None:
    mutating = [(method, path) for method, path in operations(locked) if method in MUTATING]
    assert len(mutating) >= 8
    for method, path in mutating:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer é"}):
            raw = {name: value.encode() for name, value in headers.items()}
            with http(locked) as client:
                answer = client.request(method, path.replace("{", "").replace("}", ""), headers=raw, json={})
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
    with ledger.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM answered_requests").scalar() == 0


def test_any_method_that_may_change_something_needs_the_token_whether_there_is_a_route_or_not(locked: FastAPI) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"):
        assert http(locked).request(method, "/not/there/yet").status_code == 401


def test_with_the_token_every_mutating_route_lets_in(locked: FastAPI) -> None:
    for method, path in operations(locked):
        if method in MUTATING:
            answer = http(locked, Authorization=f"bearer {TOKEN}").request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code not in {401, 403}, (method, path)


def test_reading_needs_no_token(locked: FastAPI) -> None:
    assert http(locked).get("/models/list").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:3400", "[::2]:3400", "", "localhost@evil.example"])
def test_a_request_to_another_host_is_refused(host: str, api: httpx.Client) -> None:
    answer = api.get("/models/list", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3400", "127.0.0.1:9", "[::1]:3400", "console.example"])
def test_a_request_to_a_host_of_ours_is_answered(host: str, ledger: Ledger, gateway: FakeGateway) -> None:
    app = application(ledger, gateway, allowed_hosts="console.example, other.example")
    assert http(app).get("/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("origin", "status"), [("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:3400", 409), ("http://localhost:3400", 409)])
def test_a_page_of_another_site_changes_nothing(origin: str, status: int, api: httpx.Client) -> None:
    answer = api.post("/v1/deployments/volatility_forecasting/rollback", json={}, headers={"Origin": origin})
    assert answer.status_code == status


def test_every_answer_has_the_security_headers(app: FastAPI) -> None:
    for path in ("/models/list", "/models/none", "/nowhere", "/openapi.json"):
        headers = http(app).get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(app: FastAPI) -> None:
    assert send(app, body=b"", headers={"content-length": "104857600"})[0] == 413
    assert send(app, body=b"", headers={"content-length": "9" * 100_000})[0] == 413
    assert send(app, body=b" " * 3_000_000)[0] == 413
    assert send(app, body=b"", headers={"content-length": "-1"})[0] == 400


def test_a_slow_body_is_given_up(ledger: Ledger, gateway: FakeGateway) -> None:
    app = application(ledger, gateway, body_seconds=0.1)
    began = time.monotonic()
    assert send(app, body=b"{}", pause=5)[0] == 408
    assert time.monotonic() - began < 2


def test_a_compressed_body_is_refused(app: FastAPI) -> None:
    assert send(app, body=b"\x1f\x8b", headers={"content-encoding": "gzip"})[0] == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"model_id": NaN}', b'{"a": 1, "a": 2}',
     b'{"model_id": "gru", "input_data": {"rows": [1e999]}}', b'{"model_id": "\\ud800", "input_data": {}}',
     b'{"model_id": "gru", "use_case": "\\u0000", "input_data": {}}'],
)  # fmt: skip
def test_a_body_that_is_no_request_is_a_problem_and_no_fault_of_ours(body: bytes, app: FastAPI) -> None:
    status, document = send(app, body=body)
    assert status in {400, 409, 422}
    assert json.loads(document)["status"] == status


def test_numbers_that_are_none_are_refused_where_a_model_is_deployed(app: FastAPI, gateway: FakeGateway, ledger: Ledger) -> None:
    http(app).post("/v1/deployments/volatility_forecasting/deploy", json={"model_id": "gru", "version": "g1"})
    for rows in (b"[NaN]", b"[1e999]", b"[-Infinity]"):
        status, document = send(app, body=b'{"model_id": "gru", "input_data": {"rows": ' + rows + b"}}")
        assert status == 422
        assert "finite" in json.loads(document)["detail"]
    status, _ = send(app, body=b'{"model_id": "gru", "input_data": {"rows": ' + b"[" * 900 + b"]" * 900 + b"}}")
    assert status in {200, 400, 422}


def test_a_fault_of_ours_says_nothing_of_it(app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("finml_console.routes.catalogue.category_list", breaks)
    answer = http(app).get("/models/categories")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "console.example"])  # noqa: S104 - what must be refused
def test_another_host_than_the_loopback_without_a_token_does_not_start(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_HOST", host)
    with pytest.raises(ServiceFailed, match="FINML_TOKEN"):
        load()
    monkeypatch.setenv("FINML_TOKEN", TOKEN)
    assert load().host == host


@pytest.mark.parametrize("token", ["short", "with some spaces in it", "ümläüts-are-not-sendable"])
def test_a_token_that_is_weak_or_cannot_be_sent_is_refused_without_showing_it(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_TOKEN", token)
    with pytest.raises(ServiceFailed) as refused:
        load()
    assert token not in str(refused.value)


def test_the_token_is_shown_nowhere() -> None:
    assert TOKEN not in repr(Settings(token=TOKEN))
    assert TOKEN not in Settings(token=TOKEN).model_dump_json()


def send(app: FastAPI, *, body: bytes, headers: dict[str, str] | None = None, pause: float = 0.0) -> tuple[int, bytes]:
    """A POST to predict as raw ASGI messages: headers may lie, and the body may be slow."""
    given = {"host": ADDRESS.removeprefix("http://"), "content-type": "application/json"} | (headers or {})
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/models/predict", "raw_path": b"/models/predict",
        "query_string": b"", "root_path": "", "scheme": "http", "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3400),
    }  # fmt: skip

    async def chunks() -> AsyncIterator[dict[str, Any]]:
        for start in range(0, max(1, len(body)), 1_000_000):
            await asyncio.sleep(pause)
            yield {"type": "http.request", "body": body[start : start + 1_000_000], "more_body": start + 1_000_000 < len(body)}

    async def ask() -> tuple[int, bytes]:
        waiting, sent = chunks(), []

        async def hear(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, waiting.__anext__, hear)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    return asyncio.run(ask())
