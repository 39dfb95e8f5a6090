"""Predictions on their way into the log: none waits for the database, none is written twice, and what is lost is counted."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bento.gateway.pool import Version
from bento.gateway.writer import Pending, Writer
from finml_ledger import Ledger
from finml_ledger.predictions import PredictionLog
from finml_models.core.errors import LedgerUnavailable


def pending(number: int, request: bytes = b'{"rows": []}') -> Pending:
    moment = datetime(2024, 2, 29, tzinfo=UTC)
    return Pending(f"id-{number}", Version("task", "entry", "a" * 16), "champion", "key", 1, 200, 1.5, request, b'{"assets": []}', None, moment)


@pytest.fixture
def predictions(home: Any) -> PredictionLog:
    return PredictionLog(Ledger.open())


def writer(predictions: PredictionLog, **limits: Any) -> Writer:
    return Writer(predictions, **{"most": 1000, "most_bytes": 1e6, "keep": 10_000, "every": 0.05, **limits})


def test_what_is_handed_over_is_written_in_its_order_within_half_a_second(predictions: PredictionLog) -> None:
    writing = writer(predictions)
    writing.start()
    assert all(writing.put(pending(number)) for number in range(700))
    deadline = time.monotonic() + 5
    while len(writing) and time.monotonic() < deadline:
        time.sleep(0.02)
    rows = predictions.page(limit=1000)
    assert [row.id for row in rows] == [f"id-{number}" for number in reversed(range(700))]
    assert (rows[0].request, rows[0].answer, rows[0].at) == ({"rows": []}, {"assets": []}, datetime(2024, 2, 29, tzinfo=UTC))
    writing.stop()


def test_stopping_writes_what_waits(predictions: PredictionLog) -> None:
    writing = writer(predictions, every=60.0)
    writing.start()
    writing.put(pending(1))
    assert not predictions.page()
    writing.stop()
    assert [row.id for row in predictions.page()] == ["id-1"]


def test_a_full_queue_drops_and_counts(predictions: PredictionLog) -> None:
    by_number = writer(predictions, most=2)
    assert [by_number.put(pending(number)) for number in range(4)] == [True, True, False, False]
    assert by_number.dropped == 2
    by_size = writer(predictions, most_bytes=100)
    assert not by_size.put(pending(1, b'"' + b"x" * 200 + b'"'))
    assert by_size.put(pending(2))
    by_size.flush()
    assert by_size.put(pending(3))


def test_what_the_ledger_does_not_take_now_is_taken_later(predictions: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = writer(predictions)
    writing.put(pending(1))

    def away(rows: Any) -> int:
        raise LedgerUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "append", away)
        writing.flush()
    assert (len(writing), writing.dropped) == (1, 0)
    writing.flush()
    assert (len(writing), writing.written) == (0, 1)


def test_a_batch_that_no_database_takes_does_not_stand_before_the_next(predictions: PredictionLog) -> None:
    writing = writer(predictions)
    writing.put(pending(1, b"no JSON"))
    writing.flush()
    writing.put(pending(2))
    writing.flush()
    assert (writing.dropped, [row.id for row in predictions.page()]) == (1, ["id-2"])


def test_the_log_keeps_the_newest_rows(predictions: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bento.gateway.writer.PRUNE_EVERY", 2)
    writing = writer(predictions, keep=3)
    for batch in range(2):
        for number in range(4):
            writing.put(pending(10 * batch + number))
        writing.flush()
    assert [row.id for row in predictions.page()] == ["id-13", "id-12", "id-11"]
