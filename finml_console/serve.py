"""Serving the REST API in this process until it is asked to end."""

from __future__ import annotations

import uvicorn

from .app import create_app
from .settings import Settings

GRACE_SECONDS = 10


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight finish first. Raises `ServiceFailed` or `LedgerUnavailable` when it cannot start."""
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        server_header=False,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        log_level="warning",
    )
