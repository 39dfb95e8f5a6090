"""What serves: all use cases at a glance, one of them with everything that can be changed, its history, its experiment, and asking it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from finml_console.routes._inputs import Serving
from finml_console.routes.monitoring import Watching
from finml_console.schemas.strict import Cursor, UseCaseId
from finml_console.services.examples import example_of
from finml_ledger.experiments import Experiment
from finml_models.core import catalog
from finml_models.core.errors import FinmlError

from ._deployments import Up, history, name_of, use_of, uses, why
from ._render import PREFIX, page

router = APIRouter(prefix=f"{PREFIX}/deployments", include_in_schema=False)
ROWS = 10
"""Changes a page of the history."""


@router.get("")
def deployments(request: Request, serving: Serving, up: Up) -> HTMLResponse:
    """What serves each use case."""
    return page(request, "deployments.html", uses=uses(serving), up=up, gateway=serving.gateway.url, name_of=name_of, why=why)


@router.get("/{use_case}")
def deployment(request: Request, serving: Serving, up: Up, use_case: UseCaseId) -> HTMLResponse:
    """What serves a use case, and all that can be done about it."""
    use = use_of(serving, use_case)
    rows, older = history(serving, use.id, None, ROWS)
    words: dict[str, Any] = {"name_of": name_of, "why": why, "task": catalog.task(use_case), "gateway": serving.gateway.url}
    return page(request, "deployment.html", use=use, use_case=use.id, up=up, rows=rows, older=older, **words)


@router.get("/{use_case}/experiment")
def experiment(request: Request, watching: Watching, use_case: UseCaseId) -> HTMLResponse:
    """The A/B test that runs, or why there is none."""
    found = watching.experiment(use_case)
    return page(request, "part_experiment.html", one=found, chart=_path(found), name_of=name_of)


@router.get("/{use_case}/history")
def older(request: Request, serving: Serving, use_case: UseCaseId, before: Annotated[Cursor | None, Query()] = None) -> HTMLResponse:
    """A page of the history."""
    rows, following = history(serving, catalog.task(use_case).id(), None if before is None else int(before), ROWS)
    return page(request, "part_history.html", use_case=use_case, rows=rows, older=following, name_of=name_of)


@router.get("/{use_case}/at")
def at(request: Request, serving: Serving, use_case: UseCaseId, moment: Annotated[datetime, Query(description="UTC where it names no zone")]) -> HTMLResponse:
    """What served at a moment."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return page(request, "part_at.html", moment=aware, held=serving.deployments.at(catalog.task(use_case).id(), aware), name_of=name_of)


@router.get("/{use_case}/example")
def example(request: Request, serving: Serving, use_case: UseCaseId) -> HTMLResponse:
    """A request that the use case could be asked, for the box that asks it."""
    champion = serving.deployments.now(catalog.task(use_case).id()).state.champion
    try:
        made = example_of(serving.ledger, use_case, champion)
    except FinmlError as error:
        return page(request, "part_example.html", text="", source="", trouble=str(error))
    return page(request, "part_example.html", text=laid_out(made.request), source=made.source, trouble=None)


def laid_out(request: dict[str, object]) -> str:
    """A request as JSON with one row a line."""
    rows = request.get("rows")
    if not isinstance(rows, list):
        return json.dumps(request, indent=1)
    rest = {name: value for name, value in request.items() if name != "rows"}
    head = "".join(f"{json.dumps(name)}: {json.dumps(value)}, " for name, value in rest.items())
    return f'{{{head}"rows": [\n' + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]}"


def _path(found: Experiment) -> dict[str, object] | None:
    """The confidence sequence as it came about; None before it has two points."""
    if found.comparison is None or len(found.comparison.path) < 2:
        return None
    points = found.comparison.path
    return {
        "x": [point.units for point in points],
        "x_label": found.comparison.unit,
        "series": [
            {"label": "difference", "values": [point.difference for point in points], "tone": "accent"},
            {"label": "low", "values": [point.low for point in points], "tone": "strong", "dash": True},
            {"label": "high", "values": [point.high for point in points], "tone": "strong", "dash": True},
            {"label": "no difference", "values": [0] * len(points), "tone": "warn"},
        ],
        "bands": [{"low": 2, "high": 3, "tone": "accent"}],
    }
