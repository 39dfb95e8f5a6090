"""Orders to Dagster, one at a time: a burst is worked off, and a Dagster that hangs keeps nobody waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from finml_models.core.errors import ServiceFailed

KEPT = 100
KEPT_SECONDS = 600.0
LONGEST = 200

T = TypeVar("T")
Commit = Callable[[], None]


@dataclass(eq=False)
class _Placing(Generic[T]):
    """An order on its way. Once it is committed, Dagster may take it whatever becomes of the one who asked."""

    task: asyncio.Task[T] = field(init=False)
    committed: bool = False
    left: float = 0.0

    def commit(self) -> None:
        self.committed = True


class Line(Generic[T]):
    """Places orders in the order of their coming.

    Whoever waits gives up once nothing has moved for `seconds`, with a `ServiceFailed`. An order that was under way by then is kept: whoever
    places the same again, by its key, is given what became of it, so that trying again trains nothing twice.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._moved = 0.0
        self._waiting = 0
        self._left: dict[str, _Placing[T]] = {}

    async def place(self, key: str, work: Callable[[Commit], Awaitable[T]]) -> T:
        """What `work` comes to when its turn comes; it says by its argument that it orders now. Raises what it raises, and `ServiceFailed`."""
        if self._waiting >= LONGEST:
            raise ServiceFailed(f"{LONGEST} orders wait for Dagster already; try again when they have begun")
        placing = self._again(key) or self._new(work)
        began = time.monotonic()
        self._waiting += 1
        try:
            while not placing.task.done():
                left = max(began, self._moved) + self._seconds - time.monotonic()
                if left <= 0:
                    raise self._slow(placing)
                await asyncio.wait({placing.task}, timeout=left)
            return placing.task.result()
        finally:
            self._waiting -= 1
            if not placing.task.done():
                self._leave(key, placing)

    def _new(self, work: Callable[[Commit], Awaitable[T]]) -> _Placing[T]:
        placing: _Placing[T] = _Placing()
        placing.task = asyncio.create_task(self._turn(placing, work))
        # Nobody may be left to hear of its failure.
        placing.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return placing

    async def _turn(self, placing: _Placing[T], work: Callable[[Commit], Awaitable[T]]) -> T:
        async with self._lock:
            self._moved = time.monotonic()
            try:
                return await work(placing.commit)
            finally:
                self._moved = time.monotonic()

    def _again(self, key: str) -> _Placing[T] | None:
        """The same order, where it was left under way lately and has not failed."""
        placing = self._left.pop(key, None)
        if placing is None or time.monotonic() - placing.left > KEPT_SECONDS:
            return None
        task = placing.task
        return None if task.done() and (task.cancelled() or task.exception() is not None) else placing

    def _leave(self, key: str, placing: _Placing[T]) -> None:
        if not placing.committed:
            # Nothing may be ordered for someone who was told that it was not.
            placing.task.cancel()
            return
        placing.left = time.monotonic()
        self._left[key] = placing
        while len(self._left) > KEPT:
            del self._left[next(iter(self._left))]

    def _slow(self, placing: _Placing[T]) -> ServiceFailed:
        if placing.committed:
            return ServiceFailed(f"Dagster did not answer the order within {self._seconds:g} s, and may take it yet: send it again to hear what became of it")
        return ServiceFailed(f"Dagster did not answer within {self._seconds:g} s: nothing was ordered; try again")
