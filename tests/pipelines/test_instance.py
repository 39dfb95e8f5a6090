"""The Dagster instance that shells start from."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path


def test_its_databases_are_there_before_any_server_starts(tmp_path: Path) -> None:
    """Two servers that start side by side on an instance without tables both create them, and one fails."""
    variables = {**os.environ, "FINML_HOME": str(tmp_path)}
    variables.pop("DAGSTER_HOME", None)
    made = subprocess.run([sys.executable, "-m", "finml_pipelines.instance"], env=variables, capture_output=True, text=True, check=True)
    folder = Path(made.stdout.strip())
    for database in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
        with sqlite3.connect(folder / database) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone(), database
