"""The outermost layer, around every route there is or will be: address, token, size and time of the body, headers of the answer."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem, unexpected
from .settings import Settings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Every other method changes something, as far as anyone knows."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Where a route does not set its own."""
DEFAULTS = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
BODIES = frozenset({"content-length", "transfer-encoding", "content-encoding"})
ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
log = logging.getLogger("finml.console")


class Guard:
    """ASGI middleware. A body is read here, whole, before anything behind sees the request; every error ends here as a problem."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._names = settings.names()
        self._token = settings.token.get_secret_value().encode() if settings.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on with its body read and `request.state.actor` set."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        started = False

        async def secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = message.get("headers", ())
                names = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(default for default in DEFAULTS if default[0] not in names)]
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check_address(headers)
            if scope["method"] not in SAFE:
                self._check_origin(headers)
                self._check_token(headers)
            scope.setdefault("state", {})["actor"] = _actor(headers)
            # Nobody waits for the body of a request that announces none.
            body = b"" if scope["method"] in SAFE and BODIES.isdisjoint(headers.keys()) else await self._body(headers, receive)
            scope["finml.body"] = body
            await self.app(scope, _replay(body, receive), secured)
        except Problem as problem:
            await problem.response()(scope, receive, secured)
        except ConnectionResetError:
            log.info("the client left before its request was whole")
        except Exception as error:
            if started:
                raise
            await unexpected(error, scope["method"], scope["path"]).response()(scope, receive, secured)

    def _check_address(self, headers: Headers) -> None:
        if _name(headers.get("host", "")) not in self._names:
            raise Problem(421, "the request is addressed to a host that this server is not; name it in FINML_ALLOWED_HOSTS if it is")

    def _check_origin(self, headers: Headers) -> None:
        """A page of another site can make a browser send a request, but not forge where it comes from."""
        origin = headers.get("origin")
        if origin is not None and _name(urlsplit(origin).netloc) not in self._names:
            raise Problem(403, "the request comes from a page of another site")

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Compared as bytes of latin-1: what a header holds need not be ASCII.
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token):
            raise Problem(401, "this request needs the server's token: Authorization: Bearer …", headers={"WWW-Authenticate": 'Bearer realm="finml"'})

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        limit, seconds = self.settings.body_limit, self.settings.body_seconds
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Problem(415, "compressed bodies are not accepted; send it plain", headers={"Accept-Encoding": "identity"})
        too_large = Problem(413, f"the body is larger than {limit} bytes; send fewer rows", headers={"Connection": "close"})
        announced = headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            raise Problem(400, "Content-Length is not a number")
        # By its digits first: turning a million of them into a number would itself cost seconds.
        if len(announced.lstrip("0")) > 18 or int(announced) > limit:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > limit:
                        raise too_large
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError as error:
            raise Problem(408, f"the body did not arrive within {seconds:g} seconds", headers={"Connection": "close"}) from error


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _name(address: str) -> str:
    """The host of `host:port`, in lower case and without the brackets of an IPv6 address."""
    if address.startswith("["):
        return address[1:].partition("]")[0].lower()
    return address.rpartition(":")[0].lower() if address.count(":") == 1 else address.lower()


def _actor(headers: Headers) -> str:
    """Who the audit trail names: what the caller says of itself, as far as it can be shown."""
    named = headers.get("x-finml-actor", "")
    return named if ACTOR.fullmatch(named) else "api"
