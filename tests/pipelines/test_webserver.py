"""A run as a browser launches it: through the real webserver, daemon and GraphQL, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_market import DATASET, register, training

from finml_models.core import catalog

ROOT = Path(__file__).resolve().parents[2]
TASK = "volatility_forecasting"
BASELINES = catalog.task(TASK).baselines
SECONDS = 150

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}"""
STATUS = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run { status assetCheckEvaluations: eventConnection { events { __typename ... on AssetCheckEvaluationEvent { evaluation {
      checkName success severity assetKey { path } } } ... on MaterializationEvent { assetKey { path } } } } }
  }
}"""


class Webserver:
    """The GraphQL endpoint."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).raise_for_status().json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, keys: list[list[str]], ops: dict[str, Any]) -> dict[str, Any]:
        selector = {"repositoryLocationName": "finml", "repositoryName": "__repository__", "pipelineName": "__ASSET_JOB"}
        selector["assetSelection"] = [{"path": key} for key in keys]
        return self.ask(LAUNCH, params={"selector": selector, "mode": "default", "runConfigData": {"ops": ops}})["launchRun"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    folder = tmp_path_factory.mktemp("webserver")
    environment = {**os.environ, "FINML_HOME": str(folder / "home"), "FINML_DATASETS": str(register(folder / "data")), "PYTHONPATH": str(ROOT)}
    environment.pop("DAGSTER_HOME", None)
    made = subprocess.run([sys.executable, "-m", "finml_pipelines.instance"], env=environment, capture_output=True, text=True, check=True)
    environment["DAGSTER_HOME"] = made.stdout.strip()
    tools, port = Path(sys.executable).parent, free_port()
    workspace = ["-w", str(ROOT / "workspace.yaml")]
    commands = {
        "webserver": [str(tools / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), *workspace],
        "daemon": [str(tools / "dagster-daemon"), "run", *workspace],
    }
    with ExitStack() as stack:
        processes = []
        for name, command in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            processes.append(process)
        server = Webserver(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert all(process.poll() is None for process in processes), [path.read_text()[-2000:] for path in folder.glob("*.log")]
            try:
                server.client.get("/server_info").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.3)
        yield server


def test_a_run_launched_over_graphql_ends_green_with_a_red_gate(webserver: Webserver) -> None:
    keys = [
        ["raw", "market"],
        ["features", TASK],
        *(["model", TASK, name] for name in (*BASELINES, "lstm")),
        ["report", TASK, "lstm"],
        ["service", TASK, "lstm"],
    ]
    ops = {"raw__market": {"config": {"dataset": DATASET}}, **{k: v for k, v in training(max_epochs=0).items() if k.endswith("lstm")}}
    launched = webserver.launch(keys, ops)
    assert launched["__typename"] == "LaunchRunSuccess", launched
    deadline = time.monotonic() + SECONDS
    run: dict[str, Any] = {}
    while time.monotonic() < deadline:
        run = webserver.ask(STATUS, id=launched["run"]["runId"])["runOrError"]
        if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
            break
        time.sleep(0.5)
    assert run["status"] == "SUCCESS"
    events = run["assetCheckEvaluations"]["events"]
    checks = {event["evaluation"]["checkName"]: event["evaluation"] for event in events if event["__typename"] == "AssetCheckEvaluationEvent"}
    assert (checks["gate"]["success"], checks["gate"]["severity"]) == (False, "WARN")
    assert checks["truncation_audit"]["success"]
    made = [event["assetKey"]["path"] for event in events if event["__typename"] == "MaterializationEvent"]
    assert ["report", TASK, "lstm"] in made
    assert ["service", TASK, "lstm"] not in made


def test_an_unknown_hyperparameter_is_refused_at_launch(webserver: Webserver) -> None:
    ops = {"model__volatility_forecasting__lstm": {"config": {"hyperparameters": {"units": 3}}}}
    refused = webserver.launch([["model", TASK, "lstm"]], ops)
    assert refused["__typename"] == "RunConfigValidationInvalid"
    assert "units" in refused["errors"][0]["message"]
