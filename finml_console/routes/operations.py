"""Running it: health, readiness, and the audit trail."""

from __future__ import annotations

from typing import Annotated

import httpx
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from finml_console.schemas.serving import AuditItem, AuditPage, Health, Readiness
from finml_console.schemas.strict import Name

from ._inputs import CursorQuery, Limit, Serving, behind, cut

router = APIRouter(prefix="/v1", tags=["operations"])


@router.get("/health")
def health(request: Request) -> Health:
    """That this process answers; it asks nobody."""
    return Health(version=request.app.version)


@router.get("/readiness")
async def readiness(serving: Serving, request: Request) -> Readiness:
    """What works. Without the ledger nothing does, which is a 503; without gateway or Dagster reading goes on."""
    await run_in_threadpool(serving.deployments.position)
    settings = getattr(request.app.state, "settings", None)
    dagster = await _answers(settings.dagster_url) if settings else False
    return Readiness(ready=True, ledger=True, gateway=await serving.gateway.ready(), dagster=dagster)


@router.get("/audit")
def audit(
    serving: Serving,
    subject: Annotated[Name | None, Query(description="such as a use case")] = None,
    action: Annotated[Name | None, Query(description="such as deployment.promote")] = None,
    cursor: CursorQuery = None,
    limit: Limit = 50,
) -> AuditPage:
    """Who changed what, from what to what, and why; newest first."""
    found = serving.audit.page(before=behind(cursor), limit=limit + 1, subject=subject, action=action)
    rows, following = cut(found, limit, lambda row: row.sequence)
    names = AuditItem.model_fields
    return AuditPage(items=tuple(AuditItem(**{name: getattr(row, name) for name in names}) for row in rows), next=following)


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            return (await client.get(f"{url}/server_info")).status_code == 200
    except httpx.HTTPError:
        return False
