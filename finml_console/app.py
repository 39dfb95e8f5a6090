"""The REST API and the web console as one application: every module of `routes` and `pages`, behind one guard."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from types import ModuleType

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from finml_ledger import Ledger

from . import assets, pages, problems, routes
from .idempotency import Idempotency
from .listing import Listing
from .openapi import describe
from .pages._render import answer
from .security import Guard
from .services import Services
from .services.gateway import Gateway
from .settings import Settings, load

COMPRESSED_BYTES = 1_400
"""What fits into one packet gains nothing by being smaller."""
DESCRIPTION = """The catalogue of models, their training, their versions and what serves: looked at, changed, watched and asked.

Every error is a problem document (RFC 9457). A post that changes something may carry an `Idempotency-Key`, a change of a deployment an `If-Match`."""


def create_app(settings: Settings | None = None, *, ledger: Ledger | None = None, gateway: Gateway | None = None) -> FastAPI:
    """The application. What is not given comes from the environment.

    Raises `ServiceFailed` on settings that are refused, `LedgerUnavailable` when the ledger cannot be opened.
    """
    settings = settings or load()
    opened = ledger or Ledger.open(settings.ledger_url)
    services = Services.of(opened, gateway or Gateway(settings.gateway_url, seconds=settings.gateway_seconds))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await services.gateway.close()
        if ledger is None:
            opened.close()

    # The stock pages of documentation load scripts from elsewhere.
    app = FastAPI(title="finml", version=_version(), docs_url=None, redoc_url=None, lifespan=lifespan, description=DESCRIPTION)
    app.state.settings, app.state.ledger, app.state.services = settings, opened, services
    problems.install(app, answer=answer)
    for router in (*routers(routes), *routers(pages)):
        app.include_router(router)
    assets.mount(app)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.add_middleware(Idempotency, ledger=opened)
    # Events are never held back for it, and what is refused outside of it is short.
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES, compresslevel=5)
    app.add_middleware(Listing, evidence=services.evidence)
    app.add_middleware(Guard, settings=settings)
    return app


def routers(package: ModuleType) -> list[APIRouter]:
    """The routers of every module of a package; those whose parameters stand nearest to the root come last, so that they hide no literal path."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    found = [import_module(f"{package.__name__}.{name}").router for name in names]
    return sorted(found, key=lambda router: -_first_parameter(router))


def _first_parameter(router: APIRouter) -> int:
    depths = [path[: path.index("{")].count("/") for route in router.routes if "{" in (path := getattr(route, "path", ""))]
    return min(depths, default=99)


def _version() -> str:
    from importlib.metadata import version

    return version("finml")
