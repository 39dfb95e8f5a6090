"""The gateway as a BentoML service. BentoML reads these annotations, so they stay real."""

import os
from typing import TYPE_CHECKING

# Read by torch and numpy when they load; threads cost a small model more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import bentoml

from bento.gateway.app import Api, addresses
from bento.gateway.app import Gateway as Parts
from bento.guard import Guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

api = Api()
guarded = Guard(api, routes=addresses())


# Metrics are our own: by task, version and role. Nobody collects traces, and to begin a span costs more than a small network.
@bentoml.service(
    name="finml_gateway",
    workers=1,
    traffic={"timeout": 60},
    http={"host": "127.0.0.1"},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [".*"]},
)
@bentoml.asgi_app(api)
class Gateway:
    """All deployed versions behind one port."""

    @bentoml.on_startup
    async def start(self) -> None:
        """Read the ledger and begin to load what is deployed."""
        # The first request would otherwise wait for it.
        import pandas  # noqa: F401, ICN001

        from bento.gateway.settings import Settings
        from finml_ledger import Ledger

        api.gateway = Parts(Ledger.open(), Settings())
        await api.gateway.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Log what was answered."""
        await api.gateway.stop()

    def __is_ready__(self) -> bool:
        """Whether every champion is loaded, or known to fail; the problem document says so."""
        api.gateway.check_ready()
        return True


Gateway.add_asgi_middleware(Guard, routes=addresses())


def application() -> "ASGIApp":
    """The service's application, with our own routes before BentoML's layers, none of which they need; what it does at start and stop is done."""
    service = Gateway.to_asgi()

    async def serve(scope: "Scope", receive: "Receive", send: "Send") -> None:
        await (service if scope["type"] == "lifespan" else guarded)(scope, receive, send)

    return serve
