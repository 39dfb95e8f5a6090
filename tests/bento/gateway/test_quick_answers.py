"""Small requests to a version that is quick are answered where they are read, and nothing that a client sees depends on it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from gateway_cases import BODY, Running, drive
from service_cases import TASK, bars, good_request

from bento.gateway.held import SMALL_BYTES, Local
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core.asking import ReadAsColumns


@pytest.fixture
def answered_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The thread of each prediction, in their order."""
    threads: list[str] = []
    now = Local.now

    def watched(self: Local, *asked: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return now(self, *asked)

    monkeypatch.setattr(Local, "now", watched)
    return threads


@pytest.fixture
def deployed(ledger: Ledger, slots: list[Slot]) -> Ledger:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    return ledger


def long_request() -> str:
    rows = bars().groupby("entity").tail(200)
    return json.dumps({"rows": [{**row, "time": row["time"].date().isoformat()} for row in rows.to_dict("records")]})


def test_a_quick_version_answers_small_requests_where_they_are_read_and_large_ones_on_a_thread(deployed: Ledger, answered_on: list[str]) -> None:
    assert len(BODY) <= SMALL_BYTES < len(long_request())

    async def scene(it: Running) -> None:
        answered_on.clear()
        small, large = await it.predict(), await it.predict(body=long_request())
        assert answered_on == [threading.main_thread().name, "finml-predict_0"]
        # The newest rows are the same, and so is the forecast of them.
        assert small.json()["assets"][0]["entity"] == large.json()["assets"][0]["entity"]

    drive(deployed, scene)


def test_a_version_that_is_not_quick_answers_the_same_on_a_thread(deployed: Ledger, answered_on: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    async def scene(it: Running) -> None:
        answered_on.clear()
        answers.append((await it.predict()).content)

    drive(deployed, scene)
    assert answered_on == [threading.main_thread().name]
    monkeypatch.setattr("bento.gateway.loading.QUICK_MILLISECONDS", 0.0)
    drive(deployed, scene)
    assert answered_on == ["finml-predict_0"]
    assert answers[0] == answers[1]


def test_a_version_that_turns_out_slow_answers_on_a_thread_from_then_on(
    deployed: Ledger, answered_on: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bento.gateway.desk.MOST_SECONDS", 0.0)

    async def scene(it: Running) -> None:
        answered_on.clear()
        assert [(await it.predict()).status_code for _ in range(2)] == [200, 200]
        assert answered_on == [threading.main_thread().name, "finml-predict_0"]

    drive(deployed, scene)
    assert "answers on a thread from now on" in caplog.text


def test_what_was_read_as_columns_is_logged_as_it_came(deployed: Ledger) -> None:
    pretty = json.dumps(good_request(), indent=1)

    async def scene(it: Running) -> None:
        answer = await it.predict(body=pretty)
        (row,) = it.logged()
        assert (row.request, row.answer) == (good_request(), answer.json())
        assert row.key == "aaa"

    drive(deployed, scene)


def test_json_that_only_some_readers_take_is_logged_for_all_of_them(deployed: Ledger) -> None:
    """A field that is given twice may hold no number the first time: no database must be handed that."""
    twice = BODY.replace('"close": ', '"close": NaN, "close": ', 1)

    async def scene(it: Running) -> None:
        from finml_models.core import catalog

        assert not isinstance(catalog.task(TASK).read(twice.encode()), ReadAsColumns)
        assert (await it.predict(body=twice)).status_code == 200
        (row,) = it.logged()
        assert row.request == good_request()
        stored = it.ledger._reader.raw_connection().cursor().execute("SELECT request FROM predictions").fetchone()[0]
        assert "NaN" not in stored

    drive(deployed, scene)
