"""`python -m bento.gateway --port N`: one worker that serves, and this process, which holds the port and replaces the worker when it dies.

BentoML's own supervisor looks every ten seconds, and not at all in a container. Here the port stays open while a worker is
replaced, so that who comes meanwhile waits instead of being refused; and the new one begins with all modules loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from bento.gateway.loading import load
from bento.gateway.pool import Version
from bento.gateway.serve import PORT
from bento.gateway.service import application
from bento.process import free_port
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core.errors import LedgerUnavailable, ServiceFailed

HEALTHY_SECONDS = 5.0
"""A worker that lived as long as this had started."""
MOST_FAILED_STARTS = 3
GRACE_SECONDS = 8
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections: who closes first must not be us, or a request would meet a closed one."""
log = logging.getLogger("finml.gateway")


class Supervisor:
    """Keeps one worker alive on a listening socket, until it is told to end."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._stopping = False
        self._worker = 0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status, 1 when workers end again and again before they serve."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        failed = 0
        while not self._stopping:
            began = time.monotonic()
            status = self._serve_once()
            if self._stopping:
                break
            failed = failed + 1 if time.monotonic() - began < HEALTHY_SECONDS else 0
            log.error("the worker ended with status %d after %.1f s", status, time.monotonic() - began)
            if failed >= MOST_FAILED_STARTS:
                return 1
        return 0

    def _serve_once(self) -> int:
        # No signal may be lost between a look at `_stopping` and the moment when there is a worker to pass it on to.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        if self._stopping:
            return 0
        self._worker = os.fork()
        if self._worker == 0:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
            os._exit(_work(self._app, self._listener))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        _, status = os.waitpid(self._worker, 0)
        self._worker = 0
        return os.waitstatus_to_exitcode(status)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True
        if self._worker:
            os.kill(self._worker, signal.SIGTERM)


def _work(app: ASGIApp, listener: socket.socket) -> int:
    """A worker's whole life; returns its exit status."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody stands between: who asks is of no interest here.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        # It said why.
        return 1
    except BaseException:
        log.exception("the worker failed")
        return 1
    return 0 if server.started else 1


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _rehearse() -> None:
    """Answer once with each deployed version: what that imports, all workers to come have. Raises `LedgerUnavailable`."""
    # Its connections must not be shared with a worker.
    with contextlib.closing(Ledger.open()) as ledger:
        for deployment in Deployments(ledger).all():
            for slot in deployment.state.warm():
                _answer_once(ledger, deployment.task, slot)


def _answer_once(ledger: Ledger, task: str, slot: Slot) -> None:
    try:
        load(ledger, Version.of(task, slot))
    except Exception as error:  # noqa: BLE001 - the worker tries again, and tells
        log.warning("%s:%s was not imported ahead: %s", slot.entry, slot.version, error)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bento.gateway", description="Serve all deployed versions on the loopback.")
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT} by default, 0 for a free one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        port = free_port("127.0.0.1", options.port)
        with socket.create_server(("127.0.0.1", port), backlog=2048) as listener:
            _rehearse()
            log.info("the gateway serves at http://127.0.0.1:%d", port)
            sys.exit(Supervisor(application(), listener).run())
    except (LedgerUnavailable, ServiceFailed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
