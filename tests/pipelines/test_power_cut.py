"""Every process is killed at once while a model trains; afterwards no run stays STARTED for ever."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster_servers import ENDED, environment, servers
from small_market import DATASET, training

from finml_pipelines.launcher import PROCESS_TAG, HealthCheckedRunLauncher, this_process

TASK = "volatility_forecasting"


@pytest.mark.slow
def test_a_run_that_lost_its_process_in_a_power_cut_is_ended_and_tried_again(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    keys = [["raw", "market"], ["features", TASK], ["model", TASK, "lstm"]]
    ops = {"raw__market": {"config": {"dataset": DATASET}}, **{k: v for k, v in training(max_epochs=400, stride=1, patience=400).items() if k.endswith("lstm")}}
    with servers(tmp_path, variables) as (server, processes):
        run_id = server.launch(keys, ops)["run"]["runId"]
        assert server.wait(run_id, {"STARTED"})["status"] == "STARTED"
        everything = [child for process in processes for child in psutil.Process(process.pid).children(recursive=True)]
        for process in [*everything, *(psutil.Process(process.pid) for process in processes)]:
            process.kill()
        psutil.wait_procs(everything, timeout=10)
    with servers(tmp_path, variables) as (server, _):
        assert server.wait(run_id, ENDED, seconds=60)["status"] == "FAILURE"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({PROCESS_TAG: this_process()}, WorkerStatus.RUNNING),
        ({PROCESS_TAG: f"{os.getpid()}:1.0"}, WorkerStatus.FAILED),
        ({PROCESS_TAG: "99999999:1.0"}, WorkerStatus.FAILED),
        ({}, WorkerStatus.RUNNING),
        ({".dagster/grpc_info": json.dumps({"host": "127.0.0.1", "port": 9})}, WorkerStatus.FAILED),
    ],
    ids=["its process lives", "another process has its id", "its process is gone", "nothing is known of it", "its code server is gone"],
)
def test_a_run_is_as_alive_as_its_process(tags: dict[str, str], expected: WorkerStatus) -> None:
    launcher = HealthCheckedRunLauncher()
    with dg.DagsterInstance.ephemeral() as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(dg.job(name="empty")(lambda: None), tags=tags)
        assert launcher.check_run_worker_health(run).status == expected
