"""Dagster's default launcher with a health check, so that a run whose process is gone does not stay STARTED for ever.

The default launcher offers run monitoring nothing to ask, and after a power cut such a run is never ended or retried.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value, serialize_value


class HealthCheckedRunLauncher(DefaultRunLauncher):
    """Answers `is this run's process alive?` by asking the code server that started it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks only launchers that say so."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Running while the code server that started the run still knows it; failed when the server or the run is gone."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that started this run is gone")
        reply = deserialize_value(
            client.can_cancel_execution(serialize_value(CanCancelExecutionRequest(run_id=run.run_id)), timeout=5), CanCancelExecutionResult
        )
        if reply.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")
