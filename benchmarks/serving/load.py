"""Asking a server and watching it: keep-alive connections without a client library, processor time and memory of its processes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class Question:
    """One request over and over. `pid` is the server's, whose children count too."""

    pid: int
    port: int
    path: str
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        """The bytes that go over the connection."""
        method, kind = ("POST", f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n") if self.body else ("GET", "")
        return f"{method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{kind}\r\n".encode() + self.body


@dataclass
class Seen:
    """What came of many requests: seconds of each, and the failures by status, 0 for a broken connection."""

    seconds: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the requests took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: bytes) -> tuple[int, bytes]:
    """Status and body of one request."""
    writer.write(wire)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return status, await reader.readexactly(length)


async def ask(question: Question, requests: int) -> Seen:
    """So many requests, one after the other."""
    seen = Seen()
    reader, writer = await asyncio.open_connection("127.0.0.1", question.port)
    for _ in range(requests):
        began = time.perf_counter()
        status, _ = await exchange(reader, writer, question.wire)
        seen.seconds.append(time.perf_counter() - began)
        if status != 200:
            seen.failures.append(status)
    writer.close()
    return seen


async def press(question: Question, clients: int, seconds: float) -> Seen:
    """So many clients at once for so long, each asking again when it is answered."""
    seen = Seen()
    until = time.perf_counter() + seconds

    async def client() -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", question.port)
            while time.perf_counter() < until:
                began = time.perf_counter()
                status, _ = await exchange(reader, writer, question.wire)
                seen.seconds.append(time.perf_counter() - began)
                if status != 200:
                    seen.failures.append(status)
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            seen.failures.append(0)

    await asyncio.gather(*(client() for _ in range(clients)))
    return seen


def answer(question: Question) -> bytes:
    """The body of one answer; raises `RuntimeError` where it is none."""

    async def once() -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", question.port)
        found = await exchange(reader, writer, question.wire)
        writer.close()
        return found

    status, body = asyncio.run(once())
    if status != 200:
        raise RuntimeError(f"{question.path} answered {status}: {body[:500].decode(errors='replace')}")
    return body


def processor_seconds(pid: int) -> float:
    """Processor time of a process and all that it started."""
    return sum(sum(process.cpu_times()[:2]) for process in family(pid))


def cost(question: Question, requests: int) -> float:
    """Milliseconds of the server's processor time a request."""
    before = processor_seconds(question.pid)
    if failures := asyncio.run(ask(question, requests)).failures:
        raise RuntimeError(f"{question.path}: {len(failures)} of {requests} requests failed, the first with {failures[0]}")
    return (processor_seconds(question.pid) - before) / requests * 1e3


def unique_bytes(pid: int) -> int:
    """Memory that would be free if the largest of these processes ended."""
    return max(process.memory_full_info().uss for process in family(pid))


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants."""
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
