"""The sensor writes an alarm once a cause, trains the version's entry again as it was trained, and records what new data tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from served_cases import NOW, TASK, answer, asked, bars, before, keep, prediction, released

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.alarms import alarms
from finml_ledger.outcomes import joined
from finml_models.core import catalog, keys
from finml_models.core.profile import PROFILES
from finml_pipelines import records
from finml_pipelines.definitions import build
from finml_pipelines.monitoring import ALARM_TAG, monitoring_sensor, retraining

SENSOR = monitoring_sensor([catalog.task(TASK)])


@pytest.fixture
def ledger(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    opened = Ledger.open()
    yield opened
    opened.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as held:
        yield held


def tick(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    return list(SENSOR.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests or ())


def drifted(ledger: Ledger) -> Slot:
    """A champion whose requests are wilder than its training."""
    slot = released(ledger, "log_har")
    Deployments(ledger).deploy(TASK, slot, actor="test")
    requests = [asked(session, 0.002) for session in range(700, 740)]
    keep(ledger, [prediction(i, slot, request=r, answer=answer(slot, r)) for i, r in enumerate(requests)])
    return slot


def test_nothing_deployed_is_nothing_to_do(ledger: Ledger, instance: dg.DagsterInstance) -> None:
    assert tick(instance) == []


def test_drift_asks_for_one_retraining_until_it_has_started(ledger: Ledger, instance: dg.DagsterInstance) -> None:
    slot = drifted(ledger)
    (request,) = tick(instance)
    (alarm,) = [one for one in alarms(ledger, TASK) if one.kind == "drift"]
    assert {ALARM_TAG: str(alarm.sequence), "finml/alarm_kind": "drift", "finml/alarm_version": slot.version}.items() <= request.tags.items()
    # Nothing has started yet, as after a crash between the alarm and the run: asked again under the same key, which Dagster runs once.
    (again,) = tick(instance)
    assert again.run_key == request.run_key == f"alarm:{alarm.sequence}"
    instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", run_id="0b5c0b2e-8a0c-4a39-9d5f-2b8a4c1f0e11", tags=request.tags))
    assert tick(instance) == []
    assert [one.run_id for one in alarms(ledger, TASK) if one.kind == "drift"] == ["0b5c0b2e-8a0c-4a39-9d5f-2b8a4c1f0e11"]
    assert tick(instance) == []
    assert len([one for one in alarms(ledger, TASK) if one.kind == "drift"]) == 1


def test_a_retraining_is_a_run_that_dagster_accepts_with_the_choices_of_the_version(ledger: Ledger) -> None:
    entry = catalog.model("gru")
    training = PROFILES["full"].training.model_copy(update={"max_epochs": 7})
    release = ledger.record_release(
        task=TASK,
        entry="gru",
        version="a" * 16,
        artifact="artifacts/gru",
        verdict="superior",
        gate_passed=True,
        headline={},
        fingerprint={
            "hyperparameters": entry.card.hyperparameters(hidden=48).model_dump(mode="json"),
            "config": training.model_dump(mode="json"),
            "seeds": [0, 1, 2],
        },
    )
    from finml_ledger.models import Alarm

    request = retraining(Alarm(sequence=3, task=TASK, entry="gru", version="a" * 16, kind="decay", detail={}, run_id=None, at=NOW), release)
    selected = {key.to_user_string() for key in request.asset_selection}
    assert {"raw/market", f"features/{TASK}", f"model/{TASK}/gru", f"report/{TASK}/gru", f"service/{TASK}/gru", f"model/{TASK}/garch"} <= selected
    assert f"report/{TASK}/garch" not in selected
    config = request.run_config["ops"][f"model__{TASK}__gru"]["config"]
    assert (config["profile"], config["hyperparameters"]["hidden"], config["training"]["max_epochs"]) == ("FULL", 48, 7)
    assert "seed" not in config["training"]
    job = build().resolve_implicit_global_asset_job_def()
    part = job.get_subset(asset_selection={dg.AssetKey(key.split("/")) for key in selected})
    assert dg.validate_run_config(part, request.run_config)


def test_new_raw_rows_become_the_outcomes_of_served_answers(ledger: Ledger, home: Path, instance: dg.DagsterInstance) -> None:
    slot = released(ledger, "log_har")
    Deployments(ledger).deploy(TASK, slot, actor="test")
    keep(ledger, [prediction(1, slot, request=asked(720), answer=answer(slot, asked(720)))])

    def arrived(sessions: int) -> None:
        path = home / "data" / f"new{sessions}.parquet"
        before(sessions).to_parquet(path)
        facts = {"dataset": "market", "snapshot": f"new{sessions}", "rows": 1, "entities": 3, "first": "2015-01-02", "last": "2018-01-01", "repairs": {}}
        records.put(keys.raw("market"), records.RawRecord(path=records.relative(path), **facts))

    arrived(730)
    tick(instance)
    assert joined(ledger, TASK, slot.version) == []
    arrived(len(bars()["time"].unique()))
    tick(instance)
    assert len(joined(ledger, TASK, slot.version)) == 3


def test_one_broken_use_case_does_not_keep_the_others_from_being_watched(ledger: Ledger, home: Path, instance: dg.DagsterInstance) -> None:
    drifted(ledger)
    ledger.record_release(
        task="credit_risk", entry="tabm", version="b" * 16, artifact="artifacts/gone", verdict="superior", gate_passed=True, headline={}, fingerprint={}
    )
    Deployments(ledger).deploy("credit_risk", Slot(entry="tabm", version="b" * 16), actor="test")
    assert [request.tags["finml/alarm_kind"] for request in tick(instance)] == ["drift"]
