"""Runs in the fake of Dagster: one that ended well, one that failed, one that goes on."""

from __future__ import annotations

from console_cases import TASK
from fake_dagster import ENTRY, STEPS, FakeDagster
from seeded import RUN

MODEL = f"model__{TASK}__{ENTRY}"
CONFIG = "0" * 16
FAULT = "loss: nan in epoch 3: lower learning_rate"


def begun(dagster: FakeDagster, run_id: str | None = None) -> str:
    """A training of the entry that was ordered by a page; `run_id` is one that the ledger names."""
    tags = {"use_case": TASK, "entry": ENTRY, "config_id": CONFIG, "dataset": "us_market", "profile": "fast", "actor": "console"}
    made = dagster.start(tags={f"finml/{name}": value for name, value in tags.items()})
    if run_id is None:
        return made
    dagster.runs[run_id] = dagster.runs.pop(made) | {"runId": run_id}
    dagster.logs[run_id] = dagster.logs.pop(made)
    return run_id


def that_ended(dagster: FakeDagster) -> str:
    """The one that the ledger says made `HAR`."""
    run_id = begun(dagster, RUN)
    dagster.play(run_id)
    return run_id


def that_goes_on(dagster: FakeDagster) -> str:
    """Two steps are done, and the first fit is half done."""
    run_id = begun(dagster)
    for kind in ("RunEnqueuedEvent", "RunDequeuedEvent", "RunStartingEvent", "RunStartEvent"):
        dagster.tell(run_id, kind)
    for step in STEPS[:2]:
        dagster.tell(run_id, "ExecutionStepStartEvent", step)
        dagster.tell(run_id, "ExecutionStepSuccessEvent", step)
    dagster.tell(run_id, "ExecutionStepStartEvent", MODEL)
    for epoch in range(1, 4):
        learn(dagster, run_id, epoch)
    return run_id


def learn(dagster: FakeDagster, run_id: str, epoch: int, epochs: int = 6) -> None:
    """One epoch of the first of two fits."""
    facts = {"epoch": epoch, "epochs": epochs, "loss": 1.0 / epoch, "validation": 1.2 / epoch}
    dagster.observe(run_id, MODEL, fit="fold 1 seed 0", done=epoch / epochs / 2, **facts)


def that_failed(dagster: FakeDagster) -> str:
    """It failed in the training itself."""
    run_id = that_goes_on(dagster)
    dagster.tell(run_id, "ExecutionStepFailureEvent", MODEL, failureMetadata={"description": FAULT})
    dagster.tell(run_id, "RunFailureEvent", message="Execution of run failed. Steps failed: ...")
    return run_id


def finish(dagster: FakeDagster, run_id: str) -> None:
    """The rest of one that goes on."""
    dagster.tell(run_id, "ExecutionStepSuccessEvent", MODEL)
    for step in STEPS[3:]:
        dagster.tell(run_id, "ExecutionStepStartEvent", step)
        dagster.tell(run_id, "ExecutionStepSuccessEvent", step)
    dagster.tell(run_id, "RunSuccessEvent")
