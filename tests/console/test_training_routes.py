"""Configuring and training over REST: what is wrong never reaches Dagster, and what Dagster cannot do now is a 503 in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_dagster import ENTRY, TASK, FakeDagster, application, ask
from fastapi import FastAPI
from sqlalchemy import func, select

from finml_console.app import create_app
from finml_console.services import dagster
from finml_console.settings import Settings
from finml_ledger import Ledger
from finml_ledger.models import AuditEntry, Configuration
from finml_models.core import catalog
from finml_models.core.profile import PROFILES, ProfileName

SETTINGS = """
[datasets.short_market]
source = "csv"
path = "short.csv"

[datasets.own_market]
source = "csv"
path = "own.csv"

[datasets.few_loans]
kind = "loans"
source = "simulated"
size = 150
"""
HEADER = "entity,time,close\n"


@pytest.fixture
def book(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    home.mkdir()
    (home / "datasets.toml").write_text(SETTINGS)
    (home / "short.csv").write_text(HEADER + "AAA,2020-01-02,1.0\n" * 30)
    (home / "own.csv").write_text(HEADER + "AAA,2020-01-02,1.0\n" * 5_000)
    monkeypatch.setenv("FINML_DATASETS", str(home / "datasets.toml"))
    opened = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def app(book: Ledger, fake: FakeDagster) -> FastAPI:
    return application(book, fake)


def configured(app: FastAPI, model_id: str = ENTRY, **more: Any) -> str:
    answer = ask(app, "POST", "/models/configure", json={"model_id": model_id, "use_case": TASK, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["config_id"]


def train(app: FastAPI, config_id: str, model_id: str = ENTRY, **more: Any) -> httpx.Response:
    return ask(app, "POST", "/models/train", json={"model_id": model_id, "config_id": config_id, **more})


def test_the_same_configuration_has_the_same_id_and_is_kept_once(app: FastAPI, book: Ledger) -> None:
    defaults = catalog.entry("gru").card.hyperparameters().model_dump(mode="json")
    ids = {configured(app, "gru"), configured(app, "gru"), configured(app, "gru", hyperparameters=defaults)}
    assert len(ids) == 1
    other = configured(app, "gru", training_config={"max_epochs": 3})
    assert other not in ids
    with book.read() as session:
        assert session.scalar(select(func.count()).select_from(Configuration)) == 2
        assert [row.subject for row in session.scalars(select(AuditEntry).order_by(AuditEntry.sequence))] == [*ids, other]
    kept = ask(app, "GET", f"/v1/configurations/{other}").json()
    assert kept["training"] == {"profile": "fast", "max_epochs": 3}
    assert kept["hyperparameters"] == defaults


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hyperparameters": {"hidden": 3}}, "body.hyperparameters.hidden"),
        ({"hyperparameters": {"units": 3}}, "body.hyperparameters.units"),
        ({"hyperparameters": {"hidden": [1]}}, "body.hyperparameters.hidden.bool"),
        ({"training_config": {"learning_rate": 0}}, "body.training_config.learning_rate"),
        ({"training_config": {"profile": "slow"}}, "body.training_config.profile"),
        ({"training_config": {"device": "tpu"}}, "body.training_config.device"),
        ({"typo": 1}, "body.typo"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused_with_the_path_of_its_field(app: FastAPI, body: dict[str, Any], field: str) -> None:
    answer = ask(app, "POST", "/models/configure", json={"model_id": "gru", "use_case": TASK, **body})
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("text", ['{"hidden": NaN}', '{"hidden": 1e999}', '{"hidden": null}', '{"hidden": "\\ud800"}', '{"../x": 1}'])
def test_values_that_are_none_are_refused(app: FastAPI, text: str) -> None:
    body = f'{{"model_id": "gru", "use_case": "{TASK}", "hyperparameters": {text}}}'
    assert ask(app, "POST", "/models/configure", content=body, headers={"Content-Type": "application/json"}).status_code == 422


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"config_id": "0" * 16}, 404, "config_id"),
        ({"model_id": "ewma"}, 422, "log_har"),
        ({"model_id": "log_harr"}, 422, "config_id"),
        ({"data_source": "us_markt"}, 404, "us_market"),
        ({"data_source": "simulated_loans"}, 422, "loans"),
        ({"data_source": "../../etc/passwd"}, 422, "data_source"),
        ({"data_source": "https://example.org/x.csv"}, 422, "data_source"),
        ({"data_source": "short_market"}, 422, "at most 30 rows"),
        ({"use_case": "price_forecasting"}, 422, "use_case"),
    ],
)
def test_a_training_that_is_wrong_never_reaches_dagster(app: FastAPI, fake: FakeDagster, change: dict[str, Any], status: int, said: str) -> None:
    answer = ask(app, "POST", "/models/train", json={"model_id": ENTRY, "config_id": configured(app), **change})
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert fake.asked == []


def test_a_model_of_several_use_cases_is_trained_for_the_one_that_is_named_or_that_the_data_decide(app: FastAPI, fake: FakeDagster) -> None:
    open_to_all = configured(app, "lstm", use_case=None)
    assert train(app, open_to_all, "lstm").status_code == 422
    by_data = train(app, open_to_all, "lstm", data_source="simulated_transactions").json()
    assert (by_data["use_case"], by_data["data_source"]) == ("fraud_detection", "simulated_transactions")
    named = train(app, open_to_all, "lstm", use_case="price_forecasting").json()
    assert (named["use_case"], named["data_source"]) == ("price_forecasting", "us_market")


def test_fewer_rows_than_a_simulator_is_told_to_make_are_refused_before_dagster(app: FastAPI, fake: FakeDagster) -> None:
    answer = train(app, configured(app, "tabm", use_case="credit_risk"), "tabm", data_source="few_loans")
    assert answer.status_code == 422
    assert "at most 150 rows" in answer.json()["detail"]
    assert fake.asked == []


def test_a_training_launches_the_assets_of_its_model_with_its_configuration(app: FastAPI, fake: FakeDagster, book: Ledger) -> None:
    config = configured(app, "gru", hyperparameters={"hidden": 16}, training_config={"profile": "full", "max_epochs": 2, "device": "cpu"})
    answer = train(app, config, "gru", data_source="own_market")
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert accepted["job_id"] in fake.runs
    assert accepted["baselines"] == list(catalog.task(TASK).baselines)
    launched = fake.launched[0]
    keys = {"/".join(key["path"]) for key in launched["selector"]["assetSelection"]}
    own = {f"{stage}/{TASK}/gru" for stage in ("model", "report", "service")}
    assert keys == {"raw/market", f"features/{TASK}", f"leaderboard/{TASK}", *own, *(f"model/{TASK}/{name}" for name in accepted["baselines"])}
    ops = launched["runConfigData"]["ops"]
    assert ops["raw__market"]["config"] == {"dataset": "own_market"}
    model = ops[f"model__{TASK}__gru"]["config"]
    assert (model["profile"], model["hyperparameters"]["hidden"], model["training"]) == ("FULL", 16, {"max_epochs": 2, "device": "cpu"})
    tags = {tag["key"]: tag["value"] for tag in launched["executionMetadata"]["tags"]}
    assert (tags["finml/config_id"], tags["finml/actor"], tags["finml/entry"]) == (config, "api", "gru")
    with book.read() as session:
        row = session.scalar(select(AuditEntry).where(AuditEntry.action == "train"))
    assert row is not None
    assert (row.subject, row.after["config_id"]) == (accepted["job_id"], config)
    assert any("recommended for 5000" in warning for warning in accepted["warnings"]) == (5_000 < catalog.entry("gru").card.training.recommended_samples)


def current(fake: FakeDagster, *, at: float, profile: ProfileName = ProfileName.FAST, **changes: Any) -> None:
    """All of the use case's baselines as trained on the present snapshot."""
    fake.materialise(("raw", "market"), at, dataset="own_market", snapshot="s1")
    for name in catalog.task(TASK).baselines:
        mark = {
            "hyperparameters": catalog.baseline(name).card.hyperparameters().model_dump(mode="json"),
            "config": PROFILES[profile].training.model_dump(mode="json"),
        }
        fake.materialise(("model", TASK, name), at, snapshot="s1", fingerprint=mark)
    for name, facts in changes.items():
        key = ("raw", "market") if name == "raw" else ("model", TASK, name)
        fake.materialise(key, at, **facts)


