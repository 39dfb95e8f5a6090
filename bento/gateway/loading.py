"""From a version's name to something that answers: verified, loaded off the event loop, and asked once before any client asks."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx

from bento.problem import Problem
from finml_models.core import artifact, runtime
from finml_models.core.errors import CorruptArtifact
from finml_models.core.home import home

from . import probe
from .held import Answering, Asked, Local, Remote, on

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from finml_ledger import Ledger
    from finml_models.core.artifact import Artifact

    from .pool import Version
    from .settings import Settings

QUICK_MILLISECONDS = 5.0
"""Processor time of a prediction for the probe, four entities, up to which the event loop can wait for it."""
log = logging.getLogger("finml.gateway")


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads the versions that the ledger knows, one after the other: two imports at once help nobody."""

    ledger: Ledger
    settings: Settings
    thread: ThreadPoolExecutor

    @classmethod
    def of(cls, ledger: Ledger, settings: Settings) -> Loader:
        """A loader with a thread of its own."""
        return cls(ledger, settings, ThreadPoolExecutor(1, "finml-loader"))

    async def __call__(self, version: Version) -> Answering:
        """The version, ready to answer. Raises `CorruptArtifact` with expected and actual sha256, `UnknownName`, or what its code raises."""
        if (address := self.settings.remotes.get(f"{version.task}-{version.entry}")) is not None:
            # The environment's proxies are for elsewhere.
            client = httpx.AsyncClient(base_url=str(address), timeout=self.settings.remote_seconds, trust_env=False, follow_redirects=False)
            remote = Remote(client, version.version)
            try:
                await remote.check()
            except Problem:
                await client.aclose()
                raise
            return remote
        return await on(self.thread, lambda: load(self.ledger, version))


def load(ledger: Ledger, version: Version) -> Local:
    """A released version's artifact, verified, loaded and asked once. Raises what `Loader` raises."""
    folder = home() / ledger.release(version.task, version.entry, version.version).artifact
    held = artifact.load(folder)
    if (found := (held.record.task, held.record.entry, held.version)) != (version.task, version.entry, version.version):
        raise CorruptArtifact(f"{folder.name} holds {found[0]}-{found[1]}:{found[2]}, not {version}; restore it from a copy")
    by_torch = _by_torch(held)
    local = Local(held, _size(folder))
    asked = probe.request(version.task, held.record.signature.actions)
    # The first answer pays for what is imported and allocated late; no client should.
    try:
        local.now("predict", asked)
    except Problem as refused:
        log.warning("%s refuses the probe: %s", version, refused)
        return local
    return replace(local, quick=not by_torch and _milliseconds(local, asked) <= QUICK_MILLISECONDS)


async def digest(held: Answering, task: str, thread: ThreadPoolExecutor) -> str:
    """The sha256 of the answer to the use case's probe: equal bytes for equal versions. A refusal is an answer too."""
    assets = held.artifact.record.signature.actions if isinstance(held, Local) else ()
    request = await on(thread, lambda: probe.request(task, assets))
    try:
        answer = await held.answer("predict", Asked(request, request.model_dump_json(exclude_none=True).encode()), thread)
    except Problem as problem:
        if problem.document.status != 422:
            raise
        answer = problem.document.model_dump_json().encode()
    else:
        answer = json.dumps(json.loads(answer), sort_keys=True).encode()
    return hashlib.sha256(answer).hexdigest()


def _by_torch(held: Artifact) -> bool:
    """Let onnxruntime run a network that was exported; whether torch has to run it."""
    if reason := runtime.attach(held):
        log.info("%s is run without onnxruntime: %s", held.version, reason)
    return bool(reason) and isinstance(held.estimator, runtime.Exportable)


def _milliseconds(local: Local, asked: BaseModel, times: int = 3) -> float:
    """Processor time that a prediction takes this thread, the least of some, so that others on the machine do not count."""

    def once() -> float:
        began = time.thread_time()
        local.now("predict", asked)
        return (time.thread_time() - began) * 1e3

    return min(once() for _ in range(times))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
