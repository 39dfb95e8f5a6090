"""How what serves does: all use cases at a glance, and one with its series, drift, realised quality, alarms and the way to retrain."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from finml_console.routes._inputs import Serving, one_of
from finml_console.routes.monitoring import Watching
from finml_console.schemas.strict import UseCaseId
from finml_models.core import catalog

from ._deployments import name_of
from ._monitoring import WINDOWS, again, age_of, ages, asked, by_version, course, lines, marks, notes, quantiles
from ._render import PREFIX, page

router = APIRouter(prefix=f"{PREFIX}/monitoring", include_in_schema=False)
ALARMS = 50


def _window(hours: Annotated[int, Query(description="how far back")] = 24) -> int:
    one_of("hours", str(hours), [str(length) for length in WINDOWS])
    return hours


Hours = Annotated[int, Depends(_window)]


@router.get("")
def monitoring(request: Request, serving: Serving, watching: Watching, hours: Hours) -> HTMLResponse:
    """Everything that is deployed, a row each; what is costly follows by itself."""
    served = [held.task for held in serving.deployments.all() if held.state.champion is not None]
    found = tuple((task, summary, asked(summary), lines(summary)) for task in catalog.tasks() if task in served for summary in [watching.summary(task, hours)])
    return page(request, "monitoring.html", found=found, hours=hours, windows=WINDOWS, age_of=age_of, idle=len(catalog.tasks()) - len(found))


@router.get("/{use_case}")
def monitored(request: Request, serving: Serving, watching: Watching, use_case: UseCaseId, hours: Hours) -> HTMLResponse:
    """One use case: traffic, latency, failures and freshness over time, and its alarms."""
    task, (_, step) = catalog.task(use_case), WINDOWS[hours]
    summary = watching.summary(use_case, hours)
    latency, freshness = watching.latency(use_case, hours, step), watching.freshness(use_case, hours, step)
    drawn = marks(serving, use_case, latency.since)
    champion = summary.roles.get("champion")
    charts = {
        "quantiles": quantiles(latency, champion, drawn) if champion else None,
        "p95": by_version(latency, lambda point: point.p95, drawn, "ms"),
        "errors": by_version(latency, lambda point: 100 * point.error_rate, drawn, "%"),
        "share": by_version(latency, lambda point: None if point.traffic is None else 100 * point.traffic, drawn, "%") | {"range": [0, 100]},
        "ages": ages(freshness, drawn),
    }
    context: dict[str, Any] = {"task": task, "summary": summary, "lines": lines(summary), "asked": asked(summary), "charts": charts, "champion": champion}
    context |= {"alarms": watching.alarms(use_case, None, ALARMS).items, "hours": hours, "windows": WINDOWS, "age_of": age_of, "name_of": name_of}
    release = serving.ledger.release(use_case, champion.entry, champion.version) if champion else None
    return page(request, "monitored.html", **context, use_case=use_case, again=again(serving, task, release) if release else None)


@router.get("/{use_case}/worst")
def worst(request: Request, watching: Watching, use_case: UseCaseId, hours: Hours) -> HTMLResponse:
    """The worst drift and the realised quality of the champion, for the row of a use case."""
    moved = next((one for one in watching.drift(use_case, hours).versions if one.role == "champion"), None)
    quality = next((one for one in watching.performance(use_case).versions if one.role == "champion"), None)
    return page(request, "part_worst.html", use_case=use_case, moved=moved, quality=quality)


@router.get("/{use_case}/drift")
def drift(request: Request, watching: Watching, use_case: UseCaseId, hours: Hours) -> HTMLResponse:
    """Drift by input of every version that serves."""
    return page(request, "part_drift.html", found=watching.drift(use_case, hours), name_of=name_of)


@router.get("/{use_case}/performance")
def performance(request: Request, serving: Serving, watching: Watching, use_case: UseCaseId) -> HTMLResponse:
    """The realised metric of every version that serves before what was promised."""
    found = watching.performance(use_case).versions
    courses = {one.role: course(one) for one in found}
    return page(request, "part_performance.html", found=found, courses=courses, notes=notes(serving, use_case, found), name_of=name_of, use_case=use_case)
