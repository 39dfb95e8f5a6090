"""What serves each use case: looking, changing, looking back. A deployment's ETag is its revision."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import AwareDatetime
from starlette.concurrency import run_in_threadpool

from finml_console.problems import Problem, documented
from finml_console.schemas.deployments import Change, Chosen, DeploymentList, HistoryPage, Outcome, Shadow, Split, Why
from finml_console.schemas.strict import UseCaseId
from finml_console.services import Services
from finml_console.services.releases import By, Changed
from finml_ledger import Deployment, Slot
from finml_models.core import catalog
from finml_models.core.errors import Conflict

from ._inputs import Actor, CursorQuery, Expected, Limit, Serving, behind, cut

router = APIRouter(prefix="/v1/deployments", tags=["deployments"])
CHANGES = documented(404, 409)


@router.get("")
def list_deployments(serving: Serving) -> DeploymentList:
    """What serves each use case that something ever served."""
    found = tuple(sorted(serving.deployments.all(), key=lambda held: held.task))
    return DeploymentList(deployments=found, count=len(found))


@router.get("/{use_case}", responses={**documented(404), 304: {"description": "it is the one of If-None-Match"}})
def show_deployment(serving: Serving, response: Response, use_case: UseCaseId, if_none_match: Annotated[str | None, Header()] = None) -> Deployment:
    """What serves a use case now; revision 0 where nothing ever did."""
    held = serving.deployments.now(catalog.task(use_case).id())
    response.headers["ETag"] = _etag(held)
    if if_none_match is not None and _etag(held) in {tag.strip() for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers={"ETag": _etag(held)})  # type: ignore[return-value]
    return held


@router.get("/{use_case}/history", responses=documented(404))
def history(serving: Serving, use_case: UseCaseId, cursor: CursorQuery = None, limit: Limit = 50) -> HistoryPage:
    """The changes of a use case, newest first."""
    found = serving.deployments.history(catalog.task(use_case).id(), before=behind(cursor), limit=limit + 1)
    rows, following = cut(found, limit, lambda held: held.revision)
    return HistoryPage(items=tuple(rows), next=following)


@router.get("/{use_case}/at", responses=documented(404))
def at(serving: Serving, use_case: UseCaseId, moment: Annotated[AwareDatetime, Query(description="ISO 8601 with a zone")]) -> Deployment:
    """What served a use case at a moment."""
    return serving.deployments.at(catalog.task(use_case).id(), moment)


@router.post("/{use_case}/deploy", responses=CHANGES)
async def deploy(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Change) -> Outcome:
    """Make a version ready: the champion where there is none, else a challenger without traffic."""
    return await _changed(serving, response, use_case, serving.releases.deploy(use_case, _slot(body), By(actor, body.reason, expected)))


@router.post("/{use_case}/split", responses=CHANGES)
async def split(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Split) -> Outcome:
    """Send a share of the traffic to a challenger; who is sent there is sent there again."""
    return await _changed(serving, response, use_case, serving.releases.split(use_case, _slot(body), body.share, By(actor, body.reason, expected)))


@router.post("/{use_case}/shadow", responses=CHANGES)
async def shadow(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Shadow) -> Outcome:
    """Let a version see every request without answering any; null ends it."""
    slot = _slot(body.shadow) if body.shadow else None
    return await _changed(serving, response, use_case, serving.releases.shadow(use_case, slot, By(actor, body.reason, expected)))


@router.post("/{use_case}/promote", responses=CHANGES)
async def promote(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Change) -> Outcome:
    """Give all traffic to a version, once it is ready and a drill has shown that rolling back leads back."""
    return await _changed(serving, response, use_case, serving.releases.promote(use_case, _slot(body), By(actor, body.reason, expected)))


@router.post("/{use_case}/rollback", responses=CHANGES)
async def roll_back(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Why) -> Outcome:
    """Give all traffic back to the previous champion."""
    return await _changed(serving, response, use_case, serving.releases.roll_back(use_case, By(actor, body.reason, expected)))


@router.post("/{use_case}/withdraw", responses=CHANGES)
async def withdraw(serving: Serving, actor: Actor, expected: Expected, response: Response, use_case: UseCaseId, body: Why) -> Outcome:
    """Serve the use case no longer."""
    return await _changed(serving, response, use_case, serving.releases.withdraw(use_case, By(actor, body.reason, expected)))


async def _changed(serving: Services, response: Response, use_case: str, change: Awaitable[Changed]) -> Outcome:
    """The outcome of a change with its ETag; a conflict is answered with what holds, and its ETag."""
    try:
        done = await change
    except Conflict as error:
        held = await run_in_threadpool(serving.deployments.now, use_case)
        raise Problem(409, str(error), headers={"ETag": _etag(held)}, deployment=held.model_dump(mode="json")) from error
    response.headers["ETag"] = _etag(done.deployment)
    return Outcome(deployment=done.deployment, warnings=done.warnings)


def _slot(chosen: Chosen) -> Slot:
    return Slot(entry=chosen.model_id, version=chosen.version)


def _etag(deployment: Deployment) -> str:
    return f'"{deployment.revision}"'
