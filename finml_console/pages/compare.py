"""Several models of a use case side by side, and every use case × model in one matrix."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from finml_console.routes._inputs import Serving, one_of
from finml_console.services import Services
from finml_console.views import serving_now
from finml_console.views.catalogue import cells, recommendation
from finml_console.views.versions import comparison
from finml_models.core import catalog
from finml_models.core.spec import THRESHOLDS

from ._browsing import addressed
from ._comparing import Horizon, horizons_of, measured_on, offers, side_by_side
from ._matrix import families, grid
from ._reading import readable
from ._render import page

LISTED = 200
"""Of the releases of a use case, how many are offered."""

router = APIRouter(include_in_schema=False)


@router.get("/ui/compare")
def compare(
    request: Request,
    serving: Serving,
    use_case: Annotated[str, Query(max_length=64)] = "",
    pick: Annotated[list[str] | None, Query(max_length=60, description="as the REST route has it; a blank one alone stands for none")] = None,
    horizon: Annotated[str, Query(max_length=8)] = "all",
) -> HTMLResponse:
    """The versions that were picked, by default the newest of each; without a use case the matrix of all of them."""
    one_of("use_case", use_case or None, list(catalog.tasks()))
    picked = None if pick is None else [name for name in pick if name]
    answer = _side(request, serving, use_case, picked, horizon) if use_case else _matrix(request, serving)
    query = [("use_case", use_case), *([("horizon", horizon)] if horizon != "all" else []), *(("pick", name) for name in picked or ([""] if pick else []))]
    return addressed(answer, request, f"/ui/compare?{urlencode(query)}" if use_case else "/ui/compare")


def _side(request: Request, serving: Services, use_case: str, picked: list[str] | None, horizon: str) -> HTMLResponse:
    evidence = serving.evidence
    found, lost = readable(evidence, evidence.newest(use_case).values())
    ranking = None if lost else recommendation(evidence, use_case)
    if picked is not None:
        found = evidence.picked(use_case, picked)
    releases = [release for release in evidence.page(task=use_case, limit=LISTED) if release.report is not None]
    chosen = {judged.release.entry for judged in found} if picked is None else set(picked)
    horizons = horizons_of(found)
    at: Horizon = next((one for one in horizons if str(one) == horizon), "all")
    compared = comparison(use_case, found)
    return page(
        request,
        "compare.html",
        use_case=use_case,
        use_cases=list(catalog.tasks()),
        offers=offers(releases, chosen),
        horizons=horizons,
        horizon=at,
        compared=compared,
        side=side_by_side(found, compared, at),
        data=measured_on(found),
        ranking=ranking,
        lost=lost,
        thresholds=THRESHOLDS,
    )


def _matrix(request: Request, serving: Services) -> HTMLResponse:
    newest, columns = serving.evidence.newest(), families()
    found = cells(newest, serving_now.roles(serving.deployments))
    return page(
        request,
        "compare.html",
        use_case="",
        use_cases=list(catalog.tasks()),
        families=columns,
        starts=list(accumulate((len(names) for _, names in columns[:-1]), initial=0)),
        rows=grid(found, newest, serving.evidence),
        measured=bool(newest),
    )
