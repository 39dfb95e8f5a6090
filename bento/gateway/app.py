"""A gateway and its routes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as installed
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bento.guard import BODY
from bento.problem import AsciiJSON, Problem, invalid
from finml_ledger.predictions import PredictionLog
from finml_models.core import catalog
from finml_models.core.errors import LedgerUnavailable, ServiceFailed, UnknownName

from . import openapi
from .desk import Answer, Desk
from .held import Answering, on
from .loading import Loader, digest
from .metrics import MEDIA_TYPE, Metrics
from .pool import Pool, Version
from .routing import Condition
from .settings import Settings
from .switchboard import Switchboard
from .writer import Writer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from finml_ledger import Ledger
    from finml_ledger.deployments import Deployment

    from .held import Question

GET, POST = ("GET", "HEAD"), ("POST",)
READ, CHANGED = ("/deployed", "/openapi.json", "/metrics", "/livez", "/readyz"), ("/versions/prepare", "/deployments/refresh")
log = logging.getLogger("finml.gateway")


def addresses() -> dict[str, tuple[str, ...]]:
    """Every address of a gateway with its methods: each use case of the catalogue has two."""
    asked = [f"/{question}/{task}" for question in ("predict", "explain") for task in catalog.tasks()]
    return {**dict.fromkeys(READ, GET), **dict.fromkeys([*asked, *CHANGED], POST)}


class Gateway:
    """Everything that a gateway consists of. A router without error pages of its own: what goes wrong is for the `Guard` around it."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.metrics = Metrics()
        self.writer = Writer(PredictionLog(ledger), most=settings.log_waiting, most_bytes=settings.log_megabytes * 2**20, keep=settings.log_rows)
        self._settings = settings
        self._load = Loader.of(ledger, settings)
        self.pool: Pool[Answering] = Pool(self._load, most=settings.versions, most_bytes=settings.megabytes * 2**20, changed=self._loaded)
        self.board = Switchboard(ledger, self.pool, poll_seconds=settings.poll_seconds, retry_seconds=settings.retry_seconds)
        self.desk = Desk(self.board, self.pool, self.writer, self.metrics, settings, ledger.clock)
        self._watching: asyncio.Task[None] | None = None
        self._watch_numbers()

    async def start(self) -> None:
        """Read the ledger, and begin to follow it and to log. Raises `LedgerUnavailable`."""
        await self.board.refresh()
        self._watching = asyncio.create_task(self.board.watch())
        self.writer.start()

    async def stop(self) -> None:
        """Log what was answered, and let the ledger go."""
        if self._watching is not None:
            self._watching.cancel()
        await self.desk.stop()
        await asyncio.get_running_loop().run_in_executor(None, self.writer.stop)
        self.ledger.close()

    def check_ready(self) -> None:
        """Raises `Problem` while a champion is neither loaded nor known to fail; one that failed is that use case's matter alone."""
        if not self.board.ready:
            raise Problem(503, "deployed versions are being loaded", headers={"Retry-After": "1"})

    def deployed(self) -> openapi.DeployedResponse:
        """What the ledger has deployed, and how far it is here."""
        versions = [version for deployment in self.board.wanted for version in self._versions(deployment)]
        return openapi.DeployedResponse(position=self.board.table.position, versions=versions)

    async def prepare(self, wanted: openapi.PrepareRequest) -> openapi.PrepareResponse:
        """Load a version that the ledger knows. Raises `UnknownName`, `ServiceFailed` and `Problem`."""
        began = time.perf_counter()
        version = Version(wanted.task, wanted.entry, wanted.version)
        catalog.task(version.task)
        await on(self._load.thread, lambda: self.ledger.release(version.task, version.entry, version.version))
        held = await self.pool.again(version)
        found = await digest(held, version.task, self._load.thread)
        return openapi.PrepareResponse(milliseconds=(time.perf_counter() - began) * 1e3, digest=found)

    @cached_property
    def document(self) -> bytes:
        """The OpenAPI document."""
        return json.dumps(openapi.document(installed("finml"))).encode()

    def _versions(self, deployment: Deployment) -> Iterator[openapi.DeployedVersion]:
        state, route = deployment.state, self.board.table.route(deployment.task)
        shares = {"champion": 1 - state.share, "challenger": state.share}
        here = {"champion": route.champion, "challenger": route.challenger, "shadow": route.shadow}
        roles = [*state.roles().items(), *((("previous", state.previous),) if state.previous and state.previous not in state.roles().values() else ())]
        for role, slot in roles:
            version = Version.of(deployment.task, slot)
            yield openapi.DeployedVersion(
                task=deployment.task,
                entry=slot.entry,
                version=slot.version,
                role=role,
                share=shares.get(role, 0.0),
                answers=here.get(role) == slot and self.pool.condition(version) is Condition.READY,
                condition=self.pool.condition(version),
                failure=self.pool.failure(version),
                remote=f"{deployment.task}-{slot.entry}" in self._settings.remotes,
                revision=deployment.revision,
                since=deployment.at,
            )

    def _loaded(self, version: Version) -> None:
        outcome = "failed" if self.pool.failure(version) else "loaded"
        self.metrics.loads.labels(task=version.task, entry=version.entry, version=version.version, outcome=outcome).inc()
        self.board.settle()

    def _watch_numbers(self) -> None:
        watch = self.metrics.watch
        watch("waiting", "requests that wait for their answer", lambda: self.desk.waiting)
        watch("loaded_versions", "versions in memory", lambda: len(self.pool))
        watch("loaded_bytes", "size of their artifacts", lambda: self.pool.size)
        watch("log_waiting", "predictions that wait to be logged", lambda: len(self.writer))
        watch("log_written", "predictions that were logged since the start", lambda: self.writer.written)
        watch("log_dropped", "predictions that were not logged for want of room", lambda: self.writer.dropped)
        watch("position", "of the ledger's deployments", lambda: self.board.table.position)


