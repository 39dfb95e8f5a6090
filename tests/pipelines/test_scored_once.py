"""A file of predictions is read and scored once, however many reports compare with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finml_models.core import catalog
from finml_pipelines import steps


def test_a_file_is_scored_once_and_again_when_it_was_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float]] = []

    def scored(task: Any, name: str, frame: pd.DataFrame) -> object:
        seen.append((name, float(frame["point"].sum())))
        return object()

    monkeypatch.setattr(steps.reporting, "scored", scored)
    task, path = catalog.task("volatility_forecasting"), tmp_path / "predictions.parquet"
    pd.DataFrame({"point": [1.0]}).to_parquet(path)
    first = steps._scored(task, "garch", path)
    assert steps._scored(task, "garch", path) is first
    pd.DataFrame({"point": [2.0]}).to_parquet(path)
    os.utime(path, ns=(0, 1))
    assert steps._scored(task, "garch", path) is not first
    assert seen == [("garch", 1.0), ("garch", 2.0)]
