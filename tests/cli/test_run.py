"""`finml run`: what is asked for reaches the pipeline, and how it ended is the exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from finml_cli.main import app
from finml_pipelines import run as pipeline
from finml_pipelines.run import Event, RunResult
from finml_pipelines.side_by_side import cores


@pytest.fixture
def calls(home: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The pipeline's calls, recorded instead of run; it succeeds unless it is asked for gru alone."""
    heard: list[tuple[Any, ...]] = []

    def record(use_case: str | None, models: tuple[str, ...], dataset: str | None, profile: str, on_event: Any, workers: int, settings: Any) -> RunResult:
        heard.append((use_case, models, dataset, profile, workers))
        on_event(Event("plan", total=1))
        on_event(Event("start", "raw/market"))
        on_event(Event("failed" if models == ("gru",) else "done", "raw/market"))
        return RunResult(models != ("gru",), ("run",), ())

    monkeypatch.setattr(pipeline, "run", record)
    return heard


def test_options_reach_the_pipeline(calls: list[tuple[Any, ...]]) -> None:
    arguments = ["run", "-u", "volatility_forecasting", "-m", "gru", "-m", "lstm", "-d", "us_indices", "-p", "full", "-w", "3"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert calls == [("volatility_forecasting", ("gru", "lstm"), "us_indices", "full", 3)]


def test_by_default_everything_that_is_built_runs_in_the_fast_profile_on_every_core(calls: list[tuple[Any, ...]]) -> None:
    assert CliRunner().invoke(app, ["run"]).exit_code == 0
    assert calls == [(None, (), None, "fast", cores())]


def test_a_failed_run_is_exit_code_1(calls: list[tuple[Any, ...]]) -> None:
    assert CliRunner().invoke(app, ["run", "-m", "gru"]).exit_code == 1


def test_progress_stays_out_of_the_answer(calls: list[tuple[Any, ...]]) -> None:
    result = CliRunner().invoke(app, ["run", "--json"])
    assert json.loads(result.stdout) == []
    assert "raw/market" in result.stderr