class Api:
    """The routes of a gateway, which is set before the first request. Stands right behind the `Guard`, which lets `addresses` pass alone."""

    gateway: Gateway

    def __init__(self) -> None:
        questions: tuple[Question, ...] = ("predict", "explain")
        self._asked: dict[str, tuple[Question, str]] = {f"/{question}/{task}": (question, task) for question in questions for task in catalog.tasks()}
        self._others = {
            "/versions/prepare": self.prepare,
            "/deployments/refresh": self.refresh,
            "/deployed": self.deployed,
            "/openapi.json": self.openapi,
            "/metrics": self.metrics,
            "/livez": self.livez,
            "/readyz": self.readyz,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises `Problem`, for the guard."""
        asked = self._asked.get(scope["path"])
        answer = await (self._others[scope["path"]](Request(scope, receive)) if asked is None else self._ask(*asked, scope))
        await answer(scope, receive, send)

    async def prepare(self, request: Request) -> Response:
        """Load and warm a version."""
        try:
            wanted = openapi.PrepareRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise invalid(error) from error
        with faults():
            return _json(await self.gateway.prepare(wanted))

    async def refresh(self, _request: Request) -> Response:
        """Read the ledger at once."""
        with faults():
            return _json(openapi.RefreshResponse(position=await self.gateway.board.refresh()))

    async def deployed(self, _request: Request) -> Response:
        """What answers."""
        return _json(self.gateway.deployed())

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI 3.1 document."""
        return Response(self.gateway.document, media_type="application/json")

    async def metrics(self, _request: Request) -> Response:
        """Prometheus' text."""
        return Response(self.gateway.metrics.text(), headers={"Content-Type": MEDIA_TYPE})

    async def livez(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("")

    async def readyz(self, _request: Request) -> Response:
        """Every champion is loaded, or known to fail."""
        self.gateway.check_ready()
        return PlainTextResponse("")

    async def _ask(self, question: Question, task: str, scope: Scope) -> Answer:
        """Raw rows in; the answer of the version that the request belongs to out, or its explanation."""
        key = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-finml-key"), None)
        try:
            return await self.gateway.desk.answer(question, task, scope[BODY], key)
        except Problem as problem:
            if problem.document.status in {400, 409, 429}:
                self.gateway.metrics.refusals.labels(status=problem.document.status).inc()
            raise


@contextmanager
def faults() -> Iterator[None]:
    """Errors that an operator can act on, as problems."""
    try:
        yield
    except UnknownName as error:
        raise Problem(404, str(error)) from error
    except (LedgerUnavailable, ServiceFailed) as error:
        raise Problem(503, str(error)) from error


def _json(answer: BaseModel) -> Response:
    return AsciiJSON(answer.model_dump(mode="json"))
