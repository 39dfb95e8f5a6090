"""Errors as RFC 9457 documents: what the caller can act on is said, everything else is for the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from finml_models.core.errors import (
    Conflict,
    CorruptArtifact,
    DataError,
    FinmlError,
    LeaseHeld,
    LedgerUnavailable,
    NotBuilt,
    NotExplained,
    NotFitted,
    ServiceFailed,
    UnknownName,
)

from .schemas.problem import MEDIA_TYPE, FieldError, ProblemDocument

MOST_ERRORS = 20
LONGEST_TEXT = 300
LONGEST_DETAIL = 1500
RETRY_SECONDS = 5
STATUS: Mapping[type[FinmlError], int] = {
    UnknownName: 404,
    Conflict: 409,
    NotBuilt: 409,
    NotExplained: 409,
    NotFitted: 409,
    LeaseHeld: 409,
    DataError: 422,
    CorruptArtifact: 503,
    LedgerUnavailable: 503,
    ServiceFailed: 503,
}
"""By the nearest class; an error that a user can act on and that stands nowhere here is a 422."""
log = logging.getLogger("finml.console")


class Problem(Exception):
    """An error that is answered with its status, a sentence, and further members of the document."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def document(self) -> ProblemDocument:
        """The body of the answer."""
        return ProblemDocument(title=HTTPStatus(self.status).phrase, status=self.status, detail=_short(self.detail, LONGEST_DETAIL), **self.members)

    def response(self) -> JSONResponse:
        """The whole answer."""
        headers = {"Retry-After": str(RETRY_SECONDS), **self.headers} if self.status == 503 else self.headers
        return AsciiJSON(self.document().model_dump(mode="json"), self.status, headers, MEDIA_TYPE)


class AsciiJSON(JSONResponse):
    """JSON whose every character is ASCII: half a surrogate pair in a client's text would otherwise fail to encode."""

    def render(self, content: object) -> bytes:
        """Encode with escapes; raises `ValueError` on NaN."""
        return json.dumps(content, allow_nan=False).encode("ascii")


def of(error: FinmlError) -> Problem:
    """The problem that an error of ours is answered with."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 422)
    members: dict[str, Any] = {"near": error.near} if isinstance(error, UnknownName) else {}
    return Problem(status, str(error), **members)


def invalid(errors: Sequence[Any]) -> Problem:
    """The problem of a request that pydantic refused: a 400 where it is not JSON at all, else a 422 with the paths of the fields."""
    broken = any(error["type"] == "json_invalid" for error in errors)
    fields = [FieldError(field=_short(".".join(map(str, error["loc"]))), message=_short(error["msg"])) for error in errors[:MOST_ERRORS]]
    count = f"{len(errors)} field{'s are' if len(errors) > 1 else ' is'} not valid"
    first = f": {fields[0].field}: {fields[0].message}" if fields else ""
    return Problem(400 if broken else 422, "the body is not JSON" if broken else f"{count}{first}", errors=fields)


def unexpected(error: Exception, method: str, path: str) -> Problem:
    """The problem of a fault of ours: logged with its traceback, answered without."""
    log.error("%s %s failed", method, ascii(path), exc_info=error)
    return Problem(500, "the request failed for a reason that is ours; the log says why")


def install(app: FastAPI, *, answer: Callable[[Request, Problem], Response] = lambda _request, problem: problem.response()) -> None:
    """Answer every error of an application by `answer`: as a problem document, unless whoever asks reads pages."""

    async def own(request: Request, error: Exception) -> Response:
        return answer(request, error if isinstance(error, Problem) else of(error))  # type: ignore[arg-type]

    async def refused(request: Request, error: Exception) -> Response:
        return answer(request, invalid(error.errors()))  # type: ignore[attr-defined]

    async def http(request: Request, error: Exception) -> Response:
        status, headers = error.status_code, error.headers  # type: ignore[attr-defined]
        said = {404: f"there is nothing at {_short(request.url.path)}; /openapi.json lists what there is", 405: f"{request.method} is not allowed here"}
        return answer(request, Problem(status, said.get(status, str(error.detail)), headers=headers))  # type: ignore[attr-defined]

    async def last(request: Request, error: Exception) -> Response:
        return answer(request, unexpected(error, request.method, request.url.path))

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(FinmlError, own)
    app.add_exception_handler(RequestValidationError, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, last)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems; every route may be refused as the document's `default` says."""
    reference = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: reference}} for status in statuses}


def _short(text: str, most: int = LONGEST_TEXT) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
