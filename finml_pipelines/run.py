"""A pipeline run in this process, with its progress as events: what `finml run` calls."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from finml_models.core import catalog
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.profile import ProfileName
from finml_models.datasets.registry import datasets, default_of

from . import keys, records
from .records import ServiceRecord

if TYPE_CHECKING:
    import dagster as dg

    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import Progress


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: the plan with its number of assets, an asset begun, done or failed, or the progress of one fit."""

    kind: Literal["plan", "start", "progress", "done", "failed"]
    asset: str = ""
    total: int = 0
    progress: Progress | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `released` holds the bento tags it made."""

    success: bool
    run_id: str
    use_cases: tuple[str, ...]
    released: tuple[str, ...]


OnEvent = Callable[[Event], None]

QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""The caller shows the events; Dagster's own log of the run stays in its event store."""


def run(
    use_case: str | None = None, models: tuple[str, ...] = (), dataset: str | None = None, profile: str = "fast", on_event: OnEvent | None = None
) -> RunResult:
    """Materialise use cases (all that are built by default) with these models (all) and every baseline.

    Raises `UnknownName` for ids, `NotBuilt` for entries without code, and `FinmlError` when an asset fails.
    """
    hear = on_event or (lambda event: None)
    chosen = [catalog.task(use_case)] if use_case else [catalog.task(task) for task in catalog.tasks() if _built(task)]
    pairs = [pair for task in chosen for pair in _pairs(task.id(), models)]
    import dagster as dg

    from .definitions import build
    from .instance import instance
    from .launcher import PROCESS_TAG, this_process

    paths = {keys.raw(task.source()) for task in chosen} | {key for task in chosen for key in (keys.features(task.id()), keys.leaderboard(task.id()))}
    paths |= {key(pair) for pair in pairs for key in (keys.model, keys.report, keys.service)}
    hear(Event("plan", total=len(paths)))
    run_id = str(uuid.uuid4())
    with instance() as home:
        home.add_event_listener(run_id, lambda entry: _forward(entry, hear))
        result = (
            build(lambda label, progress: hear(Event("progress", label, progress=progress)))
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=home,
                run_id=run_id,
                asset_selection=[dg.AssetKey(path) for path in sorted(paths)],
                run_config={"ops": dict(_run_config(chosen, pairs, dataset, ProfileName(profile))), "loggers": QUIET},
                tags={PROCESS_TAG: this_process()},
                raise_on_error=False,
            )
        )
    packaged = [keys.service(pair) for pair in pairs if result.success and result.asset_materializations_for_node("__".join(keys.service(pair)))]
    released = tuple(record.tag for key in packaged if isinstance(record := records.get(key), ServiceRecord))
    return RunResult(result.success, run_id, tuple(task.id() for task in chosen), released)


def _forward(entry: dg.EventLogEntry, hear: OnEvent) -> None:
    if not entry.is_dagster_event or entry.dagster_event is None or entry.step_key is None:
        return
    asset = entry.step_key.replace("__", "/")
    match entry.dagster_event.event_type_value:
        case "STEP_START":
            hear(Event("start", asset))
        case "STEP_SUCCESS" | "STEP_SKIPPED":
            hear(Event("done", asset))
        case "STEP_FAILURE":
            failure = entry.dagster_event.step_failure_data
            # Dagster wraps what was raised; the user's remedy is in the innermost message.
            said = failure.user_failure_data.description if failure.user_failure_data else None
            hear(Event("failed", asset, message=said or failure.error_display_string))


def _run_config(tasks: list[Any], pairs: list[Pair], dataset: str | None, profile: ProfileName) -> Iterator[tuple[str, Any]]:
    # A dataset is of one kind; use cases on other kinds take their default.
    given = set() if dataset is None else _sources(dataset, tasks)
    for source in {task.source() for task in tasks}:
        yield "__".join(keys.raw(source)), {"config": {"dataset": dataset if source in given else default_of(source)}}
    for pair in pairs:
        yield "__".join(keys.model(pair)), {"config": {"profile": profile.name}}


def _sources(dataset: str, tasks: list[Any]) -> set[str]:
    """The raw assets that a named dataset is for: those of its kind, or of use cases with a default of their own where no other was asked for."""
    known, kinds = datasets(), {task.dataset for task in tasks}
    if dataset not in known:
        raise UnknownName("dataset", dataset, known)
    if (kind := known[dataset].kind) not in kinds:
        raise FinmlError(f"dataset {dataset!r} holds {kind} data, the use cases asked for need {', '.join(sorted(kinds))}; name one of that kind")
    found = {task.source() for task in tasks if task.dataset == kind}
    return {kind} if kind in found else found


def _pairs(use_case: str, models: tuple[str, ...]) -> list[Pair]:
    for name in models:
        if gap := catalog.pair(f"{use_case}-{name}").gap:
            raise FinmlError(f"{use_case}-{name} cannot run: {gap}")
    return [pair for pair in catalog.contenders(use_case) if not models or pair.entry.is_baseline or pair.entry.id in models]


def _built(use_case: str) -> bool:
    return not inspect.isabstract(catalog.task(use_case))
