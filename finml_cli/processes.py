"""Servers that belong together, as child processes: started, waited for, watched, and stopped so that none stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import psutil

from finml_models.core.errors import ServiceFailed

MARK = "FINML_STARTED_BY"
"""Environment variable by which everything that a group started is found again, also what left its process group or lost its parent."""
READY_SECONDS = 180.0
GRACE_SECONDS = 10.0
LEAST_SECONDS = 2.0
"""What a process has to end in at least, when those before it took all of the grace."""
LOOK_EVERY = 0.1
NEXT_PORTS = 200


@dataclass(frozen=True, kw_only=True)
class Part:
    """A server: the command, where it answers, and how one sees that it is ready (asked again and again; `httpx.HTTPError` is a no)."""

    name: str
    command: Sequence[str]
    ready: Callable[[Child], bool]
    url: str = ""
    port: int | None = None
    """Port that it listens on; None for a part that nobody connects to."""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Child:
    """A part that was started. `began` is in seconds since 1970."""

    part: Part
    process: subprocess.Popen[bytes]
    log: Path
    began: float

    def is_ready(self) -> bool:
        """Whether it listens, where it has a port, and says that it is ready."""
        import httpx

        with suppress(httpx.HTTPError):
            return (self.part.port is None or self.listens()) and self.part.ready(self)
        return False

    def listens(self) -> bool:
        """Whether this process, or one that it started, listens on its port: somebody else's listener must not be taken for it."""
        try:
            family = [own := psutil.Process(self.process.pid), *own.children(recursive=True)]
            return any(c.status == psutil.CONN_LISTEN and c.laddr.port == self.part.port for process in family for c in process.net_connections("tcp"))
        except psutil.NoSuchProcess:
            return False

    def tail(self, lines: int = 20) -> str:
        """The newest lines of its log."""
        with self.log.open(errors="replace") as file:
            return "".join(deque(file, lines)).strip()


class Processes:
    """Parts that run together. Leaving the block stops all of them, and everything that they started."""

    def __init__(self, logs: Path, grace: float = GRACE_SECONDS) -> None:
        self.children: list[Child] = []
        self._logs, self._grace = logs, grace
        self._mark, self._began = uuid.uuid4().hex, time.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, part: Part) -> Child:
        """Start a part in a session of its own, so that a terminal's Ctrl-C reaches it through this process alone. The log before is kept once."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{part.name}.log"
        with suppress(FileNotFoundError):
            log.replace(log.with_suffix(".previous.log"))
        environment = {**os.environ, **part.environment, MARK: self._mark}
        began = time.time()
        with log.open("wb") as output:
            process = subprocess.Popen(part.command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        child = Child(part, process, log, began)
        self.children.append(child)
        return child

    def wait_until_ready(self, *waiting: Child, seconds: float = READY_SECONDS, on_ready: Callable[[Child], None] = lambda child: None) -> None:
        """Return when all of these are ready; `on_ready` hears of each.

        Raises `ServiceFailed` with the newest lines of a log when one of them, or another part, ends, or the time is over.
        """
        deadline = time.monotonic() + seconds
        left = list(waiting)
        while left:
            self.check()
            for child in [child for child in left if child.is_ready()]:
                left.remove(child)
                on_ready(child)
            if left and time.monotonic() > deadline:
                raise ServiceFailed(f"{left[0].part.name} was not ready after {seconds:g} s; the newest lines of {left[0].log}:\n{left[0].tail()}")
            time.sleep(LOOK_EVERY)

    def check(self) -> None:
        """Raise `ServiceFailed` when a part has ended: none is started again silently."""
        for child in self.children:
            if (status := child.process.poll()) is not None:
                how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended by itself with status {status}"
                raise ServiceFailed(f"{child.part.name} {how}; everything else is stopped. The newest lines of {child.log}:\n{child.tail()}")

    def watch(self) -> NoReturn:
        """Return never; raises `ServiceFailed` as soon as a part has ended."""
        while True:
            self.check()
            time.sleep(LOOK_EVERY)

    def stop(self) -> None:
        """End all parts, the one that was started last first, for it may still be asking the others; then everything that any of them started.

        Requests in flight have the grace to finish. What ignores SIGTERM is killed, as is everything when this is interrupted.
        """
        deadline = time.monotonic() + self._grace
        try:
            for stage in (self.children[-1:], self.children[:-1]):
                for child in stage:
                    child.process.terminate()
                for child in stage:
                    with suppress(subprocess.TimeoutExpired):
                        child.process.wait(_left(deadline))
            if rest := self._running():
                _each(rest, psutil.Process.terminate)
                psutil.wait_procs(rest, timeout=_left(deadline))
        finally:
            # Again and again: what was about to start another process may have done so meanwhile.
            while rest := self._running():
                _each(rest, psutil.Process.kill)
                for child in self.children:
                    child.process.wait()
                psutil.wait_procs(rest, timeout=LOOK_EVERY)

    def _running(self) -> list[psutil.Process]:
        """All processes that carry this group's mark in their environment."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.create_time() >= self._began - 1 and process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found


def free_ports(wanted: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    """The ports to use, by the option that names them: each wanted `(host, port)` if it is free, any free one for 0.

    Raises `ServiceFailed` for a port that is taken, or wanted twice, with the next one that is free.
    """
    chosen: dict[str, int] = {}
    for option, (host, port) in wanted.items():
        if port in chosen.values() or not (found := bindable(host, port)):
            taken = {*chosen.values(), *(number for _, number in wanted.values())}
            free = next((n for n in range(port + 1, min(port + NEXT_PORTS, 65_536)) if n not in taken and bindable(host, n)), None)
            remedy = f"{free} is free: {option} {free}" if free else f"let one be chosen: {option} 0"
            raise ServiceFailed(f"port {port} on {host} is {'wanted twice' if port in chosen.values() else 'taken'}; {remedy}")
        chosen[option] = found
    return chosen


def bindable(host: str, port: int) -> int | None:
    """The port that a server could listen on now, or None. `OSError` for a host that is none of this machine's is a taken port too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _left(deadline: float) -> float:
    return max(LEAST_SECONDS, deadline - time.monotonic())


def _each(processes: Iterable[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            do(process)
