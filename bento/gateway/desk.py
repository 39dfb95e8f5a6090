"""Where requests are answered: one version each, within a time, logged; the shadow looks on."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.responses import Response

from bento.problem import Problem, invalid
from finml_models.core import catalog
from finml_models.core.errors import ServiceFailed

from .held import Answering, Asked, Question, on
from .pool import Pool, Version
from .routing import Route, key_of
from .writer import Pending, Writer

if TYPE_CHECKING:
    from finml_ledger.deployments import Role
    from finml_ledger.ledger import Clock

    from .metrics import Metrics
    from .settings import Settings
    from .switchboard import Switchboard

LONGEST_KEY = 256
SMALL_BYTES = 32 * 1024
"""Of a body that is read on the event loop, in some tenths of a millisecond."""
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


class Desk:
    """Answers requests in the order in which they come, on one thread for predictions and one for each of explanations and shadows."""

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

    async def answer(self, question: Question, task: str, body: bytes, header: str | None) -> Response:
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

    async def _answer(self, question: Question, task: str, body: bytes, header: str | None) -> Response:
        began, deadline = time.perf_counter(), self._deadline()
        # The route is the one that holds when the request comes, whatever is promoted meanwhile.
        route = self._board.table.route(task)
        if route.champion is None:
            raise Problem(409, f"nothing is deployed for {task}; deploy a version that passed its gate")
        asked, key = await self._read(task, body, header, deadline)
        role, slot = route.choose(key) or ("champion", route.champion)
        sent = Sent(uuid.uuid4().hex, Version.of(task, slot), role, key, route.revision, asked, began, deadline)
        content = await self._sent(question, sent)
        if question == "predict":
            self._show_shadow(route, sent)
        headers = {"X-Finml-Version": slot.version, "X-Finml-Entry": slot.entry, "X-Finml-Role": role}
        if question == "predict":
            headers["X-Finml-Prediction"] = sent.id
        return Response(content, media_type="application/json", headers=headers)

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
            async with asyncio.timeout_at(sent.deadline):
                held = await self._pool.get(sent.version)
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

    def _record(self, question: Question, sent: Sent, outcome: bytes | Problem) -> None:
        status, answer, error = (200, outcome, None) if isinstance(outcome, bytes) else (outcome.document.status, None, outcome.document.detail)
        seconds = time.perf_counter() - sent.began
        who = {"task": sent.version.task, "entry": sent.version.entry, "version": sent.version.version, "role": sent.role}
        self._metrics.answers.labels(**who, status=status).inc()
        if question == "explain":
            return
        self._metrics.seconds.labels(**who).observe(seconds)
        self._writer.put(
            Pending(sent.id, sent.version, sent.role, sent.key, sent.revision, status, seconds * 1e3, sent.asked.body, answer, error, self._clock())
        )

    def _show_shadow(self, route: Route, sent: Sent) -> None:
        if route.shadow is None:
            return
        if len(self._shadows) >= self._settings.shadows:
            self._metrics.shadows_dropped.labels(task=route.task).inc()
            return
        version, began = Version.of(route.task, route.shadow), time.perf_counter()
        shown = Sent(uuid.uuid4().hex, version, "shadow", sent.key, route.revision, sent.asked, began, self._deadline())
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
        request = use_case.request.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error
    return Asked(request, body), key_of(use_case, request, header)
