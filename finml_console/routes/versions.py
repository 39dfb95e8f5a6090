"""Versions with their reports and model cards, and comparing them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import StringConstraints

from finml_console.problems import documented
from finml_console.schemas.strict import ModelId, UseCaseId, VersionId
from finml_console.schemas.versions import Comparison, Version, VersionCard, VersionPage
from finml_console.services import Services
from finml_console.services.evidence import Judged
from finml_console.views import serving_now
from finml_console.views.versions import card_of, comparison, version_of
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.evaluation.document import Report

from ._inputs import CursorQuery, Limit, Serving, behind, cut, one_of

router = APIRouter(prefix="/v1", tags=["versions"])
ADDRESS = "/versions/{use_case}/{model_id}/{version}"
# The page is one file with its own styles and plots, and nothing on it runs.
PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"}
Picked = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}(:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")]


@router.get("/versions")
def list_versions(
    serving: Serving,
    use_case: Annotated[UseCaseId | None, Query()] = None,
    model_id: Annotated[ModelId | None, Query()] = None,
    gate_passed: Annotated[bool | None, Query()] = None,
    cursor: CursorQuery = None,
    limit: Limit = 50,
) -> VersionPage:
    """The versions that hold every given condition, the one that was judged last first."""
    one_of("use_case", use_case, list(catalog.tasks()))
    one_of("model_id", model_id, [*catalog.models(), *catalog.baselines()])
    found = serving.evidence.page(task=use_case, entry=model_id, passed=gate_passed, before=behind(cursor), limit=limit + 1)
    rows, following = cut(found, limit, lambda release: release.judged)
    roles = serving_now.roles(serving.deployments)
    return VersionPage(items=tuple(version_of(release, roles) for release in rows), next=following)


@router.get(ADDRESS, responses=documented(404))
def show_version(serving: Serving, use_case: UseCaseId, model_id: ModelId, version: VersionId) -> Version:
    """A version that was trained and judged."""
    return version_of(_release(serving, use_case, model_id, version), serving_now.roles(serving.deployments))


@router.get(ADDRESS + "/card", responses=documented(404, 409))
def show_card(serving: Serving, use_case: UseCaseId, model_id: ModelId, version: VersionId) -> VersionCard:
    """The model card of a version."""
    release = _release(serving, use_case, model_id, version)
    return card_of(Judged(release, serving.evidence.report_of(release)), serving_now.roles(serving.deployments), ready=serving.evidence.ready())


@router.get(ADDRESS + "/report", responses=documented(404, 409))
def show_report(serving: Serving, use_case: UseCaseId, model_id: ModelId, version: VersionId) -> Report:
    """The report that a version's gate decided on."""
    return serving.evidence.report_of(_release(serving, use_case, model_id, version))


@router.get(ADDRESS + "/report.html", responses=documented(404, 409), response_class=HTMLResponse)
def show_page(serving: Serving, use_case: UseCaseId, model_id: ModelId, version: VersionId) -> Response:
    """The report as a self-contained page."""
    return HTMLResponse(serving.evidence.page_of(_release(serving, use_case, model_id, version)), headers=PAGE_HEADERS)


@router.get("/compare/{use_case}", responses=documented(404, 409))
def compare(
    serving: Serving,
    use_case: Annotated[UseCaseId, Path()],
    pick: Annotated[list[Picked] | None, Query(max_length=40, description="model or baseline, with :version if not the newest; all by default")] = None,
) -> Comparison:
    """Versions of a use case side by side: metrics with intervals, resources, suitability; best first."""
    task = catalog.task(use_case)
    if not pick:
        return comparison(task.id(), serving.evidence.of_task(task.id()))
    return comparison(task.id(), serving.evidence.picked(task.id(), pick))


def _release(serving: Services, use_case: str, model_id: str, version: str) -> Release:
    """The release; each part of its address is told apart when it does not exist."""
    catalog.pair(f"{catalog.task(use_case).id()}-{catalog.entry(model_id).id}")
    return serving.ledger.release(use_case, model_id, version)
