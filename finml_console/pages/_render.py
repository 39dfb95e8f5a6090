"""Pages from templates: what every template may call, and how an error looks to somebody who reads it in a browser."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from finml_console import assets
from finml_console.problems import Problem
from finml_models.core import catalog

from . import _figures

PREFIX = "/ui"
SECTIONS = ("models", "intelligence", "train", "compare", "deployments", "monitoring")
"""What the navigation shows, in its order; each is the page `/ui/<name>`."""

environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
environment.filters |= {
    "number": _figures.number,
    "percent": _figures.percent,
    "signed_percent": _figures.signed_percent,
    "seconds": _figures.seconds,
    "megabytes": _figures.megabytes,
    "milliseconds": _figures.milliseconds,
    "words": _figures.words,
    "iso": datetime.isoformat,
}


def page(request: Request, template: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A template as an answer. It is given the request, and `section`, by which the navigation marks where one is."""
    section = request.url.path.removeprefix(f"{PREFIX}/").partition("/")[0]
    return HTMLResponse(environment.get_template(template).render(request=request, section=section, **context), status)


def answer(request: Request, refused: Problem) -> Response:
    """An error: under the console as a page, or as the part of one that htmx asked for; elsewhere as a document."""
    if not request.url.path.startswith(f"{PREFIX}/"):
        return refused.response()
    template = "part_problem.html" if "hx-request" in request.headers else "problem.html"
    shown = page(request, template, status=refused.status, problem=refused.document())
    shown.headers.update(refused.headers)
    return shown


def task_name(task_id: str) -> str:
    """The name of a use case."""
    return catalog.task(task_id).name


def entry_name(entry_id: str) -> str:
    """The name of a model or baseline."""
    return catalog.entry(entry_id).card.name


environment.globals |= {
    "sections": SECTIONS,
    "asset": assets.address,
    "task_name": task_name,
    "entry_name": entry_name,
    "whisker": _figures.whisker,
    "status_phrase": lambda status: HTTPStatus(status).phrase,
}
