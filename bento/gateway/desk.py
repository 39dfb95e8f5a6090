"""Where requests are answered: one version each, within a time, logged; the shadow looks on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bento.problem import Problem, invalid
from finml_models.core import catalog
from finml_models.core.asking import ReadAsColumns
from finml_models.core.errors import ServiceFailed

from .held import SMALL_BYTES, Answering, Asked, Local, Question, on
from .pool import Pool, Version
from .routing import Route, key_of
from .writer import Pending, Writer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from finml_ledger.deployments import Role, Slot
    from finml_ledger.ledger import Clock

    from .metrics import Metrics
    from .settings import Settings
    from .switchboard import Switchboard

LONGEST_KEY = 256
MOST_SECONDS = 0.05
"""Processor time of a small request after which a version is not quick, whatever it was when it was loaded."""
log = logging.getLogger("finml.gateway")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way to a version: who it is, by which route, since when, and until when by the event loop's clock."""

    id: str
    version: Version
    role: Role
    key: str
    revision: int
    asked: Asked
    began: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A version's answer as it goes out."""

    content: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        length = (b"content-length", b"%d" % len(self.content))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), length, *self.headers]})
        await send({"type": "http.response.body", "body": self.content})


class Desk:
    """Answers requests in the order in which they come: small ones that a version is quick to answer at once, the others on one thread
    for predictions and one for each of explanations and shadows."""

    def __init__(self, board: Switchboard, pool: Pool[Answering], writer: Writer, metrics: Metrics, settings: Settings, clock: Clock) -> None:
        self.waiting = 0
        self._board = board
        self._pool = pool
        self._writer = writer
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._threads: dict[Any, ThreadPoolExecutor] = {name: ThreadPoolExecutor(1, f"finml-{name}") for name in ("predict", "explain", "shadow")}
        self._shadows: set[asyncio.Task[None]] = set()
        self._slow: set[Version] = set()
        # Names of predictions, no secrets: a system call each would cost more.
        self._random = random.Random()  # noqa: S311

    async def answer(self, question: Question, task: str, body: bytes, header: str | None) -> Answer:
        """The answer of the version that this request belongs to. Raises `Problem`."""
        if self.waiting >= self._settings.waiting:
            raise Problem(429, f"{self.waiting} requests wait for their answers already; send this one again later", headers={"Retry-After": "1"})
        if header is not None and not (0 < len(header) <= LONGEST_KEY):
            raise Problem(422, f"X-Finml-Key has {len(header)} characters; send 1 to {LONGEST_KEY}, or none to be known by the request's entity")
        self.waiting += 1
        try:
            return await self._answer(question, task, body, header)
        finally:
            self.waiting -= 1

    async def stop(self) -> None:
        """Give up what the shadow has not answered."""
        for shadow in self._shadows:
            shadow.cancel()
        await asyncio.gather(*self._shadows, return_exceptions=True)

    async def _answer(self, question: Question, task: str, body: bytes, header: str | None) -> Answer:
        began, deadline = time.perf_counter(), self._deadline()
        # The route is the one that holds when the request comes, whatever is promoted meanwhile.
        route = self._board.table.route(task)
        if route.champion is None:
            raise Problem(409, f"nothing is deployed for {task}; deploy a version that passed its gate")
        asked, key = await self._read(task, body, header, deadline)
        role, slot = route.choose(key) or ("champion", route.champion)
        sent = Sent(self._id(), Version.of(task, slot), role, key, route.revision, asked, began, deadline)
        content = await self._sent(question, sent)
        if question == "predict":
            self._show_shadow(route, sent)
        told = _told(slot, role)
        return Answer(content, (*told, (b"x-finml-prediction", sent.id.encode())) if question == "predict" else told)

    async def _read(self, task: str, body: bytes, header: str | None, deadline: float) -> tuple[Asked, str]:
        # To change threads costs what a small body does.
        if len(body) <= SMALL_BYTES:
            return _read(task, body, header)
        try:
            async with asyncio.timeout_at(deadline):
                return await on(self._threads["predict"], lambda: _read(task, body, header))
        except TimeoutError as error:
            raise Problem(504, f"nothing could be answered within {self._settings.seconds:g} seconds") from error

    async def _sent(self, question: Question, sent: Sent) -> bytes:
        """The version's answer, recorded whether it is one or not."""
        try:
            held = self._pool.here(sent.version)
            if isinstance(held, Local) and self._at_once(question, sent, held):
                # All that came at the same time are counted before the first of them is answered.
                await asyncio.sleep(0)
                content = self._now(sent, held)
            else:
                async with asyncio.timeout_at(sent.deadline):
                    held = held or await self._pool.get(sent.version)
                    content = await held.answer(question, sent.asked, self._threads["shadow" if sent.role == "shadow" else question])
        except TimeoutError as error:
            problem = Problem(504, f"{sent.version} did not answer within {self._settings.seconds:g} seconds")
            self._record(question, sent, problem)
            raise problem from error
        except ServiceFailed as error:
            problem = Problem(503, str(error))
            self._record(question, sent, problem)
            raise problem from error
        except Problem as problem:
            self._record(question, sent, problem)
            raise
        except Exception:
            self._record(question, sent, Problem(500, "the version failed on this request; the gateway's log says why"))
            raise
        self._record(question, sent, content)
        return content

    def _id(self) -> str:
        """Ascending in time, as UUIDs of version 7 are: an index of the log then grows at its end, instead of everywhere."""
        return f"{time.time_ns() // 1_000_000:012x}{self._random.getrandbits(80):020x}"

    def _at_once(self, question: Question, sent: Sent, held: Local) -> bool:
        """Whether the event loop can wait for this answer: to change threads would take as long."""
        return held.quick and question == "predict" and sent.role != "shadow" and sent.asked.small and sent.version not in self._slow

    def _now(self, sent: Sent, held: Local) -> bytes:
        began = time.thread_time()
        try:
            return held.now("predict", sent.asked.request)
        finally:
            if (seconds := time.thread_time() - began) > MOST_SECONDS:
                log.warning("%s took %.0f ms for a small request; it answers on a thread from now on", sent.version, seconds * 1e3)
                self._slow.add(sent.version)

    def _record(self, question: Question, sent: Sent, outcome: bytes | Problem) -> None:
        status, answer, error = (200, outcome, None) if isinstance(outcome, bytes) else (outcome.document.status, None, outcome.document.detail)
        seconds = time.perf_counter() - sent.began
        self._metrics.answered(sent.version, sent.role, status)
        if question == "explain":
            return
        self._metrics.took(sent.version, sent.role, seconds)
        plain = isinstance(sent.asked.request, ReadAsColumns) and (answer is None or isinstance(self._pool.here(sent.version), Local))
        took, at = seconds * 1e3, self._clock()
        self._writer.put(Pending(sent.id, sent.version, sent.role, sent.key, sent.revision, status, took, sent.asked.body, answer, error, at, plain))

    def _show_shadow(self, route: Route, sent: Sent) -> None:
        if route.shadow is None:
            return
        if len(self._shadows) >= self._settings.shadows:
            self._metrics.shadows_dropped.labels(task=route.task).inc()
            return
        version, began = Version.of(route.task, route.shadow), time.perf_counter()
        shown = Sent(self._id(), version, "shadow", sent.key, route.revision, sent.asked, began, self._deadline())
        task = asyncio.create_task(self._shadowed(shown))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.seconds

    async def _shadowed(self, shown: Sent) -> None:
        try:
            await self._sent("predict", shown)
        except Problem:
            # Recorded, and no client waits for it.
            return
        except Exception:
            log.exception("the shadow %s failed", shown.version)


def _read(task: str, body: bytes, header: str | None) -> tuple[Asked, str]:
    use_case = catalog.task(task)
    try:
        request = use_case.read(body)
    except ValidationError as error:
        raise invalid(error) from error
    return Asked(request, body), key_of(use_case, request, header)


@lru_cache(maxsize=256)
def _told(slot: Slot, role: Role) -> tuple[tuple[bytes, bytes], ...]:
    told = {"X-Finml-Version": slot.version, "X-Finml-Entry": slot.entry, "X-Finml-Role": role}
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in told.items())
