"""The code location: everything in it follows from the catalogue."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from finml_models.core import catalog

from .automation import schedules, sensors
from .factory import TRAINING_POOL, RecordStore, pair_assets, raw_asset, task_assets
from .listener import Listener
from .monitoring import monitoring_sensor
from .tuning import tune_job


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster's processes load."""
    return build()


def build(listener: Listener | None = None, pool: str | None = TRAINING_POOL) -> dg.Definitions:
    """Assets of every use case that is built, their schedules and sensors, and the job that tunes.

    `listener` hears the progress of trainings, which take turns in `pool`: None for a caller that itself limits how many run at once.
    """
    with _uncollected():
        return _build(listener, pool)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: what is made here lives as long as the process, and every pass over Dagster's heap costs 50 ms."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _build(listener: Listener | None, pool: str | None) -> dg.Definitions:
    built = [task for task in catalog.tasks().values() if not inspect.isabstract(task)]
    return dg.Definitions(
        assets=[
            *(raw_asset(source) for source in sorted({task.source() for task in built})),
            *(asset for task in built for asset in task_assets(task)),
            *(asset for task in built for pair in catalog.contenders(task.id()) for asset in pair_assets(pair, pool)),
        ],
        jobs=[tune_job(pool=pool)],
        schedules=schedules(built),
        sensors=[*sensors(built), monitoring_sensor(built)],
        resources={"io_manager": RecordStore(), "listener": dg.ResourceDefinition.hardcoded_resource(listener)},
        # One process a run: a step then costs 0.1 s instead of the 4 to 7 s that a fresh import of torch takes.
        executor=dg.in_process_executor,
    )
