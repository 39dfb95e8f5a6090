"""The service's own routes over one artifact: predict, explain, metadata, openapi and a plain page."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from finml_models.core import catalog, explained, serving
from finml_models.core.errors import DataError, NotExplained

from .problem import MEDIA_TYPE, AsciiJSON, Problem, ProblemDocument, invalid

if TYPE_CHECKING:
    from finml_models.core.artifact import Artifact
    from finml_models.core.task import Task

PROBLEMS = {400: "the body is not JSON", 408: "the body came too slowly", 413: "the body is too large", 415: "not plain JSON", 422: "rows that are refused"}

UNEXPLAINED = {409: "this model explains nothing; the detail names models that do"}


class Api:
    """The routes. A router without error pages of its own: what goes wrong is for the `Guard` around it."""

    artifact: Artifact
    """Set before the first request."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self.router = Router(
            [
                Route("/", self.page),
                Route("/predict", self.predict, methods=["POST"]),
                Route("/explain", self.explain, methods=["POST"]),
                Route("/openapi.json", self.openapi),
                Route("/metadata", self.metadata),
            ]
        )

    async def predict(self, request: Request) -> Response:
        """Raw rows in, predictions out. The work is done right here: it takes milliseconds, and one process has one core."""
        rows = await self._rows(request)
        with refusals():
            answer = serving.answer(self.artifact, rows)
        return AsciiJSON(answer.model_dump(mode="json"))

    async def explain(self, request: Request) -> Response:
        """The same rows in, explanations out; one at a time and in a thread, because a network's takes seconds and predictions go on."""
        rows = await self._rows(request)
        with refusals():
            async with self._one_at_a_time:
                answer = await run_in_threadpool(explained.explain, self.artifact, rows)
        return AsciiJSON(answer.model_dump(mode="json"))

    async def _rows(self, request: Request) -> BaseModel:
        try:
            return catalog.task(self.artifact.record.task).read(await request.body())
        except ValidationError as error:
            raise invalid(error) from error

    async def metadata(self, _request: Request) -> Response:
        """What answers here: task, entry, version, signature and the id of the fingerprint."""
        record = self.artifact.record
        return AsciiJSON(
            {
                "task": record.task,
                "entry": record.entry,
                "version": self.artifact.version,
                "fingerprint_id": record.fingerprint.get("id"),
                "signature": record.signature.model_dump(mode="json"),
                "hyperparameters": record.hyperparameters,
            }
        )

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI 3.1 document, from the task's own request and response."""
        return AsciiJSON(describe(self.artifact))

    async def page(self, _request: Request) -> Response:
        """A plain page; nothing on it comes from elsewhere."""
        task = catalog.task(self.artifact.record.task)
        title = f"{escape(task.name)} by {escape(self.artifact.record.entry)}"
        return HTMLResponse(
            f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>{title}</h1><p>{escape(task.description)}</p>
<p>Version <code>{escape(self.artifact.version)}</code>. Send rows to <code>POST /predict</code>, and to
<code>POST /explain</code> to learn why.</p>
<ul><li><a href="openapi.json">openapi.json</a></li><li><a href="metadata">metadata</a></li><li><a href="metrics">metrics</a></li></ul></html>"""
        )


@contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with a valid request, or with this model for it, as a problem."""
    try:
        yield
    except NotExplained as error:
        raise Problem(409, str(error)) from error
    except DataError as error:
        raise Problem(422, str(error)) from error
    except ValidationError as error:
        # The request is valid by now: what is refused here is an answer with NaN or infinity in it.
        raise Problem(422, "these rows lead to an answer that is not finite; check their size and unit") from error


def describe(artifact: Artifact) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an artifact's service."""
    task = catalog.task(artifact.record.task)
    schemas, definitions = schemas_of([task])
    paths = {f"/{name}": {"post": operation} for name, operation in operations(task, schemas).items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{task.name}: {artifact.record.entry}", "version": artifact.version, "description": task.description},
        "paths": {
            **paths,
            "/metadata": {"get": {"operationId": "metadata", "summary": "What answers here", "responses": {"200": {"description": "task, entry, version"}}}},
        },
        "components": {"schemas": definitions},
    }


Schemas = Mapping[type[BaseModel], dict[str, Any]]
"""A reference to the schema of each model."""


def schemas_of(tasks: Collection[type[Task]], *others: type[BaseModel]) -> tuple[Schemas, dict[str, Any]]:
    """References to the schemas of what these tasks are asked and answer, of what explains them, of problems and of others, and the schemas."""
    asked = [task.request for task in tasks]
    answered = [*(task.response for task in tasks), explained.ExplainResponse, ProblemDocument, *others]
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    wanted += [(model, "validation") for model in asked]
    wanted += [(model, "serialization") for model in answered]
    names, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    return {model: names[model, mode] for model, mode in wanted}, definitions["$defs"]


def operations(task: type[Task], schemas: Schemas, also: Mapping[int, str] = {}, suffix: str = "") -> dict[str, dict[str, Any]]:
    """The OpenAPI operations `predict` and `explain` of a use case; `also` holds further statuses that are answered with a problem."""
    asked = {"required": True, "content": {"application/json": {"schema": schemas[task.request]}}}
    said = {"predict": PROBLEMS | dict(also), "explain": UNEXPLAINED | PROBLEMS | dict(also)}
    told = {
        "predict": ("Raw rows in, predictions out", "predictions", task.response),
        "explain": (f"The same rows in, explanations of at most {explained.MOST_ROWS} entities out", "explanations", explained.ExplainResponse),
    }
    return {
        name: {
            "operationId": f"{name}{suffix}",
            "summary": summary,
            "requestBody": asked,
            "responses": {
                "200": {"description": noun, "content": {"application/json": {"schema": schemas[response]}}},
                **{str(status): problem(text, schemas) for status, text in said[name].items()},
            },
        }
        for name, (summary, noun, response) in told.items()
    }


def problem(text: str, schemas: Schemas) -> dict[str, Any]:
    """The OpenAPI response of a problem."""
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schemas[ProblemDocument]}}}
