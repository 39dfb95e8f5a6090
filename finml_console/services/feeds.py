"""The logs of runs as they grow: one reader a run, however many watch it."""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator

from finml_console.problems import Problem
from finml_console.schemas.training import ENDED, RunEvent
from finml_models.core.errors import ServiceFailed, UnknownName

from .course import STATES, Course
from .dagster import Dagster, Run

PAGE = 500
KEPT = 20_000
"""Events of a run that are kept; a watcher that asks for older ones has them read again for itself."""
PERIOD = 0.5
"""Seconds between two looks at a run that is watched; what was read counts for half of it as what there is."""
SLOWEST = 5.0
"""Seconds between two looks while Dagster is away."""


class Reader:
    """Reads a run's log from its beginning, page by page. An event's id is its entry's place in the log, counted from 1."""

    def __init__(self, dagster: Dagster, run_id: str) -> None:
        self._dagster, self.run_id = dagster, run_id
        self._cursor: str | None = None
        self._read = self._silent = 0
        self.run: Run | None = None
        self.course = Course(())
        self.ended = False

    async def page(self) -> tuple[list[RunEvent], bool]:
        """The events of the next page, and whether there is another one by now. Raises `UnknownName`, `ServiceFailed`."""
        log = await self._dagster.log(self.run_id, self._cursor, PAGE)
        if self.run is None:
            self.course = Course(log.run.steps)
        self.run, self._cursor = log.run, log.cursor
        events = []
        for entry in log.entries:
            self._read += 1
            if self.course.ended:
                # What a process says after the end of its run is not told, for a watcher that left at the end did not see it.
                continue
            if (event := self.course.hear(self._read, entry)) is not None:
                events.append(event)
        self._silent = self._silent + 1 if STATES.get(log.run.status, "running") in ENDED and not log.entries else 0
        # A run without an end in its log has ended when it says so and has nothing more to say, twice.
        self.ended = self.course.ended or self._silent > 1
        return events, log.more and not self.ended


class Feed:
    """One run's events, kept while they are watched or asked for."""

    def __init__(self, dagster: Dagster, run_id: str, *, period: float = PERIOD, kept: int = KEPT) -> None:
        self._dagster, self.run_id, self._period, self._kept = dagster, run_id, period, kept
        self._reader = Reader(dagster, run_id)
        self._events: list[RunEvent] = []
        self._forgotten = 0
        self._reading: asyncio.Task[None] | None = None
        self._looked = -math.inf
        self._news = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self.watchers = 0

    @property
    def course(self) -> Course:
        """How far the run is by what was read."""
        return self._reader.course

    @property
    def run(self) -> Run | None:
        """The run as it was when it was last asked for."""
        return self._reader.run

    @property
    def ended(self) -> bool:
        """Whether there will be no more events."""
        return self._reader.ended

    @property
    def last(self) -> int:
        """The id of the newest event, 0 before the first."""
        return self._events[-1].id if self._events else self._forgotten

    async def refresh(self) -> None:
        """Read what there is; those who ask at once share the answer, and the wait for it. Raises `UnknownName`, `ServiceFailed`."""
        if self.ended or time.monotonic() - self._looked < self._period / 2:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            # Nobody may be left to hear of its failure.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Who leaves does not take the answer from the others.
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        more = True
        while more:
            found, more = await self._reader.page()
            self._events += found
            if found or self.ended:
                self._tell()
            if (surplus := len(self._events) - self._kept) > 0:
                self._forgotten = self._events[surplus - 1].id
                del self._events[:surplus]
        self._looked = time.monotonic()

    async def watch(self, after: int, heartbeat: float) -> AsyncIterator[RunEvent | None]:
        """Every event behind an id, in order, until the run ends; None after so many seconds of silence."""
        self.watchers += 1
        try:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
            while True:
                news = self._news
                async for event in self._behind(after):
                    after = event.id
                    yield event
                if self.ended and after >= self.last:
                    return
                if after < self.last:
                    continue
                try:
                    await asyncio.wait_for(news.wait(), heartbeat)
                except TimeoutError:
                    yield None
        finally:
            self.watchers -= 1
            if not self.watchers and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _behind(self, after: int) -> AsyncIterator[RunEvent]:
        if after < self._forgotten:
            reader, more = Reader(self._dagster, self.run_id), True
            while more and after < self._forgotten:
                found, more = await reader.page()
                for event in found:
                    if after < event.id <= self._forgotten:
                        after = event.id
                        yield event
        for event in self._events[bisect_right(self._events, after, key=lambda event: event.id) :]:
            yield event

    async def _poll(self) -> None:
        wait = self._period
        while not self.ended:
            try:
                await self.refresh()
                wait = self._period
            except ServiceFailed:
                # Watchers hear heartbeats meanwhile, and what they missed when Dagster is back.
                wait = min(2 * wait, SLOWEST)
            except UnknownName:
                # The run was deleted: there is nothing more to hear of it.
                self._reader.ended = True
                self._tell()
            await asyncio.sleep(wait)

    def _tell(self) -> None:
        """Wake those who wait."""
        self._news.set()
        self._news = asyncio.Event()


class Feeds:
    """The feeds of all runs that were asked for lately."""

    def __init__(self, dagster: Dagster, *, most: int = 64, watchers: int = 256, period: float = PERIOD) -> None:
        self._dagster, self._most, self._most_watchers, self._period = dagster, most, watchers, period
        self._feeds: OrderedDict[str, Feed] = OrderedDict()

    def of(self, run_id: str) -> Feed:
        """The feed of a run; the one that nobody watches and nobody asked for longest makes room."""
        if run_id not in self._feeds:
            idle = [name for name, feed in self._feeds.items() if not feed.watchers]
            for name in idle[: max(len(self._feeds) - self._most + 1, 0)]:
                del self._feeds[name]
            self._feeds[run_id] = Feed(self._dagster, run_id, period=self._period)
        self._feeds.move_to_end(run_id)
        return self._feeds[run_id]

    async def refreshed(self, run_id: str) -> Feed:
        """The feed of a run with all that there is of it by now. Raises `UnknownName`, `ServiceFailed`."""
        feed = self.of(run_id)
        try:
            async with self._dagster.limit():
                await feed.refresh()
        except UnknownName:
            self._feeds.pop(run_id, None)
            raise
        return feed

    def admit(self) -> None:
        """Raise a `Problem` where no more watchers are taken."""
        if sum(feed.watchers for feed in self._feeds.values()) >= self._most_watchers:
            raise Problem(503, f"{self._most_watchers} watchers are connected, no more are taken; ask for the status instead", headers={"Retry-After": "30"})
