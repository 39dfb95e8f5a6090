"""The outermost layer: what is too large, too slow, of the wrong type or at the wrong address ends here, as a problem document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from difflib import get_close_matches

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problem import Problem

MOST_BYTES = 2 * 1024 * 1024
BODY_SECONDS = 10.0
ROUTES: Mapping[str, tuple[str, ...]] = {
    "/": ("GET", "HEAD"),
    "/predict": ("POST",),
    "/explain": ("POST",),
    "/openapi.json": ("GET", "HEAD"),
    "/metadata": ("GET", "HEAD"),
    "/livez": ("GET", "HEAD"),
    "/readyz": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
}
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SECURED = tuple((name.lower().encode(), value.encode()) for name, value in SECURITY.items())
OURS = frozenset(name for name, _ in SECURED)
BODY = "finml.body"
"""Where the scope holds the body, for whoever stands right behind the guard."""
log = logging.getLogger("finml.service")
Headers = Mapping[bytes, bytes]
"""By name in lower case; of several the first."""


class Guard:
    """ASGI middleware around the whole server, BentoML's own routes included: only `routes` exist, each with its methods.

    A body is read here, whole, before anything behind sees the request: at most `most_bytes`, within `body_seconds`.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES, body_seconds: float = BODY_SECONDS, routes: Mapping[str, tuple[str, ...]] = ROUTES) -> None:
        self.app = app
        self.routes = routes
        self.most_bytes = most_bytes
        self.body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on with its body already read."""
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
                message["headers"] = [*(pair for pair in message.get("headers", ()) if pair[0].lower() not in OURS), *SECURED]
            await send(message)

        try:
            self._check_address(scope)
            body = scope[BODY] = await self._body(scope, receive)
            await self.app(scope, replay(body, receive), secured)
        except Problem as problem:
            await problem.response()(scope, receive, secured)
        except ConnectionResetError:
            log.info("the client left before its request was whole")
        except Exception:  # the last resort: whatever it was, the client learns nothing of it
            log.exception("%s %s failed", scope["method"], ascii(scope["path"]))
            if started:
                raise
            await Problem(500, "the service failed on this request; its log says why").response()(scope, receive, secured)

    def _check_address(self, scope: Scope) -> None:
        methods = self.routes.get(scope["path"])
        if methods is None:
            # The near ones alone where there are many; the address that was asked for is not repeated.
            near = get_close_matches(scope["path"][:200], self.routes, n=3) or [path for path in self.routes if path.count("/") == 1]
            raise Problem(404, f"there is nothing at this address; the service answers at {', '.join(near)}")
        if scope["method"] not in methods:
            raise Problem(405, f"{scope['path']} takes {' or '.join(methods)}", headers={"Allow": ", ".join(methods)})

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers: Headers = dict(reversed(scope["headers"]))
        # Of no body at all there is nothing to decode.
        if "POST" in self.routes[scope["path"]] and headers.get(b"content-length") != b"0":
            _check_encoding(headers)
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit():
            raise Problem(400, "Content-Length is not a number")
        too_large = Problem(413, f"the body is larger than {self.most_bytes} bytes; send fewer rows", headers={"Connection": "close"})
        # By its digits first: turning a million of them into a number would itself cost seconds.
        if len(announced.lstrip(b"0")) > 18 or int(announced) > self.most_bytes:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > self.most_bytes:
                        raise too_large
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError as error:
            raise Problem(408, f"the body did not arrive within {self.body_seconds:g} seconds", headers={"Connection": "close"}) from error


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then listens on."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _check_encoding(headers: Headers) -> None:
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Problem(415, "compressed bodies are not accepted; send plain JSON", headers={"Accept-Encoding": "identity"})
    media, _, parameters = headers.get(b"content-type", b"").partition(b";")
    charset = parameters.strip().lower().removeprefix(b"charset=").strip(b'"')
    if media.strip().lower() != b"application/json" or charset not in {b"", b"utf-8"}:
        raise Problem(415, "send the request as application/json in UTF-8", headers={"Accept-Post": "application/json"})
