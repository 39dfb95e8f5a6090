"""What bench-serving measures with: failures are counted, costs are the server's, and a bar that is missed is said to be."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from benchmarks.serving.__main__ import Line, leaves
from benchmarks.serving.load import Question, Seen, answer, ask, press


async def answering(statuses: list[int], ask_it: object) -> Seen:
    """What comes of a client's requests to a server that gives these statuses in turn."""
    given = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        while head := await reader.readline():
            while (line := await reader.readline()) != b"\r\n":
                head += line
            status = statuses[given % len(statuses)]
            given += 1
            if not status:
                break
            writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\nok".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        return await ask_it(Question(os.getpid(), server.sockets[0].getsockname()[1], "/"))


def test_every_answer_but_200_is_a_failure() -> None:
    seen = asyncio.run(answering([200, 200, 503], lambda question: ask(question, 9)))
    assert (len(seen.seconds), seen.failures) == (9, [503, 503, 503])


def test_a_connection_that_breaks_under_load_is_a_failure_and_ends_that_client_alone() -> None:
    began = time.perf_counter()
    seen = asyncio.run(answering([200, 200, 200, 0], lambda question: press(question, 4, 0.2)))
    assert seen.failures
    assert set(seen.failures) == {0}
    assert time.perf_counter() - began < 5


def test_a_quantile_is_of_milliseconds() -> None:
    assert Seen([0.001 * (i + 1) for i in range(100)]).quantile(0.99) == pytest.approx(100)


def test_a_server_that_refuses_is_no_candidate() -> None:
    async def refused(question: Question) -> Seen:
        with pytest.raises(RuntimeError, match="answered 500: ok"):
            await asyncio.to_thread(answer, question)
        return Seen()

    asyncio.run(answering([500], refused))


def test_a_bar_is_held_up_to_itself() -> None:
    assert Line("ratio", 3.0, "", 3.0).held
    assert not Line("ratio", 3.01, "", 3.0).held
    assert "MISSED" in str(Line("failures", 1, "", 0))
    assert Line("for information", 99.0, "ms").held


def test_answers_are_compared_leaf_by_leaf() -> None:
    assert dict(leaves({"a": [1.0, {"b": "x"}], "c": []})) == {"/a/0": 1.0, "/a/1/b": "x"}
