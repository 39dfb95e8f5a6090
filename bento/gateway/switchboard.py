"""Keeps the routing table in step with the ledger: a new one takes the old one's place at once, and requests in flight keep their version."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from finml_ledger.deployments import Deployment, Deployments
from finml_models.core.errors import LedgerUnavailable

from .held import on
from .pool import Pool, Version
from .routing import Condition, Table, settle

if TYPE_CHECKING:
    from finml_ledger import Ledger

log = logging.getLogger("finml.gateway")


class Switchboard:
    """The routing table, and what the ledger wants it to be."""

    def __init__(self, ledger: Ledger, pool: Pool[Any], *, poll_seconds: float, retry_seconds: float) -> None:
        self.table = Table()
        self.wanted: tuple[Deployment, ...] = ()
        self._deployments = Deployments(ledger)
        self._pool = pool
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._position: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "finml-ledger")

    @property
    def ready(self) -> bool:
        """Whether the ledger was read, and every champion is loaded or known to fail."""
        settled = {Condition.READY, Condition.FAILED}
        champions = (Version.of(d.task, d.state.champion) for d in self.wanted if d.state.champion)
        return self._position is not None and all(self._pool.condition(version) in settled for version in champions)

    async def refresh(self) -> int:
        """Read the ledger now and begin to load what it names; returns the position that was read. Raises `LedgerUnavailable`."""
        async with self._one_at_a_time:
            position, self.wanted = await on(self._thread, lambda: (self._deployments.position(), self._deployments.all()))
            self._position = position
            self._start_loading()
            self.settle()
            return position

    def settle(self) -> None:
        """Put a new table in place: what the ledger wants, as far as versions are ready."""
        before = self.table.routes
        routes = {
            wanted.task: settle(wanted, before.get(wanted.task), lambda slot, task=wanted.task: self._pool.condition(Version.of(task, slot)))  # type: ignore[misc]
            for wanted in self.wanted
        }
        self.table = Table(self._position or 0, MappingProxyType(routes))
        # A version that goes on answering for one that still loads has no role in the ledger any more.
        self._pool.keep_warm({*self._warm(), *(Version.of(route.task, slot) for route in routes.values() for slot in route.slots())})

    async def watch(self) -> None:
        """Follow the ledger until cancelled. While it is away, the table stays as it is."""
        away = False
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                if await on(self._thread, self._deployments.position) != self._position:
                    await self.refresh()
                elif time.monotonic() > self._retry_at:
                    self._start_loading()
                away = False
            except LedgerUnavailable as error:
                if not away:
                    log.error("the routing table stays as it is: %s", error)  # noqa: TRY400
                away = True
            except Exception:
                log.exception("the ledger cannot be followed")

    def _warm(self) -> Iterator[Version]:
        return (Version.of(wanted.task, slot) for wanted in self.wanted for slot in wanted.state.warm())

    def _start_loading(self) -> None:
        for version in self._warm():
            if self._pool.condition(version) in {Condition.UNKNOWN, Condition.FAILED}:
                self._pool.start(version)
        self._retry_at = time.monotonic() + self._retry_seconds
