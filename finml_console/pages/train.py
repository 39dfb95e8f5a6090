"""Choose what to train, on what, and how; the runs that there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from finml_console.routes._inputs import Serving
from finml_console.routes.training import Service
from finml_console.schemas.strict import ModelId, UseCaseId, VersionId
from finml_console.schemas.training import ConfigId, DatasetId, RunId, RunPage, RunSummary, TrainingChoice, TuneRequest
from finml_console.services import orders
from finml_ledger import Release
from finml_models.core.errors import ServiceFailed
from finml_models.core.estimator import TrainingConfig
from finml_models.core.profile import PROFILES, ProfileName

from ._choice import choose, fill, outlook
from ._forms import Control, controls
from ._render import page
from ._run import named, use_case_named

router = APIRouter(include_in_schema=False)
RUNS = 12
"""Rows of the list of runs."""
FIRST = ("profile", "max_epochs", "patience", "learning_rate", "batch_size")
"""Of a training's configuration: what most departures from a profile are of."""


@router.get("/ui/train")
def train(
    request: Request,
    serving: Serving,
    training: Service,
    use_case: UseCaseId | None = None,
    model_id: ModelId | None = None,
    data_source: DatasetId | None = None,
    version: VersionId | None = None,
    config_id: ConfigId | None = None,
    hyperparameters: Annotated[str | None, Query(max_length=4000)] = None,
) -> HTMLResponse:
    """The choice, the form that follows from it, and what would happen."""
    chosen = choose(serving, use_case, model_id, data_source)
    filling = fill(serving, training, chosen.pair, version, config_id, hyperparameters)
    card = chosen.pair.entry.card
    schema = card.hyperparameters.model_json_schema()
    own = controls(schema, under="hyperparameters", values=filling.hyperparameters)
    effort = controls(TrainingChoice.model_json_schema(), under="training_config", values=filling.training, hints=_profiles())
    first = [f"training_config.{name}" for name in FIRST]
    return page(
        request,
        "train.html",
        chosen=chosen,
        filling=filling,
        outlook=outlook(serving, chosen),
        card=card,
        sizes=[field for field in own if field.widget != "checkbox"],
        switches=[field for field in own if field.widget == "checkbox"],
        effort=sorted((field for field in effort if field.name in first), key=lambda field: first.index(field.name)),
        more=[field for field in effort if field.name not in first],
        search=_search() if own else (),
        departs=[field.label for field in effort if field.name not in first and field.name.rpartition(".")[2] in filling.training],
    )


@router.get("/ui/train/beside")
async def beside(
    request: Request,
    training: Service,
    use_case: UseCaseId,
    model_id: ModelId,
    data_source: DatasetId,
    profile: Annotated[ProfileName, Query(alias="training_config.profile")] = ProfileName.FAST,
) -> HTMLResponse:
    """Which baselines would be trained too: a part of the page, for Dagster has to be asked."""
    pair = await run_in_threadpool(orders.pair_of, model_id, use_case)
    dataset = await run_in_threadpool(orders.dataset_of, pair.task, data_source)
    try:
        found, warnings = await training.beside(pair, dataset, profile)
    except ServiceFailed as error:
        return page(request, "part_beside.html", away=str(error), baselines=(), rivals=(), warnings=())
    return page(request, "part_beside.html", away=None, baselines=found, rivals=orders.rivals(pair), warnings=warnings)


@router.get("/ui/train/runs")
async def runs(request: Request, serving: Serving, training: Service, cursor: RunId | None = None) -> HTMLResponse:
    """The newest runs, or those behind one: a part of the page that asks for itself again while something moves."""
    shown, away = RunPage(items=(), next=None), None
    try:
        shown = await training.page(after=cursor, limit=RUNS, state=None, use_case=None, model_id=None)
    except ServiceFailed as error:
        away = str(error)
    moving = any(run.state not in {"succeeded", "failed", "cancelled"} for run in shown.items)
    made = await run_in_threadpool(serving.evidence.of_runs, [run.job_id for run in shown.items])
    context: dict[str, Any] = {"away": away, "moving": moving, "cursor": cursor, "now": training.ledger.clock(), "made": made, "named": named}
    return page(request, "part_runs.html", runs=shown, where={run.job_id: _where(run, made.get(run.job_id, ())) for run in shown.items}, **context)


def _where(run: RunSummary, made: Sequence[Release]) -> str:
    """The use case that a run was started for, or those that it judged something of."""
    found = [run.use_case] if run.use_case else list(dict.fromkeys(release.task for release in made))
    return f"{len(found)} use cases" if len(found) > 2 else ", ".join(map(use_case_named, found))


@lru_cache(maxsize=1)
def _profiles() -> dict[str, str]:
    """By field, what the profiles say where the form leaves it empty."""
    found = {name.value: profile.training.model_dump(mode="json") for name, profile in PROFILES.items()}
    return {field: f"empty: {_values({profile: values[field] for profile, values in found.items()})}" for field in TrainingConfig.model_fields}


def _values(by_profile: Mapping[str, Any]) -> str:
    """One value where all profiles have it, else each with its profile."""
    said = {profile: _said(value) for profile, value in by_profile.items()}
    return next(iter(said.values())) if len(set(said.values())) == 1 else ", ".join(f"{value} ({profile})" for profile, value in said.items())


def _said(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


@lru_cache(maxsize=1)
def _search() -> tuple[Control, ...]:
    """The fields of a search beside the choice itself."""
    hints = {
        "trials": "configurations in all, the default first",
        "profile": "how each of them is trained",
        "timeout_seconds": "after which no other one begins",
    }
    return controls(TuneRequest.model_json_schema(), hints=hints, only=hints)