def baselines_of(app: FastAPI, **more: Any) -> set[str]:
    answer = train(app, configured(app, "gru"), "gru", data_source="own_market", **more)
    assert answer.status_code == 202, answer.text
    return set(answer.json()["baselines"])


def test_baselines_with_a_current_model_on_the_same_snapshot_are_not_trained_again(app: FastAPI, fake: FakeDagster) -> None:
    current(fake, at=time.time() + 60)
    assert baselines_of(app) == set()


def test_a_baseline_that_is_not_current_is_trained_again(app: FastAPI, fake: FakeDagster) -> None:
    weakened = {"hyperparameters": {"span": 1}, "config": PROFILES[ProfileName.FAST].training.model_dump(mode="json")}
    current(fake, at=time.time() + 60, ewma={"snapshot": "s1", "fingerprint": weakened}, garch={"snapshot": "s0", "fingerprint": {}})
    assert baselines_of(app) == {"ewma", "garch"}


def test_all_baselines_are_trained_where_the_snapshot_is_not_sure(app: FastAPI, fake: FakeDagster) -> None:
    every = set(catalog.task(TASK).baselines)
    current(fake, at=time.time() - 60)
    assert baselines_of(app) == every, "the file is newer than the snapshot"
    fake.runs.clear()
    current(fake, at=time.time() + 60, profile=ProfileName.FULL)
    assert baselines_of(app) == every, "of another profile"
    fake.runs.clear()
    current(fake, at=time.time() + 60, raw={"dataset": "us_market", "snapshot": "s1"})
    assert baselines_of(app) == every, "of another dataset"
    fake.runs.clear()
    current(fake, at=time.time() + 60)
    fake.start(tags={"finml/use_case": TASK, "finml/entry": "tft", "finml/dataset": "us_market"})
    assert baselines_of(app) == every, "a run before this one takes other data"
    fake.runs.clear()
    fake.start(tags={"finml/use_case": TASK, "finml/entry": "ewma", "finml/dataset": "own_market"})
    assert baselines_of(app) == {"ewma"}, "a run before this one trains it, perhaps with other settings"


