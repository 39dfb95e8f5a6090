"""A state folder with released versions, and gateways over it in this process or one of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from service_cases import ENTRY, FINGERPRINT, TASK, bars, good_request

from bento.gateway.app import Api, Gateway, addresses
from bento.gateway.settings import Settings
from bento.guard import Guard
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import artifact, catalog, serving
from finml_models.core.home import artifacts

PREDICT = f"/predict/{TASK}"
BODY = json.dumps(good_request())
JSON = {"content-type": "application/json"}


def fitted_versions(count: int, entry: str = ENTRY) -> list[Slot]:
    """So many fitted versions under the state folder, each of a little less data."""
    pair = catalog.pair(f"{TASK}-{entry}")
    task = pair.task()
    batch = task.view(pair.kind, task.features(bars()), task.target(bars()))
    rows, slots = np.arange(len(batch)), []
    for number in range(count):
        estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch))
        estimator.fit(batch.take(rows[10 * number : -200]), batch.take(rows[-200:]))
        reference = serving.training_range(batch)
        folder = artifact.save(artifacts(TASK, entry), estimator, task=TASK, entry=entry, fingerprint=FINGERPRINT, reference=reference)
        slots.append(Slot(entry=entry, version=folder.name))
    assert len(set(slots)) == count
    return slots


def released(slots: list[Slot], task: str = TASK) -> Ledger:
    """A ledger that knows these versions; they all passed their gates."""
    ledger = Ledger.open()
    for slot in slots:
        path = f"artifacts/{task}/{slot.entry}/{slot.version}"
        ledger.record_release(
            task=task, entry=slot.entry, version=slot.version, artifact=path, verdict="released", gate_passed=True, headline={}, fingerprint=FINGERPRINT
        )
    return ledger


def folder_of(slot: Slot) -> Path:
    """The artifact's folder."""
    return artifacts(TASK, slot.entry) / slot.version


class Running:
    """A gateway in this process, asked through its guard."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient, ledger: Ledger) -> None:
        self.gateway = gateway
        self.client = client
        self.ledger = ledger
        self.deployments = Deployments(ledger)

    async def predict(self, key: str | None = None, body: str = BODY, task: str = TASK) -> httpx.Response:
        """One request."""
        return await self.client.post(f"/predict/{task}", content=body, headers=JSON | ({"x-finml-key": key} if key else {}))

    async def refresh(self) -> None:
        """Let the gateway read the ledger, and wait until everything is loaded or failed."""
        assert (await self.client.post("/deployments/refresh")).status_code == 200
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing is being loaded."""
        while self.gateway.pool._loading:
            await asyncio.sleep(0.01)

    def logged(self, **wanted: Any) -> list[Any]:
        """What the log holds, newest first."""
        self.gateway.writer.flush()
        return self.gateway.writer._log.page(**wanted)


@asynccontextmanager
async def gateway(ledger: Ledger, **settings: Any) -> AsyncIterator[Running]:
    """A started gateway that looks at its ledger when it is told to."""
    parts = Gateway(Ledger.open(), Settings(**{"poll_seconds": 3600.0, **settings}))
    api = Api()
    api.gateway = parts
    await parts.start()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Guard(api, routes=addresses())), base_url="http://127.0.0.1") as client:
            running = Running(parts, client, ledger)
            await running.settled()
            yield running
    finally:
        await parts.stop()


def drive(ledger: Ledger, scene: Callable[[Running], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Play a scene with a gateway."""

    async def play() -> None:
        async with gateway(ledger, **settings) as running:
            await scene(running)

    asyncio.run(play())
