"""Bad input: the status that each deserves, always a problem document, never a 5xx, never an echo of what was sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_cases import ask, changed, good_request, guarded

from bento.guard import MOST_BYTES, Guard
from bento.problem import MEDIA_TYPE

GOOD = json.dumps(good_request())


def with_close(literal: str) -> str:
    """The good request with this text in the place of one number."""
    return json.dumps(changed("rows", 3, "close", value="@@")).replace('"@@"', literal)


def without(name: str) -> str:
    request = good_request()
    del request["rows"][3][name]
    return json.dumps(request)


def short(count: int) -> str:
    return json.dumps({"rows": good_request()["rows"][:count]})


REFUSED: dict[str, tuple[int, str | bytes]] = {
    "an empty body": (400, b""),
    "broken JSON": (400, '{"rows": ['),
    "two documents": (400, "{} {}"),
    "bytes that are no UTF-8": (400, b'{"rows": "\xff\xfe"}'),
    "a byte order mark": (400, b"\xef\xbb\xbf{}"),
    "UTF-16": (400, '{"rows": []}'.encode("utf-16")),
    "half a surrogate pair in a name": (400, json.dumps(changed("rows", 3, "entity", value="\ud800"))),
    "half a surrogate pair in a key": (400, '{"\\ud800": 1}'),
    "brackets 100,000 deep": (400, "[" * 100_000 + "]" * 100_000),
    "objects 50,000 deep in a field": (400, with_close('{"a":' * 50_000 + "1" + "}" * 50_000)),
    "NaN": (422, with_close("NaN")),
    "infinity": (422, with_close("Infinity")),
    "minus infinity": (422, with_close("-Infinity")),
    "1e999": (422, with_close("1e999")),
    "a number of 5,000 digits": (400, with_close("1" * 5000)),
    "null in a number": (422, with_close("null")),
    "a number as text": (422, with_close('"1.5"')),
    "true in a number": (422, with_close("true")),
    "a list in a number": (422, with_close("[1.0]")),
    "a negative price": (422, with_close("-1.0")),
    "a price of zero": (422, with_close("0")),
    "a document that is no object": (422, "[]"),
    "null": (422, "null"),
    "no rows": (422, '{"rows": []}'),
    "rows that are an object": (422, '{"rows": {}}'),
    "rows of numbers": (422, '{"rows": [1, 2]}'),
    "ragged rows": (422, '{"rows": [[1], [1, 2]]}'),
    "an unknown field at the top": (422, json.dumps(good_request() | {"model": "../x"})),
    "an unknown field in a row": (422, json.dumps(changed("rows", 3, "path", value="/etc/passwd"))),
    "a missing close": (422, without("close")),
    "a missing entity": (422, without("entity")),
    "an entity of a million letters": (422, json.dumps(changed("rows", 3, "entity", value="x" * 1_000_000))),
    "an unknown field with a name of a million letters": (422, json.dumps({"y" * 1_000_000: 1})),
    "an empty entity": (422, json.dumps(changed("rows", 3, "entity", value=""))),
    "NUL in an entity": (422, json.dumps(changed("rows", 3, "entity", value="a\0b"))),
    "right-to-left in an entity": (422, json.dumps(changed("rows", 3, "entity", value="a\u202eb"))),
    "a time that is no date": (422, json.dumps(changed("rows", 3, "time", value="yesterday"))),
    "a time as a number": (422, json.dumps(changed("rows", 3, "time", value=20150105))),
    "a moment in place of a date": (422, json.dumps(changed("rows", 3, "time", value="2015-01-05T10:00:00+02:00"))),
    "30 February": (422, json.dumps(changed("rows", 3, "time", value="2015-02-30"))),
    "a date in the future": (422, json.dumps(changed("rows", 3, "time", value="9999-12-31"))),
    "the same session twice with other prices": (422, json.dumps({"rows": [*good_request()["rows"], good_request()["rows"][0] | {"close": 99.9}]})),
    "a high below its close": (422, json.dumps(changed("rows", 3, "high", value=0.01))),
    "too few sessions": (422, short(20)),
    "one session": (422, short(1)),
    "more rows than allowed": (422, json.dumps({"rows": [{}] * 20_001})),
    "two megabytes of rows without fields": (422, '{"rows": [' + ",".join(["{}"] * 690_000) + "]}"),
    "two megabytes of unknown fields": (422, "{" + ",".join(f'"{i}":1' for i in range(180_000)) + "}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_its_status_as_a_problem_document(app: Guard, name: str) -> None:
    status, body = REFUSED[name]
    began = time.perf_counter()
    answer = ask(app, body)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == MEDIA_TYPE
    document = answer.json()
    assert (document["status"], document["type"]) == (status, "about:blank")
    assert document["detail"]
    assert len(answer.content) < 20_000
    assert time.perf_counter() - began < 2.5


def test_the_path_of_a_wrong_field_is_named(app: Guard) -> None:
    (error,) = ask(app, with_close("null")).json()["errors"]
    assert error["field"] == "rows.3.close"


def test_what_the_client_sent_is_not_echoed(app: Guard) -> None:
    answer = ask(app, json.dumps(changed("rows", 3, "close", value="<script>alert(1)</script>")))
    assert "<script>" not in answer.text


@pytest.mark.parametrize("text", ["'; DROP TABLE trials", "<b>", "{{7*7}}", "=cmd()", "../x", "Ωμέγα 🙂"])
def test_a_strange_name_is_text_and_comes_back_as_it_went_in(app: Guard, text: str) -> None:
    rows = [row | {"entity": text} for row in good_request()["rows"][:80]]
    answer = ask(app, json.dumps({"rows": rows}))
    assert answer.status_code == 200
    assert answer.json()["assets"][0]["entity"] == text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/vnd.bentoml+pickle"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
    ],
)
def test_anything_but_plain_json_is_415(app: Guard, headers: dict[str, str]) -> None:
    answer = ask(app, gzip.compress(GOOD.encode()), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (415, MEDIA_TYPE)


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", 'Application/JSON; Charset="UTF-8"'])
def test_json_by_any_spelling_of_its_type_is_taken(app: Guard, media: str) -> None:
    assert ask(app, GOOD, headers={"content-type": media}).status_code == 200


async def chunks(count: int, size: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b" " * size


def test_a_body_that_is_announced_too_large_is_refused_unread(folder: Path) -> None:
    read = 0

    async def announced() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    answer = ask(guarded(folder), announced(), headers={"content-length": str(100 * MOST_BYTES)})
    assert answer.status_code == 413
    assert read == 0


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "٣", ""])
def test_a_content_length_that_is_none_is_refused(folder: Path, length: str) -> None:
    assert answered(guarded(folder), [(b"content-length", length.encode())]) == (413 if length.startswith("9") else 400)


def test_a_body_that_grows_too_large_is_refused_while_it_arrives(folder: Path) -> None:
    answer = ask(guarded(folder, most_bytes=10_000), chunks(100, 1000))
    assert (answer.status_code, answer.headers["content-type"]) == (413, MEDIA_TYPE)


def test_the_body_limit_holds_on_every_route(app: Guard) -> None:
    for path in ("/livez", "/metrics", "/"):
        assert ask(app, b" " * (MOST_BYTES + 1), method="GET", path=path).status_code == 413


def test_a_body_that_comes_too_slowly_is_408(folder: Path) -> None:
    answer = ask(guarded(folder, body_seconds=0.1), chunks(100, 1, pause=0.02))
    assert (answer.status_code, answer.headers["content-type"]) == (408, MEDIA_TYPE)


def test_a_client_that_leaves_is_no_fault_of_ours(app: Guard, caplog: pytest.LogCaptureFixture) -> None:
    assert answered(app, [], messages=[{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]) is None
    assert "Traceback" not in caplog.text


def answered(app: Guard, headers: list[tuple[bytes, bytes]], messages: list[dict[str, Any]] | None = None) -> int | None:
    """The status of a request that no client library would send."""
    waiting = messages or [{"type": "http.request", "body": b"{}", "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json"), *headers], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"] if sent else None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=8), v, max_size=4),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(["entity", "time", "open", "high", "low", "close", "volume", "other"]), value=values, row=st.integers(0, 159))
def test_no_value_in_any_field_brings_the_service_down(app: Guard, field: str, value: Any, row: int) -> None:
    answer = ask(app, json.dumps(changed("rows", row, field, value=value)))
    assert answer.status_code in {200, 400, 422}
    if answer.status_code == 200:
        assert "null" not in answer.text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | values.map(json.dumps).map(str.encode))
def test_no_body_brings_the_service_down(app: Guard, body: bytes) -> None:
    assert ask(app, body).status_code in {400, 422}
