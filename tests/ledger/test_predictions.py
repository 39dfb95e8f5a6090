"""The log of predictions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import String, cast, select

from finml_ledger import Ledger
from finml_ledger.predictions import TABLE, Encoded, PredictionLog, Served
from finml_models.core.errors import UnknownName

ONE = Served(
    id="p1",
    task="volatility_forecasting",
    entry="gru",
    version="a" * 16,
    role="champion",
    key="sp500",
    revision=1,
    status=200,
    milliseconds=3.25,
    request={"rows": [{"entity": "sp500", "close": 0.1 + 0.2}]},
    answer={"assets": []},
    error=None,
    at=datetime(2024, 2, 29, 12, tzinfo=UTC),
)


@pytest.fixture
def predictions(ledger: Ledger) -> PredictionLog:
    return PredictionLog(ledger)


def test_a_prediction_comes_back_as_it_was_written(predictions: PredictionLog) -> None:
    assert predictions.append([ONE]) == 1
    row = predictions.get("p1")
    assert {name: getattr(row, name) for name in Served.__slots__} == {name: getattr(ONE, name) for name in Served.__slots__}


def test_writing_again_what_was_written_changes_nothing(predictions: PredictionLog) -> None:
    assert predictions.append([ONE, ONE]) == 1
    assert predictions.append([replace(ONE, status=500), replace(ONE, id="p2")]) == 1
    assert [row.id for row in predictions.page()] == ["p2", "p1"]
    assert predictions.get("p1").status == 200
    assert predictions.append([]) == 0


def test_pages_lead_through_all_predictions_newest_first_while_more_are_written(predictions: PredictionLog) -> None:
    predictions.append([replace(ONE, id=f"p{number}") for number in range(7)])
    first = predictions.page(limit=3)
    predictions.append([replace(ONE, id="later")])
    second = predictions.page(limit=3, before=first[-1].sequence)
    third = predictions.page(limit=3, before=second[-1].sequence)
    assert [row.id for row in [*first, *second, *third]] == [f"p{number}" for number in reversed(range(7))]


def test_a_page_holds_every_given_condition(predictions: PredictionLog) -> None:
    shadow = replace(ONE, id="p2", version="b" * 16, role="shadow")
    predictions.append([ONE, shadow, replace(shadow, id="p3", task="credit_risk"), replace(shadow, id="p4", entry="lstm")])
    assert [row.id for row in predictions.page(task=ONE.task, entry="gru", role="shadow")] == ["p2"]
    assert [row.id for row in predictions.page(version="b" * 16)] == ["p4", "p3", "p2"]


def test_a_document_that_is_encoded_already_is_stored_as_that_very_text(predictions: PredictionLog, ledger: Ledger) -> None:
    text = '{"rows" : [1.50, "\\u0000é"]}'
    assert predictions.append([replace(ONE, request=Encoded(text)), replace(ONE, id="p2")]) == 2
    assert predictions.get("p1").request == {"rows": [1.5, "\0é"]}
    assert predictions.get("p2").request == ONE.request
    with ledger.read() as session:
        assert session.execute(select(cast(TABLE.c.request, String)).where(TABLE.c.id == "p1")).scalar_one() == text


def test_text_that_no_database_can_hold_is_written_all_the_same(predictions: PredictionLog) -> None:
    predictions.append([replace(ONE, key="a\0b", error="\0")])
    assert (predictions.get("p1").key, predictions.get("p1").error) == ("a?b", "?")


def test_pruning_leaves_the_newest(predictions: PredictionLog) -> None:
    predictions.append([replace(ONE, id=f"p{number}") for number in range(5)])
    assert predictions.prune(2) == 3
    assert predictions.prune(2) == 0
    assert [row.id for row in predictions.page()] == ["p4", "p3"]


def test_an_unknown_prediction_is_named(predictions: PredictionLog) -> None:
    with pytest.raises(UnknownName, match="nothing-like-it"):
        predictions.get("nothing-like-it")
