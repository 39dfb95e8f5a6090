"""Schedules follow the exchange's calendar; the sensor follows the data."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from small_market import materialise, register

from finml_models.core import catalog
from finml_pipelines.automation import schedules, sensors

TASKS = [catalog.task("volatility_forecasting")]


def tick(moment: datetime) -> dg.RunRequest | None:
    (weekly,) = schedules(TASKS)
    requests = weekly.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=moment)).run_requests
    return requests[0] if requests else None


def test_a_week_with_sessions_is_retrained_once_by_its_last_session() -> None:
    # 29 March 2024 was Good Friday: the exchange was closed.
    assert tick(datetime(2024, 3, 30, 6, tzinfo=UTC)).run_key == "volatility_forecasting:2024-03-28"


def test_a_week_without_a_session_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finml_models.datasets.market.sessions.last_session", lambda now: date(2024, 3, 15))
    assert tick(datetime(2024, 3, 30, 6, tzinfo=UTC)) is None


def test_new_data_starts_a_run_and_unchanged_data_does_not(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path)))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert materialise("raw/market", config={}).success
    (sensor,) = sensors(TASKS)

    def look() -> dg.SensorExecutionContext:
        with dg.DagsterInstance.ephemeral() as instance:
            return sensor.evaluate_tick(dg.build_sensor_context(instance=instance))

    assert "unchanged" in look().skip_message
    register(tmp_path, seed=11)
    (request,) = look().run_requests
    assert request.run_config["ops"]["raw__market"]["config"]["dataset"] == "small_market"
