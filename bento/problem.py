"""Errors as RFC 9457 documents, and nothing else about them: no traceback, no echo of what the client sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
LONGEST_TEXT = 300
LONGEST_DETAIL = 1000


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str = Field(description="path of the field, such as rows.0.close")
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field("about:blank", description="the status says which kind of problem it is")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list, description=f"the first {MOST_ERRORS} fields that are wrong")


class Problem(Exception):
    """An error that is answered with its status, a sentence and the fields it is about."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.document = ProblemDocument(title=HTTPStatus(status).phrase, status=status, detail=_short(detail, LONGEST_DETAIL), errors=list(errors))
        self.headers = headers

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        # ASCII only: half a surrogate pair in a field's name would otherwise fail to encode.
        return AsciiJSON(self.document.model_dump(), self.document.status, self.headers, MEDIA_TYPE)


class AsciiJSON(JSONResponse):
    """JSON whose every character is ASCII."""

    def render(self, content: object) -> bytes:
        """Encode with escapes; raises `ValueError` on NaN."""
        import json

        return json.dumps(content, allow_nan=False).encode("ascii")


def invalid(error: ValidationError) -> Problem:
    """400 for a body that is not JSON, 422 for JSON that the request's schema refuses."""
    if error.error_count() > 1000:
        return Problem(422, f"{error.error_count()} fields of the request are wrong; compare one row with /openapi.json")
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem(400, _short(found[0]["msg"]))
    errors = [FieldError(field=_short(".".join(map(str, e["loc"]))) or "(body)", message=_short(e["msg"])) for e in found[:MOST_ERRORS]]
    return Problem(422, f"{len(found)} field(s) of the request are wrong", errors)


def _short(text: str, longest: int = LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
