"""Fifty watchers of one run over HTTP, through everything that stands between them and it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
from console_cases import FakeGateway, application
from fake_dagster import FakeDagster
from fastapi import FastAPI
from listening import listening

from finml_console.services.feeds import Feeds
from finml_console.services.training import Training
from finml_ledger import Ledger

WATCHERS = 50
SECONDS = 30
"""For what takes two, on a machine that does other things too."""


def watchable(ledger: Ledger, fake: FakeDagster) -> FastAPI:
    app = application(ledger, FakeGateway(ledger))
    client = fake.client()
    app.state.training = Training(ledger, client, Feeds(client, period=0.02))
    return app


async def events(client: httpx.AsyncClient, run_id: str, after: int | None = None) -> AsyncIterator[tuple[int, str]]:
    """(id, data) of each event of a stream until it ends."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with client.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers, "what is compressed may be held back"
        number = 0
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                number = int(value)
            elif name == "data":
                yield number, value


def test_fifty_watchers_over_http_see_the_same_and_one_that_lost_its_connection_too(book: Ledger, fake: FakeDagster) -> None:
    run_id, script = fake.start(), FakeDagster()
    whole = script.start()
    script.play(whole, fits=40)
    begun = 0

    async def watch(client: httpx.AsyncClient, leaves: bool) -> list[tuple[int, str]]:
        nonlocal begun
        seen: list[tuple[int, str]] = []
        async with aclosing(events(client, run_id)) as stream:
            async for event in stream:
                begun += not seen
                seen.append(event)
                if leaves and len(seen) == 10:
                    break
        if leaves:
            seen += [event async for event in events(client, run_id, seen[-1][0])]
        return seen

    async def grow() -> None:
        for number, entry in enumerate(script.logs[whole]):
            fake.logs[run_id].append(entry)
            await asyncio.sleep(0.005)
            # They watch it while it runs, not afterwards.
            while number == 20 and begun < WATCHERS:
                await asyncio.sleep(0.01)

    async def all_of_them(url: str) -> list[list[tuple[int, str]]]:
        limits = httpx.Limits(max_connections=WATCHERS + 10)
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(base_url=url, trust_env=False, timeout=SECONDS, limits=limits) as client:
            *seen, _ = await asyncio.gather(*(watch(client, leaves=number == 7) for number in range(WATCHERS)), grow())
            return seen

    with listening(watchable(book, fake)) as url:
        seen = asyncio.run(all_of_them(url))
    assert len(seen[0]) > 50
    assert '"state":"succeeded"' in seen[0][-1][1]
    assert all(events == seen[0] for events in seen)
