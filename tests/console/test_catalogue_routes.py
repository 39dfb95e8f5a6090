"""The catalogue over REST: the spec's table, and claims beside what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, LOSER, TASK, release

from finml_ledger import Deployments, Ledger
from finml_models.core import catalog
from finml_models.evaluation.verdict import Verdict

SUMMARY = {"id", "name", "category", "use_cases", "description", "production_ready", "latency_class", "data_requirements", "explainability"}


def test_the_list_holds_every_model_in_short(api: httpx.Client) -> None:
    found = api.get("/models/list").json()
    assert found["count"] == len(found["models"]) == len(catalog.models()) == 18
    assert all(set(model) == SUMMARY for model in found["models"])
    assert [model["id"] for model in found["models"] if model["production_ready"]] == ["gru"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"category": "tabular"}, {"tabnet", "ft_transformer", "tabm"}),
        ({"category": "time_series", "use_case": TASK, "production_ready": "true"}, {"gru"}),
        ({"category": "tabular", "production_ready": "true"}, set()),
        ({"category": "reinforcement", "use_case": "trading_execution"}, {"ppo", "sac"}),
    ],
)
def test_filters_are_joined_by_and(filters: dict[str, str], expected: set[str], api: httpx.Client) -> None:
    assert {model["id"] for model in api.get("/models/list", params=filters).json()["models"]} == expected


@pytest.mark.parametrize(("name", "allowed"), [("category", "time_series"), ("use_case", "news_analysis")])
def test_an_unknown_filter_is_refused_with_the_allowed_values(name: str, allowed: str, api: httpx.Client) -> None:
    answer = api.get("/models/list", params={name: "tabularr"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert allowed in answer.json()["allowed"]
    assert answer.json()["errors"][0]["field"] == f"query.{name}"


def test_production_ready_follows_the_newest_version(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    assert api.get("/models/gru").json()["production_ready"] is True
    release(ledger, home, GRU_2.model_copy(update={"version": "g3"}), passed=False, verdict=Verdict.INCONCLUSIVE)
    assert api.get("/models/gru").json()["production_ready"] is False
    # A version that is trained again to the same bits, and passes, is the newest again.
    release(ledger, home, GRU_1)
    assert api.get("/models/gru").json()["production_ready"] is True


def test_a_model_shows_each_claim_beside_its_measurement_and_the_run(api: httpx.Client) -> None:
    page = api.get("/models/gru").json()
    assert page["hyperparameters"]["json_schema"]["properties"]["hidden"]["maximum"] == 512
    (measured,) = page["measurements"]
    assert measured["source"] == {"use_case": TASK, "version": "g2", "run_id": "run-g2", "report": f"/v1/versions/{TASK}/gru/g2/report"}
    assert (measured["value"], measured["low"], measured["high"], measured["baseline_value"]) == pytest.approx((0.2, 0.19, 0.21, 0.3))
    claims = {claim["name"]: claim for claim in page["claims"]}
    assert claims["latency_class"]["measured"] == "low: 4 ms on one CPU core"
    assert claims["latency_class"]["holds"] is True
    assert claims["latency_class"]["source"]["run_id"] == "run-g2"
    assert claims["production_ready"] == claims["production_ready"] | {"claimed": "true", "holds": True}


def test_a_claim_that_a_measurement_contradicts_says_so(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    release(ledger, home, GRU_2.model_copy(update={"version": "g3"}), milliseconds=80.0)
    claims = {claim["name"]: claim for claim in api.get("/models/gru").json()["claims"]}
    assert claims["latency_class"]["holds"] is False
    assert claims["latency_class"]["measured"].startswith("high")


def test_a_measured_loss_is_a_weakness(api: httpx.Client) -> None:
    assert api.get("/models/lstm").json()["measured_weaknesses"] == ["lstm against log_har: inferior."]
    assert api.get("/models/gru").json()["measured_weaknesses"] == []


def test_a_model_without_a_measurement_shows_its_claims_alone(api: httpx.Client) -> None:
    page = api.get("/models/sac").json()
    assert page["measurements"] == []
    assert {claim["holds"] for claim in page["claims"]} == {None}


def test_a_baseline_has_a_card_too(api: httpx.Client) -> None:
    page = api.get("/models/log_har").json()
    assert page["category"] is None
    assert page["measurements"][0]["gate_passed"] is True


def test_an_unknown_model_is_answered_with_near_matches(api: httpx.Client) -> None:
    answer = api.get("/models/patchtts")
    assert answer.status_code == 404
    assert answer.json()["near"] == ["patchtst"]
    assert "patchtst" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["..%2fx", "%2e%2e", "a" * 300, "GRU", "'; DROP TABLE releases", "<script>", "{{7*7}}", "%00", "%F0%9F%98%80"])
def test_an_id_that_is_none_is_refused(name: str, api: httpx.Client) -> None:
    answer = api.get(f"/models/{name}")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_categories_and_use_cases_come_with_counts(api: httpx.Client) -> None:
    families = api.get("/models/categories").json()
    assert families["count"] == 6
    assert sum(family["count"] for family in families["categories"]) == 18
    use_cases = api.get("/models/use-cases").json()
    assert use_cases["count"] == 10
    volatility = next(found for found in use_cases["use_cases"] if found["id"] == TASK)
    assert volatility["metrics"][0] == "qlike"
    assert "last_value" in volatility["gate"]["naive"]
    assert {"gru", "lstm"} <= set(volatility["models"])


def test_a_recommendation_has_reason_evidence_and_source(api: httpx.Client) -> None:
    found = api.get("/models/recommend", params={"use_case": TASK}).json()
    assert found["data"] == {"dataset": "us_market", "snapshot": "d" * 64, "rows": 60_000}
    first, *others = found["recommendations"]
    assert first["id"] == "gru"
    assert "lower is better" in first["reason"]
    assert first["evidence"]["milliseconds"] == 4.0
    assert first["source"]["run_id"] == "run-g2"
    assert next(place for place in others if place["id"] == "lstm")["source"]["version"] == LOSER.version


def test_where_no_model_is_better_the_baseline_is_recommended(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    release(ledger, home, GRU_2, passed=False, verdict=Verdict.INFERIOR)
    first = api.get("/models/recommend", params={"use_case": TASK}).json()["recommendations"][0]
    assert (first["id"], first["role"]) == ("log_har", "baseline")
    assert "use the baseline" in first["reason"]


def test_what_is_deployed_says_role_share_since_and_report(api: httpx.Client, deployments: Deployments) -> None:
    assert api.get("/models/deployed").json() == {"deployed": [], "count": 0}
    first = deployments.deploy(TASK, HAR, actor="t")
    deployments.split(TASK, GRU_1, 0.1, actor="t")
    deployments.split(TASK, GRU_1, 0.2, actor="t")
    champion, challenger = api.get("/models/deployed").json()["deployed"]
    assert (champion["model_id"], champion["is_baseline"], champion["role"], champion["share"]) == ("log_har", True, "champion", 0.8)
    assert champion["since"] == json.loads(first.model_dump_json())["at"]
    assert (challenger["version"], challenger["share"], challenger["revision"]) == ("g1", 0.2, 3)
    assert challenger["gate_report"] == f"/v1/versions/{TASK}/gru/g1/report"
    assert api.get(challenger["gate_report"]).json()["version"] == "g1"


def test_the_matrix_has_every_pair_that_fits_with_its_newest_verdict(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_2, actor="t")
    cells = {(cell["use_case"], cell["model_id"]): cell for cell in api.get("/v1/matrix").json()["cells"]}
    assert {(pair.task.id(), pair.entry.id) for pair in catalog.pairs()} <= set(cells)
    assert cells[TASK, "gru"] == cells[TASK, "gru"] | {"verdict": "superior", "version": "g2", "role": "champion", "run_id": "run-g2"}
    assert cells[TASK, "lstm"]["gate_passed"] is False
    assert cells["credit_risk", "tabnet"]["verdict"] is None


def test_datasets_say_nothing_of_where_their_rows_lie(api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "datasets.toml"
    settings.write_text('[datasets.mine]\nsource = "csv"\nkind = "market"\npath = "secret_place.csv"\n')
    monkeypatch.setenv("FINML_DATASETS", str(settings))
    found = api.get("/v1/datasets")
    mine = next(entry for entry in found.json()["datasets"] if entry["id"] == "mine")
    assert mine["source"] == "csv"
    assert TASK in mine["use_cases"]
    assert "secret_place" not in found.text
    assert api.get("/v1/datasets/us_market").json()["default_of"]
    assert api.get("/v1/datasets/us_markets").json()["near"][0] == "us_market"
