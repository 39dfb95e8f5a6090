"""A version that answers: an artifact in this process, or a served bento at an address that the operator gave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import httpx

from bento.api import refusals
from bento.problem import MEDIA_TYPE, Problem
from finml_models.core import explained, serving

if TYPE_CHECKING:
    from pydantic import BaseModel

    from finml_models.core.artifact import Artifact

Question = Literal["predict", "explain"]
SMALL_BYTES = 32 * 1024
"""Of a body that is read on the event loop, in some tenths of a millisecond."""
MOST_ANSWER_BYTES = 16 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A validated request, and the very bytes that it came as."""

    request: BaseModel
    body: bytes

    @property
    def small(self) -> bool:
        """Whether to change threads for it would cost as much as it does itself."""
        return len(self.body) <= SMALL_BYTES


class Answering(Protocol):
    """What answers a request as JSON; raises `Problem`."""

    @property
    def size(self) -> int: ...
    async def answer(self, question: Question, asked: Asked, threads: Executor) -> bytes:
        """The answer's JSON."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """An artifact in memory; `size` is that of its files in bytes. Answers on the threads that it is given.

    One that is `quick` predicts so fast that small requests are answered by `now` where they are read.
    """

    artifact: Artifact
    size: int
    quick: bool = False

    async def answer(self, question: Question, asked: Asked, threads: Executor) -> bytes:
        """The answer's JSON."""
        return await on(threads, lambda: self.now(question, asked.request))

    def now(self, question: Question, request: BaseModel) -> bytes:
        """The same, on this thread."""
        with refusals():
            # No answer holds NaN: the responses of all use cases refuse it when they are made.
            return {"predict": serving.answer, "explain": explained.explain}[question](self.artifact, request).model_dump_json().encode()


@dataclass(frozen=True, slots=True)
class Remote:
    """A served bento elsewhere. It must answer as the version that is deployed."""

    client: httpx.AsyncClient
    version: str
    size: int = 0

    async def answer(self, question: Question, asked: Asked, threads: Executor) -> bytes:
        """The remote's answer as it came. A refusal of the request passes on; any fault of the remote is a 502."""
        del threads
        answer = await self._send("POST", f"/{question}", asked.body)
        if answer.status_code in {409, 422} and answer.headers.get("content-type") == MEDIA_TYPE:
            raise Problem(answer.status_code, str(_document(answer).get("detail", "the remote service refuses these rows")))
        if answer.status_code != 200:
            raise Problem(502, f"the remote service answered {answer.status_code}; its log says why")
        self._check(_document(answer))
        return answer.content

    async def check(self) -> None:
        """Whether the remote is there and has the version; raises `Problem`."""
        answer = await self._send("GET", "/metadata")
        if answer.status_code != 200:
            raise Problem(502, f"the remote service answered {answer.status_code} to /metadata")
        self._check(_document(answer))

    def _check(self, document: dict[str, Any]) -> None:
        if (found := document.get("version")) != self.version:
            raise Problem(502, f"the remote service has version {found!s:.64}, not {self.version}; serve that bento there")

    async def _send(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        try:
            async with self.client.stream(method, path, content=body, headers={"content-type": "application/json"} if body else None) as answer:
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > MOST_ANSWER_BYTES:
                        raise Problem(502, f"the remote service's answer is larger than {MOST_ANSWER_BYTES} bytes")
                return httpx.Response(answer.status_code, headers={"content-type": answer.headers.get("content-type", "")}, content=bytes(content))
        except httpx.TransportError as error:
            raise Problem(
                502, f"the remote service did not answer ({type(error).__name__}); see that it runs at the address in the gateway's settings"
            ) from error


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError as error:
        raise Problem(502, "the remote service's answer is no JSON") from error
    return document if isinstance(document, dict) else {}


async def on(threads: Executor, work: Callable[[], T]) -> T:
    """Do some work on one of these threads."""
    return await asyncio.get_running_loop().run_in_executor(threads, work)
