"""Requests read as columns: whatever is sent, the answer is the one that the schema and the rules have."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from finml_models.core.errors import DataError
from finml_models.datasets.market.clean import REALISED, VALUES, Rows, ruled
from finml_models.datasets.market.columns import MOST_DAYS, _Days
from finml_models.datasets.market.settled import settled
from finml_models.tasks import _market
from finml_models.tasks._market import MarketColumns, MarketRequest, read, request_rows

SESSIONS = [str(day) for day in np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]") if np.is_busday(day)]
NOW = datetime(2024, 3, 1, tzinfo=UTC)
STRICT = _market._strict(5)


def bar(entity: str, at: int, **more: Any) -> dict[str, Any]:
    price = 100 + at + len(entity)
    return {"entity": entity, "time": SESSIONS[at], "open": price, "high": price + 1.5, "low": price - 1.25, "close": price + 0.1, **more}


def rows_of(*entities: str, **more: Any) -> list[dict[str, Any]]:
    return [bar(entity, at, **more) for entity in entities for at in range(8)]


GOOD = rows_of("aaa", "bbb", volume=1_000)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=70),
    st.sampled_from([*SESSIONS, "2024-1-1", "20240101", "2024-W01-1", "2024-02-30", "0000-01-01", "2024-01-01T00:00:00", " 2024-01-01", "٢٠٢٤-01-01"]),
    st.sampled_from([0, -0.0, 1e12, 1e-320, 999_999_999_999.9, 2**53, 2**53 - 1, 1e400, "", "a\u0000", "\u202eb", "x" * 64, "x" * 65, [], {}, [1.0]]),
)
fields = st.sampled_from(["entity", "time", *VALUES, "bogus", ""])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A good request with some of its values replaced, fields added or left out, rows moved, and bytes changed."""
    rows: list[Any] = [dict(row) for row in draw(st.sampled_from([GOOD, rows_of("a"), [{k: r[k] for k in ("time", "close", "entity")} for r in GOOD]]))]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(rows) - 1))
        kind = draw(st.sampled_from(["value", "column", "without", "row", "again", "order"]))
        if kind == "value" and isinstance(rows[at], dict):
            rows[at][draw(fields)] = draw(anything)
        elif kind == "column":
            name, value = draw(fields), draw(anything)
            rows = [{**row, name: value} if isinstance(row, dict) else row for row in rows]
        elif kind == "without" and isinstance(rows[at], dict):
            rows[at].pop(draw(fields), None)
        elif kind == "row":
            rows[at] = draw(anything)
        elif kind == "again":
            rows.append(rows[at])
        elif kind == "order":
            rows = draw(st.permutations(rows))
    others: list[Any] = [{"rows": rows, "more": 1}, {"row": rows}, rows, {"rows": {"0": rows}}, {"rows": []}, None]
    document = draw(st.just({"rows": rows}) | st.sampled_from(others))
    body = bytearray(json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    pieces = [b"", b" ", b"1", b"-", b".", b"e9", b'"', b"\\", b",", b"\xff", b"NaN", b"true", b"\n"]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(body) - 1))
        body[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from(pieces))
    return bytes(body)


def same(one: Rows, other: Rows) -> bool:
    return (
        list(one.names) == list(other.names)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.code, other.code)
        and one.time.dtype == other.time.dtype
        and np.array_equal(one.time, other.time)
        and np.ascontiguousarray(one.numbers).tobytes() == np.ascontiguousarray(other.numbers).tobytes()
    )


def told(reader: Callable[[bytes], Any], body: bytes) -> Any:
    """What a reader makes of a body, or why it refuses it."""
    try:
        return reader(body)
    except ValidationError as refused:
        # Numbers that are none differ from themselves.
        return repr(refused.errors(include_url=False))


@given(body=bodies())
@example(body=json.dumps({"rows": GOOD}).encode())
@example(body=b'{"rows": [{"entity": "a", "time": "2024-01-01", "close": 1, "close": 2}]}')
@example(body=b'{"rows": [{"entity": "a", "time": "2024-01-01", "close": 1}], "rows": []}')
@example(body=b'{"rows": [{"entity": "a", "time": "2024-01-01", "close": true}]}')
@example(body=b'{"rows": [{"entity": "a", "time": "2024-01-01", "close": 1.7976931348623157e308}]}')
@example(body=b'\xef\xbb\xbf{"rows": [{"entity": "a", "time": "2024-01-01", "close": 1}]}')
def test_a_body_is_refused_with_the_words_of_the_schema_or_read_to_the_same_bits(body: bytes) -> None:
    expected, found = told(MarketRequest.model_validate_json, body), told(read, body)
    if isinstance(found, MarketColumns):
        assert isinstance(expected, MarketRequest)
        assert same(found.columns, _market._columns(expected))
        assert list(found.entities) == sorted({row.entity for row in expected.rows})
        assert found.latest == max(row.time for row in expected.rows)
    else:
        assert found == expected


