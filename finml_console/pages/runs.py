"""A run: how far it is, live; what it came to; what can be done with that."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from finml_console.routes._inputs import Serving
from finml_console.routes.training import Service
from finml_console.schemas.training import RunId, TuningStatus
from finml_console.services.training import Training
from finml_console.services.tuning import Tuning
from finml_models.core.errors import ServiceFailed

from ._render import page
from ._run import Seen, configuration_of, defaults_of, look, metric_note, named, outcome_of, use_case_named

router = APIRouter(include_in_schema=False)


@router.get("/ui/train/{run_id}")
async def show(request: Request, serving: Serving, training: Service, run_id: RunId) -> HTMLResponse:
    """The whole page, right at whatever moment it is asked for: what follows is told by the run's events."""
    seen = await look(serving, training, run_id)
    kept = await run_in_threadpool(configuration_of, training, seen.status)
    return page(
        request,
        "run.html",
        run_id=run_id,
        seen=seen,
        outcome=await run_in_threadpool(outcome_of, serving, seen),
        kept=kept,
        defaults=defaults_of(kept.model_id if kept else None),
        search=await _search(training, seen),
        title=_title(seen),
        named=named,
        use_case_named=use_case_named,
        metric_note=metric_note,
        as_json=json.dumps,
    )


@router.get("/ui/train/{run_id}/outcome")
async def outcome(request: Request, serving: Serving, training: Service, run_id: RunId) -> HTMLResponse:
    """What the run came to: a part of its page, asked for when it has ended."""
    seen = await look(serving, training, run_id)
    found = await run_in_threadpool(outcome_of, serving, seen)
    return page(request, "part_outcome.html", run_id=run_id, seen=seen, outcome=found, named=named, use_case_named=use_case_named)


@router.get("/ui/train/{run_id}/search")
async def search(request: Request, serving: Serving, training: Service, run_id: RunId) -> HTMLResponse:
    """What a search has found so far: a part of its page, asked for with each attempt that ends."""
    seen = await look(serving, training, run_id)
    return page(request, "part_search.html", run_id=run_id, search=await _search(training, seen), metric_note=metric_note, as_json=json.dumps)


async def _search(training: Training, seen: Seen) -> TuningStatus | None:
    if seen.status is None or seen.status.kind != "tuning":
        return None
    try:
        return await Tuning(training).status(seen.status.job_id)
    except ServiceFailed:
        return None


def _title(seen: Seen) -> str:
    status = seen.status
    if status is None or status.model_id is None:
        return "Pipeline run"
    use_case = f", {use_case_named(status.use_case).lower()}" if status.use_case else ""
    return f"{'Search of ' if status.kind == 'tuning' else ''}{named(status.model_id)}{use_case}"
