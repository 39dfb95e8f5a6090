"""A run as a browser launches it: through the real webserver, daemon and GraphQL, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster_servers import ENDED, Webserver, environment, servers
from small_market import DATASET, training

from finml_models.core import catalog

TASK = "volatility_forecasting"
BASELINES = catalog.task(TASK).baselines


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    folder = tmp_path_factory.mktemp("webserver")
    with servers(folder, environment(folder)) as (server, _):
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
    run = webserver.wait(launched["run"]["runId"], ENDED)
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
