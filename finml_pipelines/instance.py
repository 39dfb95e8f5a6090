"""The Dagster instance under the state folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from finml_models.core.files import write_atomic
from finml_models.core.home import home

if TYPE_CHECKING:
    import dagster as dg

SETTINGS = """\
# Written by finml when it is absent; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
run_launcher:
  module: finml_pipelines.launcher
  class: HealthCheckedRunLauncher
run_monitoring:
  enabled: true
  poll_interval_seconds: 10
  free_slots_after_run_end_seconds: 300
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false
concurrency:
  runs:
    max_concurrent_runs: 1
  pools:
    default_limit: 1
"""

WORKSPACE = """\
# Written by finml at every start.
load_from:
  - python_module:
      module_name: finml_pipelines.definitions
      location_name: finml
"""


def folder() -> Path:
    """DAGSTER_HOME: the environment's, or `dagster/` under the state folder, with its settings."""
    chosen = Path(os.environ["DAGSTER_HOME"]) if "DAGSTER_HOME" in os.environ else home() / "dagster"
    settings = chosen / "dagster.yaml"
    if not settings.exists():
        write_atomic(settings, SETTINGS.encode())
    return chosen


def workspace() -> Path:
    """The workspace file of Dagster's processes beside the instance's settings, so that they start from any folder."""
    path = folder() / "workspace.yaml"
    write_atomic(path, WORKSPACE.encode())
    return path


def instance() -> dg.DagsterInstance:
    """The instance of this folder, also for `dagster` processes started from here."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(folder())
    return dg.DagsterInstance.get()


def prepare() -> Path:
    """DAGSTER_HOME with its databases, before processes start side by side.

    Two that both find no database would both create it, and one of them would fail on the other's tables.
    """
    with instance() as home:
        # Each storage makes its tables when it is first asked for.
        home.run_storage, home.event_log_storage, home.schedule_storage  # noqa: B018
    return folder()


def main() -> None:
    """Print DAGSTER_HOME after making it: for shells."""
    print(prepare())


if __name__ == "__main__":
    main()
