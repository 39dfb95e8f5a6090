"""A gateway in this process: who answers, what comes back, what is refused."""

from __future__ import annotations

import asyncio
import json

from gateway_cases import BODY, PREDICT, Running, drive, folder_of
from service_cases import ENTRY, TASK, changed, good_request

from bento.problem import MEDIA_TYPE
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import artifact, catalog, serving


def offline(slot: Slot) -> dict[str, object]:
    asked = catalog.task(TASK).request.model_validate_json(BODY)
    return serving.answer(artifact.load(folder_of(slot)), asked).model_dump(mode="json")


def test_nothing_deployed_is_409_and_the_gateway_is_ready_all_the_same(ledger: Ledger) -> None:
    async def scene(it: Running) -> None:
        answer = await it.predict()
        assert (answer.status_code, answer.headers["content-type"]) == (409, MEDIA_TYPE)
        assert (await it.client.get("/readyz")).status_code == 200
        assert 'finml_gateway_refusals_total{status="409"} 1.0' in (await it.client.get("/metrics")).text

    drive(ledger, scene)


def test_the_deployed_version_answers_as_it_does_offline_and_says_who_it_is(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        answer = await it.predict()
        assert answer.status_code == 200
        assert answer.json() == offline(slots[0])
        told = {name: answer.headers[f"x-finml-{name}"] for name in ("version", "entry", "role")}
        assert told == {"version": slots[0].version, "entry": ENTRY, "role": "champion"}
        (row,) = it.logged()
        assert row.id == answer.headers["x-finml-prediction"]
        assert (row.version, row.role, row.key, row.revision, row.status) == (slots[0].version, "champion", "aaa", 1, 200)
        assert (row.request, row.answer) == (good_request(), answer.json())

    drive(ledger, scene)


def test_a_split_is_sticky_and_every_answer_is_of_the_version_that_it_names(ledger: Ledger, slots: list[Slot]) -> None:
    book = Deployments(ledger)
    book.deploy(TASK, slots[0], actor="test")
    book.split(TASK, slots[1], 0.5, actor="test")
    expected = {slot.version: offline(slot) for slot in slots[:2]}

    async def scene(it: Running) -> None:
        seen = {}
        for key in [f"client-{number % 20}" for number in range(40)]:
            answer = await it.predict(key)
            version = answer.headers["x-finml-version"]
            assert seen.setdefault(key, version) == version
            assert answer.json() == expected[version]
        assert set(seen.values()) == set(expected)

    drive(ledger, scene)


def test_a_shadow_sees_requests_and_its_answers_go_into_the_log_alone(ledger: Ledger, slots: list[Slot]) -> None:
    book = Deployments(ledger)
    book.deploy(TASK, slots[0], actor="test")
    book.shadow(TASK, slots[1], actor="test")

    async def scene(it: Running) -> None:
        answer = await it.predict()
        while it.gateway.desk._shadows:
            await next(iter(it.gateway.desk._shadows))
        assert answer.headers["x-finml-version"] == slots[0].version
        (shown,), (given,) = it.logged(role="shadow"), it.logged(role="champion")
        assert (shown.version, shown.answer) == (slots[1].version, offline(slots[1]))
        assert shown.request == given.request

    drive(ledger, scene)


def test_a_busy_shadow_misses_requests_and_no_client_waits_for_it(ledger: Ledger, slots: list[Slot]) -> None:
    book = Deployments(ledger)
    book.deploy(TASK, slots[0], actor="test")
    book.shadow(TASK, slots[1], actor="test")

    async def scene(it: Running) -> None:
        assert (await it.predict()).status_code == 200
        assert not it.logged(role="shadow")
        assert f'finml_gateway_shadows_dropped_total{{task="{TASK}"}} 1.0' in (await it.client.get("/metrics")).text

    drive(ledger, scene, shadows=0)


def test_an_explanation_comes_from_the_version_that_the_request_belongs_to(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        answer = await it.client.post(f"/explain/{TASK}", content=BODY, headers={"content-type": "application/json"})
        assert answer.status_code == 200
        assert answer.json()["version"] == answer.headers["x-finml-version"] == slots[0].version
        assert not it.logged()

    drive(ledger, scene)


def test_refused_rows_are_422_and_logged_with_the_reason(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        malformed = await it.predict(body=json.dumps(changed("rows", 3, "close", value=None)))
        assert (malformed.status_code, malformed.json()["errors"][0]["field"]) == (422, "rows.3.close")
        assert not it.logged()
        refused = await it.predict(body=json.dumps({"rows": good_request()["rows"][:20]}))
        assert (refused.status_code, refused.headers["content-type"]) == (422, MEDIA_TYPE)
        (row,) = it.logged()
        assert (row.status, row.answer, row.error) == (422, None, refused.json()["detail"])

    drive(ledger, scene)


def test_addresses_keys_and_methods_that_are_none_are_refused(ledger: Ledger) -> None:
    async def scene(it: Running) -> None:
        missing = await it.predict(task="volatilty_forecasting")
        assert (missing.status_code, missing.headers["content-type"]) == (404, MEDIA_TYPE)
        assert PREDICT in missing.json()["detail"]
        assert (await it.client.get(PREDICT)).status_code == 405
        assert (await it.predict("k" * 257)).status_code == 422
        for path in ("/predict/../livez", "/predict/%2e%2e", "/docs.json", "/", "/predict"):
            assert (await it.client.post(path, content=b"{}", headers={"content-type": "application/json"})).status_code in {404, 405}

    drive(ledger, scene)


def test_more_requests_than_may_wait_are_429_and_those_that_wait_are_answered(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        answers = await asyncio.gather(*(it.predict() for _ in range(8)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 200, 200, 429, 429, 429, 429, 429]
        assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
        assert (await it.predict()).status_code == 200

    drive(ledger, scene, waiting=3)


def test_prepare_loads_a_version_that_nobody_deployed_and_tells_a_digest_that_stays(ledger: Ledger, slots: list[Slot]) -> None:
    async def scene(it: Running) -> None:
        async def prepare(slot: Slot) -> dict[str, object]:
            answer = await it.client.post("/versions/prepare", json={"task": TASK, "entry": slot.entry, "version": slot.version})
            assert answer.status_code == 200, answer.text
            return answer.json()

        first, other, again = [await prepare(slot) for slot in (slots[0], slots[1], slots[0])]
        assert first["ready"] is True
        assert first["digest"] == again["digest"] != other["digest"]
        unknown = await it.client.post("/versions/prepare", json={"task": TASK, "entry": ENTRY, "version": "0" * 16})
        assert unknown.status_code == 404
        for version in ("../../etc", "a/b", "latest", ""):
            refused = await it.client.post("/versions/prepare", json={"task": TASK, "entry": ENTRY, "version": version})
            assert (refused.status_code, refused.headers["content-type"]) == (422, MEDIA_TYPE)

    drive(ledger, scene)


def test_deployed_tells_roles_shares_and_how_far_each_version_is(ledger: Ledger, slots: list[Slot]) -> None:
    book = Deployments(ledger)
    book.deploy(TASK, slots[0], actor="test")
    book.promote(TASK, slots[1], actor="test")
    book.split(TASK, slots[2], 0.25, actor="test")

    async def scene(it: Running) -> None:
        told = (await it.client.get("/deployed")).json()
        assert told["position"] == 3
        assert [(v["version"], v["role"], v["share"], v["answers"], v["condition"]) for v in told["versions"]] == [
            (slots[1].version, "champion", 0.75, True, "ready"),
            (slots[2].version, "challenger", 0.25, True, "ready"),
            (slots[0].version, "previous", 0.0, False, "ready"),
        ]

    drive(ledger, scene)


def test_latencies_and_failures_are_counted_by_version_and_role(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        await it.predict()
        await it.predict(body=json.dumps({"rows": good_request()["rows"][:20]}))
        told = await it.client.get("/metrics")
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
        who = f'entry="{ENTRY}",role="champion",task="{TASK}",version="{slots[0].version}"'
        lines = told.text.splitlines()
        assert f"finml_gateway_request_seconds_count{{{who}}} 2.0" in lines
        assert {line for line in lines if line.startswith("finml_gateway_answers_total{")} == {
            f'finml_gateway_answers_total{{entry="{ENTRY}",role="champion",status="{status}",task="{TASK}",version="{slots[0].version}"}} 1.0'
            for status in (200, 422)
        }
        assert "finml_gateway_loaded_versions 1.0" in lines
        assert f'finml_gateway_loads_total{{entry="{ENTRY}",outcome="loaded",task="{TASK}",version="{slots[0].version}"}} 1.0' in lines

    drive(ledger, scene)
