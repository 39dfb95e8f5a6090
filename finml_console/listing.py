"""The list of models, answered before the application looks for its route: what everybody asks for first costs no more than a constant does."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from finml_models.core import catalog
from finml_models.core.errors import FinmlError

from .problems import of
from .routes.catalogue import listed
from .services.evidence import Evidences

PATH = "/models/list"
READY = {"true": True, "false": False}
Filters = tuple[str | None, str | None, bool | None]
"""Category, use case, production ready."""


class Listing:
    """ASGI middleware behind the guard. What it cannot read, and every other address, is the application's, which documents this one too."""

    def __init__(self, app: ASGIApp, evidence: Evidences) -> None:
        self.app = app
        self._evidence = evidence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on. Raises `Problem` where the ledger is away."""
        filters = None
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            filters = filters_of(scope["query_string"])
        if filters is None:
            await self.app(scope, receive, send)
            return
        try:
            content = listed(*filters, await self._evidence.ready_lately())
        except FinmlError as error:
            raise of(error) from error
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@lru_cache(maxsize=256)
def filters_of(query: bytes) -> Filters | None:
    """The filters of a query that holds nothing else, each once and with a value that there is; None where the route has to look at it."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    found = dict(pairs)
    category, use_case, ready = (found.pop(name, None) for name in ("category", "use_case", "production_ready"))
    known = category in {None, *map(str, catalog.categories())} and use_case in {None, *catalog.tasks()} and ready in {None, *READY}
    if found or len(pairs) != len(dict(pairs)) or not known:
        return None
    return category, use_case, None if ready is None else READY[ready]
