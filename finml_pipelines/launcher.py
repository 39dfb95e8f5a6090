"""Dagster's default launcher with a health check, so that a run whose process is gone does not stay STARTED for ever.

The default launcher offers run monitoring nothing to ask, and after a power cut such a run is never ended or retried.
"""

from __future__ import annotations

import os

import psutil
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

PROCESS_TAG = "finml/process"
"""Run tag of runs that execute in the process that asked for them, as `finml run` does."""


def this_process() -> str:
    """A process that no later one can be taken for: its id and the moment it began."""
    return f"{os.getpid()}:{psutil.Process().create_time()}"


class HealthCheckedRunLauncher(DefaultRunLauncher):
    """Answers `is this run's process alive?`: asks the code server that started it, or looks at the process of its tag."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks only launchers that say so."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Failed when the code server, the run's process or the process of its tag is gone; a run of neither kind counts as running."""
        if PROCESS_TAG in run.tags:
            alive = _is_alive(run.tags[PROCESS_TAG])
            return CheckRunHealthResult(WorkerStatus.RUNNING) if alive else CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            reply = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=5)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that started this run is gone")
        if deserialize_value(reply, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")


def _is_alive(process: str) -> bool:
    pid, _, began = process.partition(":")
    try:
        return str(psutil.Process(int(pid)).create_time()) == began
    except psutil.NoSuchProcess:
        return False
