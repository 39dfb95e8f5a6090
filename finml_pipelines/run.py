"""The pipeline from raw data to releases, with its progress as events: what `finml run` calls."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from finml_models.core import catalog, keys
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.profile import ProfileName
from finml_models.datasets.registry import datasets, default_of

from . import records
from .records import ServiceRecord

if TYPE_CHECKING:
    import dagster as dg

    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import Progress
    from finml_models.core.task import Task


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
    """How it ended. `run_ids` names the Dagster runs, `released` the bento tags that they made."""

    success: bool
    run_ids: tuple[str, ...]
    released: tuple[str, ...]

    def __add__(self, other: RunResult) -> RunResult:
        return RunResult(self.success and other.success, self.run_ids + other.run_ids, self.released + other.released)


@dataclass(frozen=True, slots=True)
class Order:
    """What to run, in words that can be sent to another process: these use cases with these models (all) and every baseline."""

    use_cases: tuple[str, ...]
    models: tuple[str, ...]
    dataset: str | None
    profile: ProfileName
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the one model that is named, what departs from the defaults: `hyperparameters` and `training` by name."""

    def tasks(self) -> list[type[Task]]:
        """The use cases themselves."""
        return [catalog.task(name) for name in self.use_cases]

    def pairs(self) -> list[Pair]:
        """The models and baselines to train. Raises `FinmlError` for a model that cannot run."""
        return [pair for name in self.use_cases for pair in _pairs(name, self.models)]

    def raw(self) -> set[tuple[str, ...]]:
        """The assets that use cases share: their raw data."""
        return {keys.raw(task.source()) for task in self.tasks()}

    def own(self) -> set[tuple[str, ...]]:
        """The assets that are theirs alone."""
        shared = {key for name in self.use_cases for key in (keys.features(name), keys.leaderboard(name))}
        return shared | {key(pair) for pair in self.pairs() for key in (keys.model, keys.report, keys.service)}


OnEvent = Callable[[Event], None]

QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""The caller shows the events; Dagster's own log of the run stays in its event store."""


def run(
    use_case: str | None = None,
    models: tuple[str, ...] = (),
    dataset: str | None = None,
    profile: str = "fast",
    on_event: OnEvent | None = None,
    workers: int = 1,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunResult:
    """Materialise use cases (all that are built by default) with these models (all) and every baseline.

    With more than one worker, use cases run side by side, each as a Dagster run in a process of its own. `settings` are those of the one
    model or baseline that is named (`Order.settings`).
    Raises `UnknownName` for ids, `NotBuilt` for entries without code, and `FinmlError` for what cannot run.
    """
    hear = on_event or (lambda event: None)
    chosen = (catalog.task(use_case).id(),) if use_case else tuple(task for task in catalog.tasks() if not inspect.isabstract(catalog.task(task)))
    order = Order(chosen, models, dataset, ProfileName(profile), settings or {})
    hear(Event("plan", total=len(order.raw() | order.own())))
    if min(workers, len(chosen)) == 1:
        return materialise(order, order.raw() | order.own(), hear)
    ingested = materialise(order, order.raw(), hear)
    if not ingested.success:
        return ingested
    from .side_by_side import run_each

    return ingested + run_each([replace(order, use_cases=(name,)) for name in chosen], workers, hear)


def materialise(order: Order, paths: Collection[tuple[str, ...]], hear: OnEvent) -> RunResult:
    """One Dagster run in this process over those assets of an order; what happens is told as events."""
    import dagster as dg

    from .definitions import build
    from .instance import instance
    from .launcher import PROCESS_TAG, this_process

    run_id = str(uuid.uuid4())
    with instance() as home:
        home.add_event_listener(run_id, lambda entry: _forward(entry, hear))
        result = (
            # No turns in a pool: as many train at once as there are workers, and a step of this executor that waits for its turn spins.
            build(lambda label, progress: hear(Event("progress", label, progress=progress)), pool=None)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=home,
                run_id=run_id,
                asset_selection=[dg.AssetKey(path) for path in sorted(paths)],
                run_config={"ops": {name: {"config": config} for name, config in _run_config(order) if tuple(name.split("__")) in paths}, "loggers": QUIET},
                tags={PROCESS_TAG: this_process()},
                raise_on_error=False,
            )
        )
    services = [key for key in map(keys.service, order.pairs()) if key in paths]
    packaged = [key for key in services if result.success and result.asset_materializations_for_node(keys.op(key))]
    return RunResult(result.success, (run_id,), tuple(record.tag for key in packaged if isinstance(record := records.get(key), ServiceRecord)))


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
            hear(Event("failed", asset, message=failure_of(entry.dagster_event) or ""))


def failure_of(event: dg.DagsterEvent) -> str | None:
    """Why a step failed, where the event says that one did."""
    if event.event_type_value != "STEP_FAILURE":
        return None
    failure = event.step_failure_data
    # Dagster wraps what was raised; the user's remedy is in the innermost message.
    said = failure.user_failure_data.description if failure.user_failure_data else None
    return said or failure.error_display_string


def _run_config(order: Order) -> Iterator[tuple[str, dict[str, Any]]]:
    # A dataset is of one kind; use cases on other kinds take their default.
    given = set() if order.dataset is None else _sources(order.dataset, order.tasks())
    for source in {task.source() for task in order.tasks()}:
        yield keys.op(keys.raw(source)), {"dataset": order.dataset if source in given else default_of(source)}
    for pair in order.pairs():
        own = order.settings if (pair.entry.id,) == order.models else {}
        yield keys.op(keys.model(pair)), {"profile": order.profile.name, **own}


def _sources(dataset: str, tasks: list[type[Task]]) -> set[str]:
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
