"""A training from a REST client's order to its end: the application in this process, the real webserver and daemon on loopback.

And what the webserver's own GraphQL makes of a wrong order, and, slowly, of a run as a browser launches it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dagster_servers import ENDED, Webserver, environment, servers
from fastapi import FastAPI
from small_market import DATASET, training

from finml_console.app import create_app
from finml_console.settings import Settings
from finml_ledger import Ledger
from finml_models.core import catalog

TASK, ENTRY = "volatility_forecasting", "log_har"
SECONDS = 150


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def webserver(variables: dict[str, str]) -> Iterator[Webserver]:
    with servers(Path(variables["FINML_HOME"]).parent, variables) as (server, _):
        yield server


@pytest.fixture
def app(variables: dict[str, str], webserver: Webserver, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    for name in ("FINML_HOME", "FINML_DATASETS"):
        monkeypatch.setenv(name, variables[name])
    ledger = Ledger.open(f"sqlite:///{Path(variables['FINML_HOME']) / 'ledger.sqlite'}")
    yield create_app(Settings(dagster_url=str(webserver.client.base_url)), ledger=ledger)
    ledger.close()


class Client:
    """A REST client of the application, on one event loop."""

    def __init__(self, app: FastAPI) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", timeout=SECONDS)

    async def ask(self, method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
        answer = await self._http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def events(self, path: str, after: int = 0) -> list[dict[str, Any]]:
        answer = await self._http.get(path, headers={"Last-Event-ID": str(after)})
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines]

    async def train(self, config_id: str) -> dict[str, Any]:
        body = {"model_id": ENTRY, "config_id": config_id, "data_source": DATASET}
        deadline = time.monotonic() + 30
        while True:
            answer = await self._http.post("/models/train", json=body)
            # A webserver that loads its code location for the first time may be slower than the limit.
            if answer.status_code != 503 or time.monotonic() > deadline:
                break
            await asyncio.sleep(1)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def story(app: FastAPI) -> None:
    client = Client(app)
    asked = {"model_id": ENTRY, "use_case": TASK, "training_config": {"device": "cpu"}}
    config = await client.ask("POST", "/models/configure", 200, json=asked)
    accepted = await client.train(config["config_id"])
    assert accepted["baselines"] == [name for name in catalog.task(TASK).baselines if name != ENTRY]
    watching = asyncio.create_task(client.events(accepted["links"]["events"]))

    seen = []
    while not seen or seen[-1]["state"] not in {"succeeded", "failed", "cancelled"}:
        seen.append(await client.ask("GET", accepted["links"]["status"], 200))
        await asyncio.sleep(0.5)
    ended = seen[-1]
    assert (ended["state"], ended["error"]) == ("succeeded", None)
    shares = [status["percentage"] for status in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert (ended["model_id"], ended["data_source"], ended["config_id"]) == (ENTRY, DATASET, config["config_id"])
    assert ended["result"]["report"].endswith("report.json")

    events = await watching
    assert [event["percentage"] for event in events] == sorted(event["percentage"] for event in events)
    assert events[-1]["state"] == "succeeded"
    fits = [event for event in events if event["kind"] == "progress" and event["step"] == f"model/{TASK}/{ENTRY}"]
    assert fits, "the training told how far it was"
    assert [event["passed"] for event in events if event.get("message") == "truncation_audit"] == [True]
    middle = events[len(events) // 2]["id"]
    assert await client.events(accepted["links"]["events"], middle) == [event for event in events if event["id"] > middle]

    again = await client.train(config["config_id"])
    assert again["baselines"] == [], "those that were just trained on the same snapshot are current"
    cancelled = await client.ask("POST", again["links"]["cancel"], 202)
    assert cancelled["state"] in {"cancelling", "cancelled", "queued", "starting", "running"}
    page = await client.ask("GET", "/v1/runs", 200, params={"use_case": TASK, "limit": 1})
    assert ([item["job_id"] for item in page["items"]], page["next"]) == ([again["job_id"]], again["job_id"])
    older = await client.ask("GET", "/v1/runs", 200, params={"cursor": page["next"]})
    assert [item["job_id"] for item in older["items"]] == [accepted["job_id"]]


def test_a_training_ordered_over_rest_runs_to_its_end_and_tells_how_far_it_is(app: FastAPI) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(story(app), SECONDS)

    asyncio.run(bounded())


def test_an_unknown_hyperparameter_is_refused_at_launch(webserver: Webserver) -> None:
    ops = {"model__volatility_forecasting__lstm": {"config": {"hyperparameters": {"units": 3}}}}
    refused = webserver.launch([["model", TASK, "lstm"]], ops)
    assert refused["__typename"] == "RunConfigValidationInvalid"
    assert "units" in refused["errors"][0]["message"]


@pytest.mark.slow
def test_a_run_launched_over_graphql_ends_green_with_a_red_gate(webserver: Webserver) -> None:
    keys = [
        ["raw", "market"],
        ["features", TASK],
        *(["model", TASK, name] for name in (*catalog.task(TASK).baselines, "lstm")),
        ["report", TASK, "lstm"],
        ["service", TASK, "lstm"],
    ]
    ops = {"raw__market": {"config": {"dataset": DATASET}}, **{k: v for k, v in training(max_epochs=0).items() if k.endswith("lstm")}}
    launched = webserver.launch(keys, ops)
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = webserver.wait(launched["run"]["runId"], ENDED)
    assert run["status"] == "SUCCESS"
    events = run["assetCheckEvaluations"]["events"]
    checks = {event["evaluation"]["checkName"]: event["evaluation"] for event in events if event["__typename"] == "AssetCheckEvaluationEvent"}
    assert (checks["gate"]["success"], checks["gate"]["severity"]) == (False, "WARN")
    assert checks["truncation_audit"]["success"]
    made = [event["assetKey"]["path"] for event in events if event["__typename"] == "MaterializationEvent"]
    assert ["report", TASK, "lstm"] in made
    assert ["service", TASK, "lstm"] not in made
