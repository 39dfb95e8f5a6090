"""The catalogue: models by family, use case and evidence, and all that is known of one of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from finml_console.routes._inputs import Serving, one_of
from finml_console.views import serving_now
from finml_console.views.measurements import model_page
from finml_console.views.versions import version_of
from finml_models.core import catalog
from finml_models.core.errors import UnknownName
from finml_models.core.spec import THRESHOLDS, Category

from ._browsing import BASELINE, Filters, addressed, cards, choices, tabs
from ._cards import claim_groups, knobs, measured_in
from ._reading import readable
from ._render import page

VERSIONS = 50
"""Of a model's versions, how many its page lists."""

router = APIRouter(include_in_schema=False)


@router.get("/ui/models")
def browse(
    request: Request,
    serving: Serving,
    category: Annotated[str, Query(max_length=64)] = "",
    use_case: Annotated[str, Query(max_length=64)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    production_ready: bool = False,
    baselines: bool = False,
) -> HTMLResponse:
    """The models that hold every given condition, as cards."""
    one_of("category", category or None, [*map(str, Category), BASELINE])
    one_of("use_case", use_case or None, list(catalog.tasks()))
    filters = Filters(category, use_case, q.strip(), production_ready, baselines or category == BASELINE)
    newest = serving.evidence.newest()
    ready = {entry for (_, entry), release in newest.items() if release.gate_passed}
    found = choices(filters, ready)
    shown = [entry for entry in found if filters.admits(entry)]
    answer = page(
        request,
        "models.html",
        filters=filters,
        tabs=tabs(filters, found),
        use_cases=list(catalog.tasks()),
        cards=cards(shown, newest, ready),
        models=sum(not entry.is_baseline for entry in shown),
        thresholds=THRESHOLDS,
        measured=bool(newest),
    )
    return addressed(answer, request, filters.address(), passing=request.headers.get("hx-source") == "input#q")


@router.get("/ui/models/{model_id}")
def show(request: Request, serving: Serving, model_id: str) -> HTMLResponse:
    """A model or baseline: its card, what was measured of it, its versions."""
    try:
        entry = catalog.entry(model_id)
    except UnknownName as error:
        return page(request, "model_missing.html", status=404, asked=model_id[:80], near=error.near)
    found, lost = readable(serving.evidence, serving.evidence.newest(entry=entry.id).values())
    shown = model_page(entry, found, ready=serving.evidence.ready())
    releases = serving.evidence.page(entry=entry.id, limit=VERSIONS + 1)
    roles = serving_now.roles(serving.deployments)
    return page(
        request,
        "model.html",
        model=shown,
        lost=lost,
        measured=measured_in(shown, found),
        losses=[one for one in shown.measurements if one.sentence in shown.measured_weaknesses],
        claims=claim_groups(shown.claims),
        knobs=knobs(shown.hyperparameters),
        thresholds=THRESHOLDS,
        versions=[version_of(release, roles) for release in releases[:VERSIONS]],
        more=len(releases) > VERSIONS,
    )
