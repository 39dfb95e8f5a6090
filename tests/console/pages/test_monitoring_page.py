"""The pages of monitoring, over a ledger with what was really served."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_cases import FakeGateway, application, http
from served_cases import NOW, TASK, TRAINED, answer, asked, bars, keep, prediction, released

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.alarms import Finding, record_alarm
from finml_ledger.alarms import answer as answered
from finml_ledger.outcomes import record_known
from finml_models.core import catalog

PATH = f"/ui/monitoring/{TASK}"
AT = NOW - timedelta(minutes=30)
ABOUT = {"assets": [{"entity": "A", "as_of": "2020-05-28"}]}


@pytest.fixture
def ledger(home: Path, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def api(ledger: Ledger) -> httpx.Client:
    return http(application(ledger, FakeGateway(ledger)))


def shown(api: httpx.Client, path: str = PATH, **query: Any) -> str:
    found = api.get(path, params=query or None)
    assert found.status_code == 200, found.text
    return " ".join(html.unescape(found.text).split())


def words(page: str) -> str:
    return " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", page).split())


def charts(page: str) -> dict[str, dict[str, Any]]:
    found = re.findall(r'<figcaption>([^<]+)</figcaption><script type="application/json">(.*?)</script>', page)
    return {caption: json.loads(data) for caption, data in found}


def split(ledger: Ledger) -> tuple[Slot, Slot]:
    champion, challenger = released(ledger, "log_har"), released(ledger, "ewma")
    book = Deployments(ledger)
    book.deploy(TASK, champion, actor="test")
    book.split(TASK, challenger, 0.5, actor="test")
    return champion, challenger


def test_without_a_deployment_both_pages_say_so_and_lead_to_one(api: httpx.Client) -> None:
    page = shown(api, "/ui/monitoring")
    assert "Nothing is deployed" in page
    assert 'href="/ui/deployments"' in page
    assert "There is nothing to watch" in shown(api)
    for tail in ("drift", "performance"):
        assert "Nothing serves this use case now" in shown(api, f"{PATH}/{tail}")
    assert words(shown(api, f"{PATH}/worst")) == "nothing serves nothing serves"


def test_the_overview_shows_traffic_latency_errors_freshness_and_alarms(api: httpx.Client, ledger: Ledger) -> None:
    champion, challenger = split(ledger)
    keep(ledger, [prediction(i, champion, at=AT, milliseconds=float(i + 1), answer=ABOUT) for i in range(60)])
    keep(ledger, [prediction(100 + i, challenger, role="challenger", at=AT, status=500 if i < 4 else 200) for i in range(40)])
    record_alarm(ledger, Finding(task=TASK, slot=champion, kind="errors", detail={"reason": "too many failed"}))
    page = words(shown(api, "/ui/monitoring"))
    assert "challenger 50% 100 4.0% 30.0 57.0 60.0 1 session measuring… measuring… 1 open" in page
    assert f"{len(catalog.tasks()) - 1} use cases have no deployment" in page


def test_the_window_is_in_the_address_and_decides_what_counts(api: httpx.Client, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    keep(ledger, [prediction(1, champion, at=NOW - timedelta(hours=3))])
    assert "No request in this window" in shown(api, hours=1)
    day = shown(api, hours=24)
    assert re.search(r'href="\?hours=24" aria-current="true"', day)
    assert "requests in 24 h" in day
    assert '/drift?hours=24"' in day
    for wrong in ("2", "x"):
        assert api.get(PATH, params={"hours": wrong}).status_code == 422


def test_series_have_a_line_a_version_gaps_and_marks_of_promotions(api: httpx.Client, ledger: Ledger) -> None:
    champion, challenger = split(ledger)
    Deployments(ledger).promote(TASK, challenger, actor="test")
    keep(ledger, [prediction(i, champion, at=NOW - timedelta(minutes=40), milliseconds=8.0, answer=ABOUT) for i in range(3)])
    keep(ledger, [prediction(9, challenger, at=NOW - timedelta(minutes=5), milliseconds=2.0, answer=ABOUT)])
    drawn = charts(shown(api, hours=1))
    p95 = drawn["p95 of the latency in ms, by version"]
    assert [one["label"].split()[0] for one in p95["series"]] == ["log-HAR", "EWMA"]
    assert [[value for value in one["values"] if value is not None] for one in p95["series"]] == [[8.0], [2.0]]
    assert len(p95["x"]) == len(p95["series"][0]["values"])
    assert {later - earlier for earlier, later in zip(p95["x"], p95["x"][1:], strict=False)} == {60}
    assert [mark["label"] for mark in p95["marks"]] == ["promoted", "deployed"]
    assert [value for value in drawn["Latency of the champion in ms: p50, p95, p99"]["series"][0]["values"] if value] == [2.0]
    assert drawn["Age of the newest row that was asked about, in sessions"]["unit"] == "sessions"
    assert "earlier as champion" in shown(api, hours=1)


def test_drift_is_shown_by_input_with_thresholds_and_why_it_is_not_measured(api: httpx.Client, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    requests = [asked(session, shift=0.05) for session in range(TRAINED, TRAINED + 60)]
    keep(ledger, [prediction(i, champion, request=r, answer=answer(champion, r), at=AT) for i, r in enumerate(requests)])
    page = words(shown(api, f"{PATH}/drift"))
    assert "180 different rows were served" in page
    assert "▲ drifted" in page
    assert "index is at least 0.25 and its adjusted p below 0.01" in page
    assert "0 different rows were served; at least 50 are needed" in page
    worst = words(shown(api, f"{PATH}/worst"))
    assert "▲ drifted" in worst
    assert "too few outcomes" in worst


def test_realised_quality_stands_before_the_promise_with_its_course(api: httpx.Client, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    requests = [asked(session) for session in range(TRAINED, TRAINED + 20)]
    keep(ledger, [prediction(i, champion, request=r, answer=answer(champion, r), at=AT) for i, r in enumerate(requests)])
    record_known(ledger, catalog.task(TASK), bars())
    page = shown(api, f"{PATH}/performance")
    (drawn,) = charts(page).values()
    assert len(drawn["series"][0]["values"]) == 20
    low, high = (drawn["series"][i]["values"][0] for i in (2, 3))
    assert low < drawn["series"][1]["values"][0] < high
    assert "Too few outcomes to say." in words(page)
    assert "no answer of this version has a known outcome yet" in words(page)
    assert f"/v1/versions/{TASK}/log_har/{champion.version}/report.html" in page


def test_a_use_case_without_outcomes_says_why(api: httpx.Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    split(ledger)
    monkeypatch.setattr(catalog.task(TASK), "outcome", None)
    monkeypatch.setattr(catalog.task(TASK), "realised", super(catalog.task(TASK), catalog.task(TASK)).realised)
    page = words(shown(api, f"{PATH}/performance"))
    assert "Not scored" in page
    assert "has no outcome for a single answer" in page


def test_alarms_say_kind_reason_version_and_the_run_that_answered(api: httpx.Client, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    first = record_alarm(ledger, Finding(task=TASK, slot=champion, kind="drift", detail={"reason": "2 of 7 inputs drifted"}))
    record_alarm(ledger, Finding(task=TASK, slot=champion, kind="freshness", detail={"reason": "its newest answer is old"}))
    assert first is not None
    answered(ledger, first.sequence, "0f9d2c1e-0b9d-4a57-9a53-0d3c0f6a7e11")
    page = shown(api)
    assert "2 open alarms" in page
    assert "2 of 7 inputs drifted" in page
    assert 'href="/ui/train/0f9d2c1e-0b9d-4a57-9a53-0d3c0f6a7e11"' in page
    assert "training again does not cure it" in page


def test_retraining_takes_the_champions_own_configuration(api: httpx.Client, ledger: Ledger) -> None:
    champion, _ = split(ledger)
    page = shown(api)
    assert f'href="/ui/train?use_case={TASK}&model_id={champion.entry}"' in page
    wanted = json.loads(re.search(r'id="retraining".*?<script type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    assert wanted == {"model_id": "log_har", "use_case": TASK, "hyperparameters": {}, "training_config": {"profile": "fast"}}
    # The API takes it as it stands.
    assert api.post("/models/configure", json=wanted).status_code == 200


def test_what_looks_again_does_so_in_place(api: httpx.Client, ledger: Ledger) -> None:
    split(ledger)
    for path in ("/ui/monitoring", PATH):
        page = shown(api, path)
        assert 'hx-trigger="every 15s" hx-swap="outerMorph" data-watches' in page


@pytest.mark.parametrize("tail", ["", "/worst", "/drift", "/performance"])
def test_an_unknown_use_case_is_a_page_with_near_names(tail: str, api: httpx.Client) -> None:
    found = api.get(f"/ui/monitoring/volatility{tail}")
    assert found.status_code == 404
    assert TASK in found.text
