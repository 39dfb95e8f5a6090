"""A POST that is sent again with its key is answered again, and done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import httpx
import pytest
from console_cases import GRU_1, HAR, ROWS, TASK, FakeGateway, http
from fastapi import FastAPI
from sqlalchemy import update

from finml_console.idempotency import ABANDONED
from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.models import AnsweredRequest

PATH = f"/v1/deployments/{TASK}/deploy"
KEY = {"Idempotency-Key": "6a1f"}


def body(slot: Slot) -> dict[str, str]:
    return {"model_id": slot.entry, "version": slot.version}


def test_the_same_key_and_body_give_the_same_answer_and_one_change(api: httpx.Client, deployments: Deployments) -> None:
    first = api.post(PATH, json=body(HAR), headers=KEY)
    again = api.post(PATH, json=body(HAR), headers=KEY)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert again.headers["etag"] == first.headers["etag"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert deployments.now(TASK).revision == 1


def test_the_same_key_with_another_body_is_refused(api: httpx.Client, deployments: Deployments) -> None:
    api.post(PATH, json=body(HAR), headers=KEY)
    answer = api.post(PATH, json=body(GRU_1), headers=KEY)
    assert answer.status_code == 422
    assert "another body" in answer.json()["detail"]
    assert deployments.now(TASK).revision == 1
    # On another route it is another request.
    assert api.post(f"/v1/deployments/{TASK}/promote", json=body(GRU_1), headers=KEY).status_code == 200


def test_a_refusal_is_kept_and_a_failure_is_not(api: httpx.Client, deployments: Deployments, gateway: FakeGateway) -> None:
    refused = {"model_id": "gru", "input_data": ROWS}
    assert api.post("/models/predict", json=refused, headers=KEY).status_code == 409
    deployments.deploy(TASK, GRU_1, actor="t")
    assert api.post("/models/predict", json=refused, headers=KEY).status_code == 409
    gateway.away = True
    other = {"Idempotency-Key": "other"}
    assert api.post("/models/predict", json=refused, headers=other).status_code == 503
    gateway.away = False
    assert api.post("/models/predict", json=refused, headers=other).status_code == 200


def test_of_many_at_once_one_is_done_and_the_others_wait_or_get_its_answer(app: FastAPI, deployments: Deployments) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: http(app).post(PATH, json=body(HAR), headers=KEY), range(6)))
    assert sorted({answer.status_code for answer in answers} - {409}) == [200]
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert deployments.now(TASK).revision == 1


def test_while_the_first_is_being_answered_the_second_is_told_so(app: FastAPI, gateway: FakeGateway) -> None:
    began, may_end = Event(), Event()

    def slow(slot: Slot) -> tuple[int, dict[str, object], list[tuple[bytes, bytes]]]:
        began.set()
        may_end.wait(10)
        return 200, {"ready": True, "milliseconds": 1.0, "digest": "d"}, []

    gateway.prepare = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: http(app).post(PATH, json=body(HAR), headers=KEY))
        assert began.wait(10)
        second = http(app).post(PATH, json=body(HAR), headers=KEY)
        may_end.set()
        assert first.result().status_code == 200
    assert second.status_code == 409
    assert second.headers["retry-after"] == "1"


def test_a_request_whose_server_died_can_be_sent_again_later(api: httpx.Client, ledger: Ledger, deployments: Deployments) -> None:
    api.post(PATH, json=body(HAR), headers=KEY)
    deployments.withdraw(TASK, actor="t")
    died = update(AnsweredRequest).values(status=None, answer=None)
    with ledger.write() as session:
        session.execute(died)
    assert api.post(PATH, json=body(HAR), headers=KEY).status_code == 409
    with ledger.write() as session:
        session.execute(died.values(created_at=ledger.clock() - ABANDONED - timedelta(seconds=1)))
    assert api.post(PATH, json=body(HAR), headers=KEY).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "k" * 201])
def test_a_key_that_is_none_is_refused(key: str, api: httpx.Client) -> None:
    assert api.post(PATH, json=body(HAR), headers={"Idempotency-Key": key.encode()}).status_code == 422


def test_a_strange_path_is_no_fault_of_ours(api: httpx.Client) -> None:
    for path in ("/v1/deployments/%00/deploy", "/v1/deployments/%F0%9F%98%80/deploy", "/" + "a" * 5000):
        assert api.post(path, json=body(HAR), headers=KEY).status_code in {404, 422}


def test_reading_with_a_key_keeps_nothing(api: httpx.Client, ledger: Ledger) -> None:
    api.get("/models/list", headers=KEY)
    with ledger.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM answered_requests").scalar() == 0
