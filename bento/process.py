"""A server on the loopback as a child process with a handle."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from finml_models.core.errors import ServiceFailed

READY_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers at `url`. Leaving its `with` block, or `stop()`, ends it."""

    tag: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Let requests in flight finish, then end the process and everything it started."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        # Its workers too, when it was killed or did not end in time: they are in the session that it leads.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start(name: str, command: Sequence[str], port: int, host: str = "127.0.0.1", *, folder: Path, environment: Mapping[str, str], log: Path) -> Running:
    """Run a command that serves at this port of the loopback from this folder, and return when it answers; its words go to `log`.

    Raises `ServiceFailed` when the child ends, or does not come up in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    running = Running(name, f"http://{f'[{host}]' if ':' in host else host}:{port}", process, log)
    try:
        _wait_until_ready(running, port)
    except BaseException:
        running.stop()
        raise
    return running


def loopback(host: str) -> str:
    """The address to bind for a host of the loopback; raises `ServiceFailed` for any other."""
    host = "127.0.0.1" if host == "localhost" else host
    if not _is_loopback(host):
        raise ServiceFailed(f"host {host}: a service has no access control of its own and binds to the loopback only; use 127.0.0.1 and a gateway before it")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, port: int) -> int:
    """This port if it is free, a free one for 0; raises `ServiceFailed` for one that is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceFailed(f"port {port} on {host} cannot be used ({error.strerror}); {free_port(host, 0)} is free") from error
        return int(probe.getsockname()[1])


def _wait_until_ready(running: Running, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    # The environment's proxies are for elsewhere.
    with httpx.Client(base_url=running.url, timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                raise ServiceFailed(f"{running.tag} ended with status {running.process.returncode} before it was ready: {_tail(running.log)}")
            if _listens(running.process.pid, port):
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/readyz").status_code == 200:
                        return
            time.sleep(0.05)
    raise ServiceFailed(f"{running.tag} was not ready after {READY_SECONDS:g} s: {_tail(running.log)}")


def _listens(pid: int, port: int) -> bool:
    """Whether this process or one that it started listens on the port: somebody else's listener must not be talked to."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for process in family for c in process.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


def _tail(log: Path, lines: int = 20) -> str:
    with log.open(errors="replace") as file:
        return "".join(deque(file, lines))
