"""Predict, explain, the log of predictions, versions with their reports, and comparing them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, LOSER, ROWS, TASK, FakeGateway, release

from finml_ledger import Deployments, Ledger
from finml_ledger.models import ServedPrediction
from finml_models.evaluation.report import Report
from finml_models.evaluation.verdict import Verdict


def predict(api: httpx.Client, model: str = "gru", path: str = "/models/predict", key: str | None = None, **more: Any) -> httpx.Response:
    return api.post(path, json={"model_id": model, "input_data": ROWS, **more}, headers={"X-Finml-Key": key} if key else {})


def test_a_prediction_names_version_role_time_and_warnings(api: httpx.Client, deployments: Deployments, gateway: FakeGateway) -> None:
    deployments.deploy(TASK, GRU_1, actor="t")
    answer = predict(api, key="desk-7").json()
    told = {"model_id": "gru", "use_case": TASK, "version": "g1", "role": "champion", "as_of": "2018-12-31", "prediction_id": "p-1"}
    assert answer == answer | told
    assert answer["prediction"]["level"] == 0.9
    assert answer["warnings"] == ["far from training"]
    assert gateway.keys == ["desk-7"]


def test_a_deployed_baseline_predicts_too(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    assert predict(api, "log_har").json()["version"] == "h1"


def test_where_nothing_is_deployed_a_prediction_is_a_conflict_that_says_what_is(api: httpx.Client, deployments: Deployments) -> None:
    nothing = predict(api)
    assert nothing.status_code == 409
    assert "nothing is" in nothing.json()["detail"]
    deployments.deploy(TASK, HAR, actor="t")
    for more in ({}, {"use_case": TASK}, {"use_case": "price_forecasting"}):
        refused = predict(api, **more)
        assert refused.status_code == 409, more
    assert f"{TASK} is served by log_har" in predict(api).json()["detail"]
    assert predict(api, "log_har", use_case="credit_risk").status_code == 404


def test_a_model_that_serves_two_use_cases_wants_to_know_which(api: httpx.Client, deployments: Deployments, ledger: Ledger, home: Path) -> None:
    release(ledger, home, GRU_1, task="price_forecasting")
    deployments.deploy(TASK, GRU_1, actor="t")
    deployments.deploy("price_forecasting", GRU_1, actor="t")
    refused = predict(api)
    assert refused.status_code == 422
    assert refused.json()["allowed"] == ["price_forecasting", TASK]
    assert predict(api, use_case=TASK).status_code == 200


def test_a_challenger_may_be_asked_and_the_answer_says_who_gave_it(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    deployments.split(TASK, GRU_1, 0.1, actor="t")
    answer = predict(api).json()
    assert answer["model_id"] == "log_har"
    assert "another one than gru answered" in answer["warnings"][-1]


def test_rows_that_the_gateway_refuses_are_refused_with_their_fields(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_1, actor="t")
    answer = predict(api, input_data={"rows": []})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "rows"


@pytest.mark.parametrize("path", ["/models/predict", "/v1/explain"])
def test_a_gateway_that_is_away_is_a_503_with_the_remedy(path: str, api: httpx.Client, deployments: Deployments, gateway: FakeGateway) -> None:
    deployments.deploy(TASK, GRU_1, actor="t")
    gateway.away = True
    answer = predict(api, path=path)
    assert answer.status_code == 503
    assert "finml up" in answer.json()["detail"]
    assert api.get("/models/list").status_code == 200


def test_an_explanation_comes_from_the_deployed_version(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_1, actor="t")
    answer = predict(api, path="/v1/explain").json()
    assert answer["version"] == "g1"
    assert answer["explanation"]["rows"][0]["entity"] == "sp500"


def log(ledger: Ledger, count: int) -> None:
    with ledger.write() as session:
        for number in range(count):
            session.add(
                ServedPrediction(
                    id=f"p{number}",
                    task=TASK,
                    entry="gru",
                    version="g1" if number % 2 else "g2",
                    role="champion",
                    key="k",
                    revision=1,
                    status=200,
                    milliseconds=3.0,
                    request=ROWS,
                    answer={"version": "g1"},
                    error=None,
                    at=datetime(2026, 1, 1, tzinfo=UTC),
                )
            )


def test_the_log_of_predictions_is_paged_filtered_and_read_one_by_one(api: httpx.Client, ledger: Ledger) -> None:
    log(ledger, 7)
    first = api.get("/v1/predictions", params={"limit": 4}).json()
    rest = api.get("/v1/predictions", params={"limit": 4, "cursor": first["next"]}).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == [f"p{number}" for number in range(6, -1, -1)]
    assert rest["next"] is None
    assert {item["version"] for item in api.get("/v1/predictions", params={"version": "g2"}).json()["items"]} == {"g2"}
    assert api.get("/v1/predictions/p3").json()["request"] == ROWS
    assert api.get("/v1/predictions/p99").status_code == 404
    assert "'champion', 'challenger' or 'shadow'" in api.get("/v1/predictions", params={"role": "king"}).json()["detail"]


def test_versions_are_listed_newest_judged_first_and_paged(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_2, actor="t")
    first = api.get("/v1/versions", params={"limit": 3}).json()
    rest = api.get("/v1/versions", params={"limit": 3, "cursor": first["next"]}).json()
    assert [item["version"] for item in first["items"] + rest["items"]] == ["g2", "l1", "g1", "h1"]
    assert first["items"][0]["roles"] == ["champion"]
    assert [v["version"] for v in api.get("/v1/versions", params={"gate_passed": False, "use_case": TASK}).json()["items"]] == ["l1"]
    assert "log_har" in api.get("/v1/versions", params={"model_id": "log_harr"}).json()["allowed"]


def test_a_version_leads_to_its_report_its_page_and_its_card(api: httpx.Client) -> None:
    version = api.get(f"/v1/versions/{TASK}/gru/g1").json()
    assert version["headline"]["milliseconds"] == 4.0
    report = Report.model_validate_json(api.get(version["report"]).text)
    assert (report.entry, report.version) == ("gru", "g1")
    page = api.get(version["page"])
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text == f"<!doctype html><title>{TASK}-gru</title>"
    card = api.get(version["card"]).json()
    assert card["hyperparameters"] == {"hidden": 16}
    assert card["limitations"] == ["It forgets."]
    assert card["measurement"]["source"]["run_id"] == "run-g1"


@pytest.mark.parametrize(
    ("path", "near"), [(f"{TASK}/gru/g9", "g1"), (f"{TASK}/gruu/g1", "gru"), ("volatility/gru/g1", TASK), ("credit_risk/gru/g1", "credit_risk")]
)
def test_a_version_that_is_not_there_is_answered_with_near_matches(path: str, near: str, api: httpx.Client) -> None:
    for part in ("", "/report", "/report.html", "/card"):
        answer = api.get(f"/v1/versions/{path}{part}")
        assert answer.status_code == 404
        assert near in answer.json()["detail"]


def test_a_report_that_is_damaged_or_outside_is_refused_for_that_version_alone(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    (home / "reports" / TASK / "gru" / "g1" / "report.json").write_text('{"format": 1')
    answer = api.get(f"/v1/versions/{TASK}/gru/g1/report")
    assert answer.status_code == 503
    assert "run its use case again" in answer.json()["detail"]
    assert api.get(f"/v1/versions/{TASK}/gru/g2/report").status_code == 200
    (home / "reports" / TASK / "gru" / "g2" / "report.json").unlink()
    (home / "reports" / TASK / "gru" / "g2" / "report.json").symlink_to("/etc/hostname")
    assert "outside" in api.get(f"/v1/versions/{TASK}/gru/g2/report").json()["detail"]


def test_a_version_without_a_report_says_so(api: httpx.Client, ledger: Ledger) -> None:
    ledger.record_release(task=TASK, entry="gru", version="g7", artifact="a", verdict="inferior", gate_passed=False, headline={}, fingerprint={})
    assert api.get(f"/v1/versions/{TASK}/gru/g7").json()["report"] is None
    assert api.get(f"/v1/versions/{TASK}/gru/g7/report").status_code == 409


def test_a_comparison_has_metrics_with_intervals_resources_and_suitability_best_first(api: httpx.Client) -> None:
    found = api.get(f"/v1/compare/{TASK}").json()
    assert [column["model_id"] for column in found["columns"]] == ["gru", "log_har", "lstm"]
    assert (found["best"], found["comparable"], found["warnings"]) == ("gru", True, [])
    gru = found["columns"][0]
    assert gru["metrics"][0] == {"metric": "qlike", "horizon": "all", "value": 0.2, "low": pytest.approx(0.19), "high": pytest.approx(0.21), "n": 1500}
    assert gru["resources"]["parameters"] == 1000
    assert gru["suitability"]["latency_class"] == "low"
    assert found["columns"][2]["failed"] == ["best baseline"]


def test_chosen_versions_are_compared(api: httpx.Client) -> None:
    found = api.get(f"/v1/compare/{TASK}", params={"pick": ["gru:g1", "gru", "lstm"]}).json()
    assert [column["source"]["version"] for column in found["columns"]] == [GRU_2.version, GRU_1.version, LOSER.version]
    assert api.get(f"/v1/compare/{TASK}", params={"pick": ["gru:g8"]}).status_code == 404
    assert api.get(f"/v1/compare/{TASK}", params={"pick": ["informer"]}).status_code == 409
    assert api.get(f"/v1/compare/{TASK}", params={"pick": ["../x"]}).status_code == 422
    assert api.get("/v1/compare/credit_risk").json()["columns"] == []


def test_reports_on_other_rows_do_not_compare(api: httpx.Client, home: Path) -> None:
    path = home / "reports" / TASK / "gru" / "g2" / "report.json"
    path.write_text(path.read_text().replace('"rows":1500', '"rows":1499'))
    found = api.get(f"/v1/compare/{TASK}").json()
    assert (found["comparable"], found["best"]) == (False, None)
    assert "run all of them again" in found["warnings"][0]


def test_readiness_says_what_works(api: httpx.Client, gateway: FakeGateway) -> None:
    assert api.get("/v1/health").json()["status"] == "ok"
    assert api.get("/v1/readiness").json() == {"ready": True, "ledger": True, "gateway": True, "dagster": False}
    gateway.away = True
    assert api.get("/v1/readiness").json()["gateway"] is False


def test_verdicts_on_the_wire_are_those_of_the_reports(api: httpx.Client) -> None:
    assert {column["verdict"] for column in api.get(f"/v1/compare/{TASK}").json()["columns"]} <= {verdict.value for verdict in Verdict}