@pytest.mark.parametrize("rows", [GOOD, rows_of("a"), rows_of("é", "z", realised_variance=1e-4), [{"entity": "a", "time": SESSIONS[0], "close": 1}]])
def test_what_is_plainly_valid_is_read_as_columns(rows: list[dict[str, Any]]) -> None:
    assert isinstance(read(json.dumps({"rows": rows}).encode()), MarketColumns)


@given(body=bodies())
def test_a_request_is_refused_for_the_same_reason_however_it_was_read(body: bytes) -> None:
    try:
        request = MarketRequest.model_validate_json(body)
    except ValidationError:
        return

    one, other = (why(lambda asked: request_rows(asked, history=5), asked) for asked in (read(body), request))
    assert same(one, other) if isinstance(one, Rows) else one == other


def why(rule: Callable[[Any], Any], rows: Any) -> Any:
    """What a rule makes of rows, or why it refuses them."""
    try:
        return rule(rows)
    except DataError as refused:
        return str(refused)


@st.composite
def arrays(draw: st.DrawFn) -> Rows:
    """The rows of a request that its schema let pass, with some cells changed."""
    more = {"volume": 5.0} | draw(st.sampled_from([{}, {"realised_variance": 1e-4}, {"realised_variance": 10.0}]))
    request = MarketRequest.model_validate_json(json.dumps({"rows": rows_of(*draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]])), **more)}))
    rows = _market._columns(request)
    numbers, time, code = rows.numbers.copy(), rows.time.copy(), rows.code.copy()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(code) - 1))
        kind = draw(st.sampled_from(["number", "number", "time", "code", "column"]))
        if kind == "number":
            column = draw(st.sampled_from([0, 1, 2, 3, 4, REALISED]))
            value = draw(st.sampled_from([np.nan, 1.0, 104.0, 1e11, float(numbers[at, 3])]))
            numbers[at, column] = 100.0 if column == 3 and np.isnan(value) else value
        elif kind == "time":
            time[at] += np.timedelta64(draw(st.sampled_from([-1, 1, 2, 9, 11, 12, 13, 14, 60])), "D")
        elif kind == "code":
            code[at] = draw(st.integers(0, len(rows.names) - 1))
        else:
            numbers[:, draw(st.sampled_from([0, 1, 2, 4, REALISED]))] = np.nan
    order = draw(st.sampled_from([np.arange(len(code)), np.lexsort((time, code)), np.arange(len(code))[::-1]]))
    return Rows(rows.names, rows.labels, code[order], time[order], numbers[order])


@given(rows=arrays())
def test_settled_rows_are_those_that_the_rules_leave_as_they_are(rows: Rows) -> None:
    def ruled_anew(rows: Rows) -> Rows:
        return ruled(rows, STRICT, Counter(rows_in=len(rows.code)), now=NOW)[0]

    found, expected = why(lambda rows: settled(rows, STRICT, NOW), rows), why(ruled_anew, rows)
    if found is True:
        assert same(expected, rows)
    elif found is not False:
        assert found == expected


@pytest.mark.parametrize("more", [{}, {"volume": 3.0}])
def test_clean_rows_are_settled(more: dict[str, float]) -> None:
    for entities in (["a"], ["a", "b"]):
        request = MarketRequest.model_validate_json(json.dumps({"rows": rows_of(*entities, **more)}))
        assert settled(_market._columns(request), STRICT, NOW)
        assert not settled(_market._columns(request), STRICT, datetime(2024, 1, 2, tzinfo=UTC))


def test_sessions_that_are_remembered_do_not_fill_the_memory() -> None:
    days = _Days()
    for number in range(MOST_DAYS):
        days[f"{number}"] = number
    assert days["2024-02-29"] == 19782 * 86_400_000_000
    assert len(days) == 1
    for text in ("2024-02-30", "24-02-03", "2024-02-03\n"):
        with pytest.raises(ValueError, match=r"."):
            days[text]
