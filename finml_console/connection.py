"""How the client asks: one connection, problem documents raised as the errors that they are, changes that may be sent again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from finml_models.core.errors import Conflict, DataError, FinmlError, ServiceFailed, UnknownName

from .schemas.problem import ProblemDocument

TRIES = 3
M = TypeVar("M", bound=BaseModel)


class ApiError(FinmlError):
    """A refusal; `problem` is what the server said."""

    def __init__(self, problem: ProblemDocument) -> None:
        fields = "".join(f"\n  {error.field}: {error.message}" for error in problem.errors[1:])
        self.problem = problem
        self.message = f"{problem.detail}{fields}"
        Exception.__init__(self, self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Made again from its document: it may cross a process border."""
        return type(self), (self.problem,)


class NotFound(ApiError, UnknownName):
    """404: an id that is not there."""

    def __init__(self, problem: ProblemDocument) -> None:
        ApiError.__init__(self, problem)
        self.near = list((problem.model_extra or {}).get("near", ()))


class Overtaken(ApiError, Conflict):
    """409: the present state does not allow it; of a deployment, what holds is in `problem`."""


class Refused(ApiError, DataError):
    """400, 413, 415, 422: a request that is not valid."""


class NotAllowed(ApiError):
    """401, 403, 421: a token that is missing or wrong, or a server that is asked under another name."""


class Unavailable(ApiError, ServiceFailed):
    """408, 429, 503: not now; the detail says what to do."""


KINDS: Mapping[int, type[ApiError]] = {
    400: Refused,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    408: Unavailable,
    409: Overtaken,
    413: Refused,
    415: Refused,
    421: NotAllowed,
    422: Refused,
    429: Unavailable,
    503: Unavailable,
}


class Connection:
    """A base of typed calls. Raises `ServiceFailed` where the server does not answer, and an `ApiError` where it refuses."""

    def __init__(self, url: str, *, token: str | None = None, actor: str | None = None, seconds: float = 30.0, http: httpx.Client | None = None) -> None:
        self.url = url
        # The environment's proxies are for elsewhere.
        self._http = http or httpx.Client(base_url=url, timeout=httpx.Timeout(seconds, connect=5.0), trust_env=False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if actor is not None:
            self._headers["X-Finml-Actor"] = actor

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _get(self, form: type[M], path: str, **query: Any) -> M:
        """Ask; what is None is not asked for."""
        return read(form, self._send("GET", path, params={name: value for name, value in query.items() if value is not None}))

    def _post(self, form: type[M], path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> M:
        """Ask for something that changes nothing, once."""
        return read(form, self._send("POST", path, json=dict(body), headers=dict(headers or {})))

    def _change(self, form: type[M], path: str, body: Mapping[str, Any], *, expected: int | None = None) -> M:
        """Change something, once however often it has to be sent: a connection that breaks does not say whether it was done."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} | ({} if expected is None else {"If-Match": f'"{expected}"'})
        for _ in range(TRIES - 1):
            try:
                return read(form, self._send("POST", path, json=dict(body), headers=headers))
            except Lost:
                continue
        return read(form, self._send("POST", path, json=dict(body), headers=headers))

    def _send(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, headers={**self._headers, **(headers or {})}, **request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise Lost(f"the connection to {self.url} broke during {method} {path}; look whether it still runs") from error
        except httpx.TimeoutException as error:
            raise ServiceFailed(f"{self.url} did not answer {method} {path} in time; look at its log") from error
        except httpx.TransportError as error:
            raise ServiceFailed(f"nothing answers at {self.url} ({error}); start it with: finml up") from error
        raise_refusal(response)
        return response


class Lost(ServiceFailed):
    """A connection that broke after a request was sent on it."""


def raise_refusal(response: httpx.Response) -> None:
    """Raise what a response refuses, as the error that it is."""
    if response.is_success:
        return
    try:
        problem = ProblemDocument.model_validate_json(response.content)
    except ValidationError:
        problem = ProblemDocument(title=response.reason_phrase, status=response.status_code, detail=f"status {response.status_code} without a reason")
    raise KINDS.get(response.status_code, ApiError)(problem)


def read(form: type[M], response: httpx.Response) -> M:
    """A response's document; raises `ServiceFailed` where server and client are of different versions."""
    try:
        return form.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceFailed(f"the answer is not the {form.__name__} of this version of finml ({error.error_count()} fields); update both to one") from error