@pytest.mark.parametrize("how", ["away", "slow", "silent for a while"])
def test_while_dagster_is_away_or_slow_training_is_a_503_in_time_and_reads_go_on(book: Ledger, fake: FakeDagster, how: str) -> None:
    assert dagster.SECONDS == 5.0
    app = application(book, fake, seconds=0.3)
    config = configured(app)
    # Slow: no question is answered in time. Silent for a while: each is, and all together are not.
    fake.away, fake.seconds = how == "away", {"slow": 5.0, "silent for a while": 0.2}.get(how, 0.0)
    began = time.monotonic()
    answer = train(app, config)
    assert time.monotonic() - began < 2
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "Dagster" in answer.json()["detail"]
    assert ask(app, "GET", f"/v1/configurations/{config}").status_code == 200
    assert configured(app, "ewma") != config


def test_a_training_is_queued_with_a_warning_while_the_daemon_is_down(app: FastAPI, fake: FakeDagster) -> None:
    for beat in (None, time.time() - 91):
        fake.beat = beat
        accepted = train(app, configured(app)).json()
        assert accepted["state"] == "queued"
        assert any("daemon" in warning for warning in accepted["warnings"])
        status = ask(app, "GET", accepted["links"]["status"]).json()
        assert any("daemon" in warning for warning in status["warnings"])
    fake.beat = time.time() - 80
    assert not [warning for warning in train(app, configured(app)).json()["warnings"] if "daemon" in warning]


def test_what_dagster_refuses_is_told(app: FastAPI, fake: FakeDagster) -> None:
    fake.refusal = {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "Received unexpected config entry"}]}
    assert train(app, configured(app)).status_code == 422
    fake.refusal = {"__typename": "PipelineNotFoundError", "message": "could not find job"}
    answer = train(app, configured(app))
    assert answer.status_code == 503
    assert "could not find job" in answer.json()["detail"]


def test_an_unknown_run_is_a_404_and_a_name_that_is_none_a_422(app: FastAPI) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for path in (f"/models/training-status/{unknown}", f"/v1/runs/{unknown}", f"/v1/runs/{unknown}/events", f"/v1/tuning/{unknown}"):
        assert ask(app, "GET", path).status_code == 404, path
    assert ask(app, "POST", f"/v1/runs/{unknown}/cancel").status_code == 404
    for name in ("x", "%2e%2e", "0" * 300):
        assert ask(app, "GET", f"/v1/runs/{name}").status_code in {404, 422}


