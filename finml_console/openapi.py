"""The OpenAPI document: FastAPI's, with every error as the problem document that it is."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .schemas.problem import MEDIA_TYPE, ProblemDocument

METHODS = ("get", "put", "post", "delete", "patch")


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs", {}) | {"ProblemDocument": problem}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": "where the server has a token"}}
        for path in document["paths"].values():
            for method in METHODS:
                if method in path:
                    _complete(method, path[method])
        app.openapi_schema = document
    return app.openapi_schema


def _complete(method: str, operation: dict[str, Any]) -> None:
    answer = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}}
    responses = operation["responses"]
    if "422" in responses:
        responses["422"] = {"description": "a field of the request is not valid", **answer}
    responses["503"] = {"description": "the ledger or another service that this needs is away; the detail says what to do", **answer}
    responses["default"] = {"description": "any other refusal", **answer}
    if method != "get":
        operation["security"] = [{}, {"token": []}]
