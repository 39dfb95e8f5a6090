"""The gateway's OpenAPI 3.1 document: a typed path for each use case of the catalogue, deployed or not, so that clients stay as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bento.api import operations, problem, schemas_of
from finml_ledger.deployments import Role
from finml_models.core import catalog

from .routing import Condition

ROUTED = {
    409: "nothing is deployed for this use case",
    429: "too many requests wait; Retry-After says when to come again",
    502: "the remote service of this version failed",
    503: "the deployed version was not loaded; the detail says why",
    504: "no answer in time",
}
HEADERS = {"X-Finml-Version": "the version that answered", "X-Finml-Entry": "its model or baseline", "X-Finml-Role": "champion or challenger"}
PREDICTION = {"X-Finml-Prediction": "id of this prediction in the log"}
KEY = {
    "name": "X-Finml-Key",
    "in": "header",
    "required": False,
    "description": "who asks, so that a split of the traffic is the same for them every time; by default the request's entity, the first by name",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
}


class DeployedVersion(BaseModel):
    """A version with a role."""

    task: str
    entry: str
    version: str
    role: Role | Literal["previous"] = Field(description="previous is where a roll back leads; it answers nothing")
    share: float = Field(description="part of the traffic that it answers by the ledger")
    answers: bool = Field(description="whether it has that role here by now")
    condition: Condition
    failure: str | None = Field(None, description="why it could not be loaded")
    remote: bool = Field(description="whether it answers at an address that the operator set")
    revision: int = Field(description="of the deployment")
    since: datetime | None


class DeployedResponse(BaseModel):
    """What is deployed, by the ledger and here."""

    position: int = Field(description="of the ledger that this gateway has read")
    versions: list[DeployedVersion]


class PrepareRequest(BaseModel):
    """Which version to make ready."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["volatility_forecasting"])
    entry: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["gru"])
    version: str = Field(pattern=r"^[0-9a-f]{16}$", examples=["eee36cfdfb69f5d2"])


class PrepareResponse(BaseModel):
    """A version that is ready."""

    ready: Literal[True] = True
    milliseconds: float = Field(description="until it was")
    digest: str = Field(description="sha256 of its answer to the use case's probe, the same for the same version")


class RefreshResponse(BaseModel):
    """The ledger's position that was read."""

    position: int


def document(version: str) -> dict[str, Any]:
    """The whole document."""
    tasks = list(catalog.tasks().values())
    own = (DeployedResponse, PrepareResponse, RefreshResponse)
    schemas, definitions = schemas_of(tasks, *own)
    definitions["PrepareRequest"] = PrepareRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    paths: dict[str, Any] = {}
    for task in tasks:
        for name, operation in operations(task, schemas, ROUTED, f"_{task.id()}").items():
            told = HEADERS | PREDICTION if name == "predict" else HEADERS
            operation["tags"] = [task.id()]
            operation["parameters"] = [KEY]
            operation["responses"]["200"]["headers"] = {header: {"description": text, "schema": {"type": "string"}} for header, text in told.items()}
            paths[f"/{name}/{task.id()}"] = {"post": operation}

    def plain(name: str, summary: str, model: type[BaseModel], problems: dict[int, str], asked: str | None = None) -> dict[str, Any]:
        answers = {"200": {"description": summary, "content": {"application/json": {"schema": schemas[model]}}}}
        body = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{asked}"}}}}} if asked else {}
        return {
            "operationId": name,
            "summary": summary,
            **body,
            "responses": {**answers, **{str(status): problem(text, schemas) for status, text in problems.items()}},
        }

    paths["/deployed"] = {"get": plain("deployed", "What answers, by the ledger and here", DeployedResponse, {})}
    refused = {
        400: "the body is not JSON",
        404: "the ledger knows no such version",
        415: "not plain JSON",
        422: "fields that are refused",
        503: "it is not ready",
    }
    paths["/versions/prepare"] = {"post": plain("prepare", "Load a version and ask it once", PrepareResponse, refused, "PrepareRequest")}
    paths["/deployments/refresh"] = {"post": plain("refresh", "Read the ledger at once", RefreshResponse, {503: "the ledger is away"})}
    texts = {
        "/livez": "Whether the process answers",
        "/readyz": "Whether every champion is loaded, or known to fail",
        "/metrics": "Counts and latencies in Prometheus' text format",
    }
    for path, text in texts.items():
        answers = {"200": {"description": text, "content": {"text/plain": {}}}, **({"503": problem("not yet", schemas)} if path == "/readyz" else {})}
        paths[path] = {"get": {"operationId": path[1:], "summary": text, "responses": answers}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "finml gateway", "version": version, "description": "All deployed versions behind one port."},
        "paths": paths,
        "components": {"schemas": definitions},
    }
