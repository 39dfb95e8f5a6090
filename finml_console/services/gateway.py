"""The gateway over HTTP: predictions, explanations, and making versions ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from finml_console.problems import Problem
from finml_ledger import Role, Slot
from finml_models.core.errors import DataError, ServiceFailed

KEY = "X-Finml-Key"
PASSED_ON = ("Retry-After",)
PREPARE_SECONDS = 120.0
"""A version's first load may bring a whole library with it."""
CONNECT_SECONDS = 2.0
REMEDY = "start it with: finml up"

M = TypeVar("M", bound=BaseModel)


class Answered(BaseModel):
    """The gateway's answer, with who gave it."""

    model_config = ConfigDict(frozen=True)

    body: dict[str, Any]
    entry: str
    version: str
    role: Role | None = None
    prediction: str | None = None


class Prepared(BaseModel):
    """A version that is loaded and warm. `digest` is the sha256 of its answer to a fixed request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ready: bool
    milliseconds: float
    digest: str


class Gateway:
    """A client. Every method raises `ServiceFailed` where the gateway is away or fails, and passes a refusal on as a `Problem`."""

    def __init__(self, url: str, *, seconds: float = 20.0, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self._seconds = seconds
        # The environment's proxies are for elsewhere.
        self._client = httpx.AsyncClient(base_url=url, trust_env=False, transport=transport)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def predict(self, task: str, rows: Mapping[str, Any], *, key: str | None = None) -> Answered:
        """Ask a use case's deployment about raw rows; `key` is what the traffic split is sticky by."""
        return await self._ask("predict", task, rows, key)

    async def explain(self, task: str, rows: Mapping[str, Any], *, key: str | None = None) -> Answered:
        """Ask it why."""
        return await self._ask("explain", task, rows, key)

    async def prepare(self, task: str, slot: Slot) -> Prepared:
        """Load and warm a version; returns when it is ready."""
        wanted = {"task": task, "entry": slot.entry, "version": slot.version}
        response = await self._post("/versions/prepare", wanted, seconds=PREPARE_SECONDS)
        prepared = _read(Prepared, response)
        if not prepared.ready:
            raise ServiceFailed(f"the gateway says that {slot.entry}:{slot.version} is not ready for {task}; its log says why")
        return prepared

    async def refresh(self) -> None:
        """Let it read the ledger at once; it looks every 0.2 s by itself."""
        await self._post("/deployments/refresh", {})

    async def ready(self) -> bool:
        """Whether it answers that it is."""
        try:
            return (await self._client.get("/readyz", timeout=2.0)).status_code == 200
        except httpx.HTTPError:
            return False

    async def _ask(self, path: str, task: str, rows: Mapping[str, Any], key: str | None) -> Answered:
        response = await self._post(f"/{path}/{task}", rows, headers={KEY: key} if key else {})
        headers = response.headers
        return _read(
            Answered,
            response,
            wrapped={
                "entry": headers.get("x-finml-entry"),
                "version": headers.get("x-finml-version"),
                "role": headers.get("x-finml-role"),
                "prediction": headers.get("x-finml-prediction"),
            },
        )

    async def _post(self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, seconds: float | None = None) -> httpx.Response:
        try:
            # ASCII: half a surrogate pair in a client's text has no UTF-8.
            content = json.dumps(body, allow_nan=False).encode("ascii")
        except (ValueError, RecursionError) as error:
            raise DataError(f"input_data: it holds NaN, an infinity or too deep a nesting ({error}); send finite numbers in plain rows") from error
        try:
            given = {"Content-Type": "application/json", **(headers or {})}
            timeout = httpx.Timeout(seconds or self._seconds, connect=CONNECT_SECONDS)
            response = await self._sent(path, content=content, headers=given, timeout=timeout)
        except httpx.TimeoutException as error:
            raise ServiceFailed(f"the gateway at {self.url} did not answer {path} in time; look at its log, or {REMEDY}") from error
        except httpx.HTTPError as error:
            raise ServiceFailed(f"the gateway at {self.url} does not answer ({type(error).__name__}); {REMEDY}") from error
        if response.is_success:
            return response
        raise _refusal(response, path)

    async def _sent(self, path: str, **request: Any) -> httpx.Response:
        """Sent once more where the connection broke: a gateway that dies is replaced within seconds, and all that is asked of it may be asked twice."""
        try:
            return await self._client.post(path, **request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            return await self._client.post(path, **request)


def _refusal(response: httpx.Response, path: str) -> Exception:
    try:
        document = response.json()
        detail, errors = str(document["detail"]), document.get("errors", [])
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, errors = f"{path} gave status {response.status_code} without a reason", []
    if response.status_code >= 500:
        return ServiceFailed(f"the gateway failed: {detail}")
    headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
    return Problem(response.status_code, detail, headers=headers, errors=errors)


def _read(form: type[M], response: httpx.Response, wrapped: Mapping[str, Any] | None = None) -> M:
    """The answer as this model, or under `body` of it beside what is `wrapped` around."""
    try:
        body = response.json()
        return form.model_validate(body if wrapped is None else {"body": body, **wrapped})
    except (ValueError, ValidationError) as error:
        raise ServiceFailed("the gateway gave an answer that this version of finml does not understand; update both to one version") from error
