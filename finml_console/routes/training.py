"""Configure a model, train it, follow the run; search its hyperparameters."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from finml_console.problems import documented
from finml_console.schemas.strict import ModelId, UseCaseId
from finml_console.schemas.training import (
    Accepted,
    ConfigId,
    Configuration,
    ConfigureRequest,
    RunId,
    RunPage,
    RunStatus,
    RunSummary,
    State,
    TrainRequest,
    TuneRequest,
    TuningStatus,
)
from finml_console.services.dagster import Dagster
from finml_console.services.feeds import Feed
from finml_console.services.training import Training
from finml_console.services.tuning import Tuning

from ._inputs import Actor, Limit

DAGSTER = "http://127.0.0.1:3000"
HEARTBEAT = 15.0
RECONNECT_MILLISECONDS = 2_000


@asynccontextmanager
async def _closing(app: FastAPI) -> AsyncIterator[None]:
    yield
    if hasattr(app.state, "training"):
        await app.state.training.dagster.close()


router = APIRouter(tags=["training"], lifespan=_closing)


def training_of(request: Request) -> Training:
    """The application's service; made from its settings, or the environment, where it has none yet."""
    state = request.app.state
    if not hasattr(state, "training"):
        settings = getattr(state, "settings", None)
        address = settings.dagster_url if settings is not None else os.environ.get("FINML_DAGSTER_URL", DAGSTER)
        state.training = Training(state.ledger, Dagster(address))
    found: Training = state.training
    return found


Service = Annotated[Training, Depends(training_of)]


@router.post("/models/configure", responses=documented(404))
async def configure(body: ConfigureRequest, training: Service, actor: Actor) -> Configuration:
    """Validate hyperparameters and training against the model's card; the same content always has the same id."""
    return await run_in_threadpool(training.configure, body, actor)


@router.get("/v1/configurations/{config_id}", responses=documented(404))
async def configuration(config_id: ConfigId, training: Service) -> Configuration:
    """A configuration by its id."""
    return await run_in_threadpool(training.configuration, config_id)


@router.post("/models/train", status_code=202, responses=documented(404))
async def train(body: TrainRequest, training: Service, actor: Actor) -> Accepted:
    """Start a training on a registered dataset, with the baselines that it has to be measured against."""
    return await training.train(body, actor)


@router.get("/models/training-status/{job_id}", responses=documented(404))
async def training_status(job_id: RunId, training: Service) -> RunStatus:
    """How far a training has come."""
    return await training.status(job_id)


@router.get("/v1/runs")
async def runs(
    training: Service,
    cursor: Annotated[RunId | None, Query(description="`next` of the page before")] = None,
    limit: Limit = 50,
    state: State | None = None,
    use_case: UseCaseId | None = None,
    model_id: ModelId | None = None,
) -> RunPage:
    """Runs, newest first, that hold every given condition."""
    return await training.page(after=cursor, limit=limit, state=state, use_case=use_case, model_id=model_id)


@router.get("/v1/runs/{run_id}", responses=documented(404))
async def run(run_id: RunId, training: Service) -> RunStatus:
    """How far any run has come."""
    return await training.status(run_id)


@router.post("/v1/runs/{run_id}/cancel", status_code=202, responses=documented(404, 409))
async def cancel(run_id: RunId, training: Service, actor: Actor) -> RunSummary:
    """Ask a run to end; what it has finished stays."""
    return await training.cancel(run_id, actor)


@router.get(
    "/v1/runs/{run_id}/events",
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-Sent Events whose data is a RunEvent"}, **documented(404)},
    response_class=StreamingResponse,
)
async def events(
    run_id: RunId,
    training: Service,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,15}$", description="of the last event that was received; it goes on behind that")] = None,
) -> Response:
    """The run's events from its beginning to its end, live. 204 when there is nothing behind the last event, and never will be."""
    training.feeds.admit()
    feed, after = await training.feeds.refreshed(run_id), int(last_event_id or 0)
    if feed.ended and after >= feed.last:
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(feed, after, HEARTBEAT), media_type="text/event-stream", headers=headers)


@router.post("/v1/tuning", status_code=202, responses=documented(404))
async def tune(body: TuneRequest, training: Service, actor: Actor) -> Accepted:
    """Start a search over a model's hyperparameters."""
    return await Tuning(training).start(body, actor)


@router.get("/v1/tuning/{job_id}", responses=documented(404))
async def tuning_status(job_id: RunId, training: Service) -> TuningStatus:
    """How far a search has come, and the best so far."""
    return await Tuning(training).status(job_id)


async def stream(feed: Feed, after: int, heartbeat: float) -> AsyncIterator[str]:
    """A feed as the text of Server-Sent Events; a comment after each `heartbeat` seconds of silence keeps the connection."""
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
    async for event in feed.watch(after, heartbeat):
        yield ": still here\n\n" if event is None else f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json(exclude_none=True)}\n\n"
