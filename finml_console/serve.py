"""Serving the REST API in this process until it is asked to end."""

from __future__ import annotations

import signal
from contextlib import suppress

import uvicorn

from .app import create_app
from .settings import Settings

GRACE_SECONDS = 10


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight finish first, within `GRACE_SECONDS`.

    Raises `ServiceFailed` or `LedgerUnavailable` when it cannot start; a port that is taken ends the process with status 1.
    """
    app = create_app(settings)
    # uvicorn sends itself the signal again once it has ended well; being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            server_header=False,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            log_level="warning",
        )
