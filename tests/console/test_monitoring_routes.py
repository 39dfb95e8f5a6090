"""The routes of monitoring, over a ledger with what was really served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from served_cases import NOW, TASK, TRAINED, answer, asked, bars, keep, prediction, released
from starlette.requests import Request
from starlette.responses import JSONResponse

from finml_console.routes.monitoring import router
from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.alarms import Finding, record_alarm
from finml_ledger.outcomes import record_known
from finml_models.core import catalog
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.home import home as state

AT = NOW - timedelta(minutes=30)


@pytest.fixture
def ledger(home: Path, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def client(ledger: Ledger) -> TestClient:
    app = FastAPI()
    app.state.ledger = ledger
    app.include_router(router)

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404 if isinstance(error, UnknownName) else 422)

    app.add_exception_handler(FinmlError, refused)
    return TestClient(app)


def split(ledger: Ledger) -> tuple[Slot, Slot]:
    champion, challenger = released(ledger, "log_har"), released(ledger, "ewma")
    book = Deployments(ledger)
    book.deploy(TASK, champion, actor="test")
    book.split(TASK, challenger, 0.5, actor="test")
    return champion, challenger


def get(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    found = client.get(path, params=query)
    assert found.status_code == 200, found.text
    return found.json()


def test_a_use_case_that_nothing_serves_has_an_empty_summary(client: TestClient) -> None:
    found = get(client, f"/v1/monitoring/{TASK}")
    assert (found["revision"], found["roles"], found["traffic"], found["alarms"]) == (0, {}, [], [])
    assert get(client, f"/v1/experiments/{TASK}")["running"] is False
    assert get(client, f"/v1/monitoring/{TASK}/drift")["versions"] == []
    assert "nobody ever observes a regime" in get(client, "/v1/monitoring/regime_detection")["outcomes"]


@pytest.mark.parametrize("path", ["", "/latency", "/drift", "/performance", "/freshness"])
def test_an_unknown_use_case_is_not_found_with_the_near_ones(client: TestClient, path: str) -> None:
    found = client.get(f"/v1/monitoring/volatility{path}")
    assert found.status_code == 404
    assert TASK in found.json()["detail"]
    assert client.get(f"/v1/monitoring/..%2fx{path}").status_code in {404, 422}


def test_summary_and_series_say_who_answered_how_fast_and_from_how_old_data(client: TestClient, ledger: Ledger) -> None:
    champion, challenger = split(ledger)
    about = {"assets": [{"entity": "A", "as_of": "2020-05-28"}]}
    rows = [prediction(i, champion, at=AT, milliseconds=float(i + 1), answer=about) for i in range(60)]
    rows += [prediction(100 + i, challenger, role="challenger", at=AT, status=500 if i < 4 else 200) for i in range(40)]
    keep(ledger, rows)
    found = get(client, f"/v1/monitoring/{TASK}", hours=2)
    assert found["roles"] == {"champion": champion.model_dump(), "challenger": challenger.model_dump()}
    assert {(one["role"], one["traffic"], one["error_rate"]) for one in found["traffic"]} == {("champion", 0.6, 0.0), ("challenger", 0.4, 0.1)}
    assert [one["sessions"] for one in found["freshness"]] == [1]
    (champions,) = [one for one in get(client, f"/v1/monitoring/{TASK}/latency", hours=1)["points"] if one["role"] == "champion"]
    assert (champions["p50"], champions["p95"], champions["p99"]) == (30.0, 57.0, 60.0)
    assert len(get(client, f"/v1/monitoring/{TASK}/freshness", hours=1)["points"]) == 1


def test_a_summary_is_one_point_a_version_whatever_the_hour(client: TestClient, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    about = {"assets": [{"entity": "A", "as_of": "2020-05-28"}]}
    # Before and behind the midnight at which a day of the calendar begins.
    keep(ledger, [prediction(i, champion, at=NOW - timedelta(hours=23 - i), milliseconds=float(i + 1), answer=about) for i in range(20)])
    found = get(client, f"/v1/monitoring/{TASK}", hours=24)
    assert [(one["requests"], one["p50"], one["traffic"]) for one in found["traffic"]] == [(20, 10.0, 1.0)]
    assert len(found["freshness"]) == 1


def test_too_fine_a_series_is_refused(client: TestClient) -> None:
    assert client.get(f"/v1/monitoring/{TASK}/latency", params={"hours": 1000, "step_seconds": 1}).status_code == 422


def test_drift_and_performance_of_each_role_with_what_could_not_be_measured(client: TestClient, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    requests = [asked(session) for session in range(TRAINED, TRAINED + 20)]
    keep(ledger, [prediction(i, champion, request=r, answer=answer(champion, r), at=AT) for i, r in enumerate(requests)])
    record_known(ledger, catalog.task(TASK), bars())
    drift = {one["role"]: one for one in get(client, f"/v1/monitoring/{TASK}/drift")["versions"]}
    assert drift["champion"]["drift"]["rows"] == 60
    assert {one["feature"] for one in drift["champion"]["drift"]["features"]} >= {"log_var_d", "return_d"}
    assert "at least 50" in drift["challenger"]["drift"]["reason"]
    quality = {one["role"]: one for one in get(client, f"/v1/monitoring/{TASK}/performance")["versions"]}
    assert quality["champion"]["decay"]["promise"]["metric"] == "qlike"
    assert len(quality["champion"]["course"]) == 20
    assert quality["challenger"]["decay"]["state"] == "too_few"


def test_a_version_whose_artifact_is_gone_is_named_and_the_others_are_measured(client: TestClient, ledger: Ledger) -> None:
    _, challenger = split(ledger)
    (state() / "artifacts" / TASK / "ewma" / challenger.version / "manifest.json").unlink()
    found = {one["role"]: one for one in get(client, f"/v1/monitoring/{TASK}/drift")["versions"]}
    assert "manifest.json" in found["challenger"]["trouble"]
    assert found["champion"]["trouble"] is None


def outcome(**changes: Any) -> dict[str, Any]:
    return {"use_case": TASK, "entity": "A", "time": "2020-05-28T00:00:00Z", "values": {"h1": -9.0, "h5": -9.0, "h22": -9.0}} | changes


def test_outcomes_are_kept_once_and_change_the_next_answer_of_the_experiment(client: TestClient, ledger: Ledger) -> None:
    champion, challenger = split(ledger)
    said = {"entity": "A", "as_of": "2020-05-28", "forecasts": [{"horizon": h, "low": 0.1, "high": 0.2, "variance": 1e-4} for h in (1, 5, 22)]}
    both = ((1, champion, "champion"), (2, challenger, "challenger"))
    keep(ledger, [prediction(i, slot, role=role, revision=2, answer={"assets": [said]}) for i, slot, role in both])
    found = get(client, f"/v1/experiments/{TASK}")
    assert (found["running"], found["share"], found["comparison"]["answers"]) == (True, 0.5, 0)
    first = client.post("/v1/outcomes", json={"outcomes": [outcome()]})
    assert (first.status_code, first.json()) == (200, {"recorded": 1, "unchanged": 0})
    assert client.post("/v1/outcomes", json={"outcomes": [outcome(time="2020-05-28T02:00:00+02:00")]}).json() == {"recorded": 0, "unchanged": 1}
    found = get(client, f"/v1/experiments/{TASK}")
    assert (found["comparison"]["design"], found["comparison"]["answers"], found["comparison"]["decision"]) == ("paired", 2, "too_early")
    assert {rail["name"] for rail in found["rails"]} == {"errors", "latency"}
    assert found["stop"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"h1": 1.0}},
        {"values": {"h1": 1.0, "h5": 1.0, "h22": "high"}},
        {"values": {}},
        {"time": "2020-05-28"},
        {"time": "0001-01-01T00:00:00+14:00"},
        {"entity": "a\u0000b"},
        {"entity": ""},
        {"use_case": "regime_detection", "values": {"regime": 1}},
        {"more": 1},
    ],
)
def test_what_is_no_outcome_is_refused(client: TestClient, changes: dict[str, Any]) -> None:
    assert client.post("/v1/outcomes", json={"outcomes": [outcome(**changes)]}).status_code == 422
    assert client.post("/v1/outcomes", content=b'{"outcomes": [{"values": {"h1": NaN}}]}').status_code in {400, 422}


def test_alarms_come_newest_first_by_pages(client: TestClient, ledger: Ledger) -> None:
    slots = [Slot(entry="log_har", version=f"{i}" * 16) for i in range(5)]
    for slot in slots:
        record_alarm(ledger, Finding(task=TASK, slot=slot, kind="drift", detail={"reason": f"inputs of {slot.version[0]} drifted"}))
    first = get(client, "/v1/alarms", limit=3)
    rest = get(client, "/v1/alarms", limit=3, cursor=first["next"])
    assert [one["slot"]["version"][0] for one in first["items"] + rest["items"]] == ["4", "3", "2", "1", "0"]
    assert rest["next"] is None
    assert first["items"][0]["reason"] == "inputs of 4 drifted"
    assert get(client, "/v1/alarms", use_case="credit_risk")["items"] == []
    assert client.get("/v1/alarms", params={"use_case": "credit"}).status_code == 404
    assert client.get("/v1/alarms", params={"cursor": "x"}).status_code == 422