def test_a_run_is_cancelled_once(app: FastAPI, fake: FakeDagster, book: Ledger) -> None:
    run_id = fake.start(status="STARTED")
    cancelled = ask(app, "POST", f"/v1/runs/{run_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    again = ask(app, "POST", f"/v1/runs/{run_id}/cancel")
    assert again.status_code == 409
    assert "cancelled already" in again.json()["detail"]
    with book.read() as session:
        assert [row.before for row in session.scalars(select(AuditEntry).where(AuditEntry.action == "cancel"))] == [{"state": "running"}]


def test_the_list_of_runs_is_paged_and_filtered(app: FastAPI, fake: FakeDagster) -> None:
    started = [fake.start(tags={"finml/use_case": TASK, "finml/entry": ENTRY if n % 2 else "gru"}, status="STARTED" if n < 4 else "QUEUED") for n in range(7)]
    seen, cursor = [], None
    while True:
        page = ask(app, "GET", "/v1/runs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["job_id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == started[::-1]
    assert {item["model_id"] for item in ask(app, "GET", "/v1/runs", params={"model_id": "gru"}).json()["items"]} == {"gru"}
    assert len(ask(app, "GET", "/v1/runs", params={"state": "running"}).json()["items"]) == 4
    assert ask(app, "GET", "/v1/runs", params={"state": "sleeping"}).status_code == 422


def test_twenty_trainings_at_once_are_ordered_one_at_a_time_and_none_is_lost(app: FastAPI, fake: FakeDagster) -> None:
    config = configured(app)
    # Each is well within the limit; all of them together are not.
    fake.seconds = 0.02
    most = 0
    original = fake._launch

    async def many() -> list[httpx.Response]:
        app.state.training.line._seconds = 0.3
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.post("/models/train", json={"model_id": ENTRY, "config_id": config}) for _ in range(20)))

    def counted(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal most
        most = max(most, fake.answering)
        return original(params)

    fake._launch = counted  # type: ignore[method-assign]
    began = time.monotonic()
    answers = asyncio.run(many())
    assert time.monotonic() - began > 0.3
    assert [answer.status_code for answer in answers] == [202] * 20
    assert len({answer.json()["job_id"] for answer in answers}) == 20
    assert most == 1, "while one is launched, nothing else is asked of Dagster"


def test_an_order_that_was_answered_too_late_is_not_given_twice(app: FastAPI, fake: FakeDagster) -> None:
    config = configured(app)
    app.state.training.line._seconds = 0.2
    fake.seconds_by_operation["Launch"] = 0.5

    async def twice() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            order = {"model_id": ENTRY, "config_id": config}
            late = await client.post("/models/train", json=order)
            await asyncio.sleep(0.5)
            again = await client.post("/models/train", json=order)
            fake.seconds_by_operation.clear()
            return late, again, await client.post("/models/train", json=order)

    late, again, another = asyncio.run(twice())
    assert (late.status_code, again.status_code) == (503, 202)
    assert "send it again" in late.json()["detail"]
    assert list(fake.runs) == [again.json()["job_id"], another.json()["job_id"]]


def test_nothing_is_ordered_for_someone_who_was_told_that_it_was_not(app: FastAPI, fake: FakeDagster) -> None:
    config = configured(app)
    app.state.training.line._seconds = 0.2
    fake.seconds_by_operation["Daemons"] = 0.5

    async def impatient() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            answer = await client.post("/models/train", json={"model_id": ENTRY, "config_id": config})
            await asyncio.sleep(0.7)
            return answer

    answer = asyncio.run(impatient())
    assert answer.status_code == 503
    assert "nothing was ordered" in answer.json()["detail"]
    assert fake.launched == []


def test_the_whole_api_goes_on_reading_while_dagster_is_away(book: Ledger) -> None:
    app = create_app(Settings(dagster_url="http://127.0.0.1:9"), ledger=book)
    config = configured(app)
    began = time.monotonic()
    refused = train(app, config)
    assert time.monotonic() - began < 5
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert int(refused.headers["retry-after"]) >= 1
    for path in ("/models/list", "/models/gru", "/models/use-cases", "/models/deployed", f"/v1/configurations/{config}", "/openapi.json"):
        assert ask(app, "GET", path).status_code == 200, path
