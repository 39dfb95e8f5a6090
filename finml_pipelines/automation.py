"""What starts runs by itself: a weekly retraining after the last session of the week, and a sensor for new data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from finml_models.core import keys
from finml_models.core.task import Task
from finml_models.datasets.registry import default_of

from . import records

RETRAIN = "0 6 * * 6"
"""Saturday morning: every exchange of the calendar has closed its week."""


def schedules(tasks: list[type[Task]]) -> list[dg.ScheduleDefinition]:
    """One weekly retraining a use case."""
    return [_weekly(task) for task in tasks]


def sensors(tasks: list[type[Task]]) -> list[dg.SensorDefinition]:
    """One sensor a source of raw data, for the use cases on it."""
    return [_new_data(source, [task for task in tasks if task.source() == source]) for source in sorted({task.source() for task in tasks})]


def selection(task: type[Task]) -> dg.AssetSelection:
    """All assets of a use case, raw data included."""
    return dg.AssetSelection.groups(task.id()).upstream()


def _weekly(task: type[Task]) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"retrain_{task.id()}",
        cron_schedule=RETRAIN,
        execution_timezone="UTC",
        target=selection(task),
        description=f"{task.name}: everything anew after each week{' in which the exchange was open' if task.dataset == 'market' else ''}.",
    )
    def weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if task.dataset != "market":
            return dg.RunRequest(run_key=f"{task.id()}:{context.scheduled_execution_time:%G-W%V}")
        from finml_models.datasets.market.sessions import last_session

        now = context.scheduled_execution_time.astimezone(UTC)
        session = last_session(now)
        if now.date() - session > timedelta(days=7):
            return dg.SkipReason(f"no session since {session}: nothing new to learn from")
        return dg.RunRequest(run_key=f"{task.id()}:{session}", tags={"finml/session": str(session)})

    return weekly


def _new_data(source: str, tasks: list[type[Task]]) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"new_{source}_data",
        target=dg.AssetSelection.groups(*(task.id() for task in tasks)).upstream(),
        minimum_interval_seconds=300,
        description=f"Runs the use cases on {source} data when the registered dataset they were last made from has changed.",
    )
    def new_data(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from finml_models import datasets

        made = records.get(keys.raw(source))
        dataset = made.dataset if isinstance(made, records.RawRecord) else default_of(source)
        snapshot = datasets.load(dataset).snapshot
        context.update_cursor(snapshot)
        if isinstance(made, records.RawRecord) and made.snapshot == snapshot:
            return dg.SkipReason(f"{dataset} is unchanged at snapshot {snapshot[:12]}")
        run_config = {"ops": {keys.op(keys.raw(source)): {"config": {"dataset": dataset}}}}
        return dg.RunRequest(run_key=f"{dataset}:{snapshot}", run_config=run_config, tags={"finml/seen": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"})

    return new_data
