"""Watching runs: percentages that never fall, the same events for everyone, and going on where one left off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import pytest
from fake_dagster import ASSETS, ENTRY, STEPS, TASK, FakeDagster, application, ask
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from finml_console.routes.training import stream
from finml_console.schemas.training import RunEvent
from finml_console.services.course import Course
from finml_console.services.dagster import Entry
from finml_console.services.feeds import Feed, Feeds
from finml_ledger import Ledger
from finml_models.core.errors import ServiceFailed

MODEL = f"model__{TASK}__{ENTRY}"
T = TypeVar("T")


@pytest.fixture
def app(book: Ledger, fake: FakeDagster) -> FastAPI:
    return application(book, fake)


def parsed(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(id, name, data) of each event of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def watched(app: FastAPI, run_id: str, after: int | None = None) -> httpx.Response:
    return ask(app, "GET", f"/v1/runs/{run_id}/events", headers={} if after is None else {"Last-Event-ID": str(after)})


def within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work(), seconds)

    return asyncio.run(bounded())


async def everything(feed: Feed, after: int = 0) -> list[RunEvent]:
    return [event async for event in feed.watch(after, 10.0) if event is not None]


def test_a_run_is_told_from_its_beginning_to_its_end(app: FastAPI, fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.play(run_id)
    answer = watched(app, run_id)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = parsed(answer.text)
    assert [data["state"] for _, name, data in events if name == "state"] == ["queued", "starting", "starting", "running", "succeeded"]
    shares = [data["percentage"] for _, _, data in events]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 100)
    losses = [data["loss"] for _, name, data in events if name == "progress"]
    assert losses == [1.0, 0.5, pytest.approx(1 / 3), 0.25]


def test_a_watcher_that_comes_back_misses_nothing_and_hears_nothing_twice(app: FastAPI, fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.play(run_id)
    whole = parsed(watched(app, run_id).text)
    ids = [number for number, _, _ in whole]
    assert ids == sorted(set(ids))
    for position, last in enumerate(ids[:-1]):
        assert parsed(watched(app, run_id, last).text) == whole[position + 1 :]
    assert watched(app, run_id, ids[-1]).status_code == 204, "an EventSource that is told so asks no more"
    assert watched(app, run_id, 10**6).status_code == 204
    for wrong in ("x", "-1", "1e9", "9" * 400):
        assert ask(app, "GET", f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": wrong}).status_code == 422


def test_after_a_restart_of_the_server_the_ids_are_the_same(app: FastAPI, fake: FakeDagster, book: Ledger) -> None:
    run_id = fake.start()
    fake.play(run_id)
    before = parsed(watched(app, run_id).text)
    assert parsed(watched(application(book, fake), run_id, before[5][0]).text) == before[6:]


def test_fifty_watchers_of_a_growing_run_see_the_same_and_ask_dagster_once(fake: FakeDagster) -> None:
    run_id = fake.start()
    parts = FakeDagster()
    whole = parts.start()
    parts.play(whole, fits=30)

    async def grow() -> None:
        for entry in parts.logs[whole]:
            fake.logs[run_id].append(entry)
            await asyncio.sleep(0.005)

    async def all_of_them() -> list[list[RunEvent]]:
        feed = Feeds(fake.client(), period=0.02).of(run_id)
        growing = asyncio.create_task(grow())
        watchers = [everything(feed) for _ in range(50)]
        found = await asyncio.gather(*watchers, growing)
        assert feed.watchers == 0
        return found[:-1]

    seen = within(20, all_of_them)
    assert len(seen[0]) > 50
    assert all(events == seen[0] for events in seen)
    assert fake.asked.count("Log") < 100, "one reader, whoever watches"


def test_a_watcher_that_is_behind_what_is_kept_has_it_read_again(fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.play(run_id, fits=200)

    async def twice() -> tuple[list[RunEvent], list[RunEvent], int]:
        forgetful = Feed(fake.client(), run_id, kept=7)
        await forgetful.refresh()
        return await everything(forgetful, 3), await everything(Feed(fake.client(), run_id), 3), len(forgetful._events)

    short, long, kept = within(10, twice)
    assert kept == 7
    assert short == long


def test_while_dagster_is_away_watchers_hear_heartbeats_and_afterwards_what_they_missed(fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.tell(run_id, "RunEnqueuedEvent")

    async def watch() -> list[str]:
        feed = Feed(fake.client(), run_id, period=0.02)
        heard = []
        async for text in stream(feed, 0, 0.05):
            heard.append(text)
            if "queued" in text:
                fake.away = True
            if fake.away and len(heard) > 4:
                fake.away = False
                fake.play(run_id)
        return heard

    heard = within(10, watch)
    assert ": still here\n\n" in heard
    states = [data["state"] for _, name, data in parsed("".join(heard)) if name == "state"]
    assert states == ["queued", "queued", "starting", "starting", "running", "succeeded"]


def test_a_stream_ends_with_its_run_whatever_the_log_says_later(fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.play(run_id)
    fake.tell(run_id, "LogMessageEvent", level="ERROR", message="the process went on")
    assert within(5, lambda: everything(Feed(fake.client(), run_id)))[-1].state == "succeeded"
    silent = fake.start(status="FAILURE")
    assert within(5, lambda: everything(Feed(fake.client(), silent, period=0.4))) == []


def test_those_who_ask_at_once_wait_once_for_a_slow_dagster(fake: FakeDagster) -> None:
    run_id = fake.start()
    fake.seconds = 5

    async def ask_together() -> list[object]:
        feeds = Feeds(fake.client(0.2))
        return await asyncio.gather(*(feeds.refreshed(run_id) for _ in range(20)), return_exceptions=True)

    began = time.monotonic()
    answers = within(5, ask_together)
    assert time.monotonic() - began < 1.5
    assert all(isinstance(answer, ServiceFailed) for answer in answers)
    assert fake.asked.count("Log") == 1


def test_runs_that_nobody_watches_make_room(fake: FakeDagster) -> None:
    async def many() -> int:
        feeds = Feeds(fake.client(), most=5)
        for _ in range(20):
            feeds.of(fake.start())
        return len(feeds._feeds)

    assert within(5, many) == 5


def test_the_status_follows_the_training_and_keeps_its_end(app: FastAPI, fake: FakeDagster) -> None:
    run_id = fake.start(tags={"finml/use_case": TASK, "finml/entry": ENTRY, "finml/config_id": "0" * 16})
    for kind in ("RunEnqueuedEvent", "RunStartEvent"):
        fake.tell(run_id, kind)
    for step in STEPS[:2]:
        fake.tell(run_id, "ExecutionStepStartEvent", step)
        fake.tell(run_id, "ExecutionStepSuccessEvent", step)
    fake.tell(run_id, "ExecutionStepStartEvent", MODEL)
    fake.observe(run_id, MODEL, fit="fold 2 seed 0", done=0.5, epoch=2, epochs=6, loss=0.4, validation=0.3)
    status = ask(app, "GET", f"/models/training-status/{run_id}").json()
    assert (status["state"], status["step"], status["steps_done"], status["steps"]) == ("running", f"model/{TASK}/{ENTRY}", 2, len(ASSETS))
    assert (status["epoch"], status["epochs"], status["metrics"]) == (2, 6, {"loss": 0.4, "validation": 0.3})
    assert 0 < status["percentage"] < 100
    assert (status["kind"], status["error"], status["result"]) == ("training", None, None)
    assert status["links"]["dagster"].endswith(f"/runs/{run_id}")
    fake.tell(run_id, "ExecutionStepFailureEvent", MODEL, failureMetadata={"description": "loss: nan in epoch 3: lower learning_rate"})
    fake.tell(run_id, "RunFailureEvent", message="Execution of run failed. Steps failed: ...")
    time.sleep(0.02)
    failed = ask(app, "GET", f"/models/training-status/{run_id}").json()
    assert (failed["state"], failed["percentage"], failed["eta_seconds"]) == ("failed", status["percentage"], None)
    assert failed["error"] == f"model/{TASK}/{ENTRY}: loss: nan in epoch 3: lower learning_rate"
    fake.away = True
    assert ask(app, "GET", f"/models/training-status/{run_id}").json() == failed, "an end that is known needs no Dagster"
    assert ask(app, "GET", "/v1/runs").status_code == 503


def entries() -> st.SearchStrategy[list[Entry]]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    turn = st.sampled_from(["RunEnqueuedEvent", "RunStartEvent", "RunCancelingEvent"]).map(lambda kind: Entry(kind, at, "DEBUG", None, ""))
    kinds = ["ExecutionStepStartEvent", "ExecutionStepSuccessEvent", "ExecutionStepUpForRetryEvent", "ExecutionStepSkippedEvent", "EngineEvent"]
    change = st.builds(lambda kind, step: Entry(kind, at, "DEBUG", step, ""), st.sampled_from(kinds), st.sampled_from([*STEPS, "elsewhere"]))
    numbers = st.one_of(st.floats(), st.integers(-5, 5), st.none(), st.just("x"))
    facts = st.fixed_dictionaries({"fit": st.just("f")}, optional=dict.fromkeys(("done", "epoch", "epochs", "loss", "validation", "seconds_left"), numbers))
    progress = st.builds(lambda step, facts: Entry("ObservationEvent", at, "DEBUG", step, "", facts=facts), st.sampled_from(STEPS), facts)
    return st.lists(st.one_of(turn, change, progress), max_size=40)


@given(entries())
def test_a_percentage_never_falls_and_stays_between_0_and_100(log: list[Entry]) -> None:
    course = Course([tuple(key) for key in ASSETS])
    shares = [event.percentage for number, entry in enumerate(log, 1) if (event := course.hear(number, entry)) is not None]
    assert shares == sorted(shares)
    assert all(0 <= share <= 100 for share in shares)


def test_the_time_left_follows_from_the_share_done() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    course = Course([tuple(key) for key in ASSETS])
    course.hear(1, Entry("RunStartEvent", began, "DEBUG", None, ""))
    assert course.seconds_left(began + timedelta(seconds=30)) is None
    course.hear(2, Entry("ObservationEvent", began, "DEBUG", STEPS[2], "", facts={"fit": "f", "done": 0.999}))
    assert course.percentage is not None
    left = course.seconds_left(began + timedelta(seconds=30))
    assert left == pytest.approx(30 * (100 - course.percentage) / course.percentage)
