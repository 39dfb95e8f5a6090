"""`Idempotency-Key`: a POST that is sent again gets the answer that it was given, and is not done again."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finml_ledger import Ledger
from finml_ledger.models import AnsweredRequest
from finml_models.core.errors import FinmlError

from .problems import Problem, of

KEY = re.compile(r"[\x21-\x7e]{1,200}")
KEPT = ("content-type", "etag", "location")
ABANDONED = timedelta(minutes=10)
"""After which a request that is still being answered is taken for one whose server died."""
log = logging.getLogger("finml.console")


class Idempotency:
    """ASGI middleware behind the guard, which has read the body. Without the header it does nothing.

    The same key with the same body gives the same answer, marked `Idempotency-Replayed: true`; with another body 422; while the
    first one is being answered 409. An answer of 500 and above is not kept, so that trying again is trying.
    """

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self.app = app
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replay the kept answer, or pass the request on and keep its answer."""
        key = Headers(scope=scope).get("idempotency-key") if scope["type"] == "http" and scope["method"] == "POST" else None
        if key is None:
            await self.app(scope, receive, send)
            return
        if not KEY.fullmatch(key):
            raise Problem(422, "Idempotency-Key must be 1 to 200 printable ASCII characters without spaces; a UUID will do")
        # ASCII: no database of ours can hold a NUL or half a surrogate pair.
        route = f"POST {scope['path']!a}"[:400]
        digest = hashlib.sha256(scope["query_string"] + b"\0" + scope["finml.body"]).hexdigest()
        try:
            kept = await run_in_threadpool(self._claim, route, key, digest)
        except FinmlError as error:
            raise of(error) from error
        if kept is not None:
            await _replay(kept)(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self.app(scope, receive, answer.hear)
        finally:
            try:
                await run_in_threadpool(self._keep, route, key, answer)
            except FinmlError:
                # The client has its answer; sent again, the request is told that it is being answered until it counts as abandoned.
                log.exception("the answer to %s could not be kept", route)

    def _claim(self, route: str, key: str, digest: str) -> AnsweredRequest | None:
        """None when the request is ours to answer; the row of the answer when it was answered; a `Problem` otherwise."""
        now = self._ledger.clock()
        try:
            with self._ledger.write() as session:
                session.add(AnsweredRequest(route=route, key=key, digest=digest, created_at=now))
        except IntegrityError:
            with self._ledger.write() as session:
                row = session.scalar(select(AnsweredRequest).where(AnsweredRequest.route == route, AnsweredRequest.key == key))
                if row is not None and row.digest != digest:
                    raise Problem(422, "this Idempotency-Key was used with another body; use a new one for a new request") from None
                if row is not None and row.status is not None:
                    return row
                if row is None or now - row.created_at < ABANDONED:
                    raise Problem(409, "a request with this Idempotency-Key is being answered; ask again soon", headers={"Retry-After": "1"}) from None
                row.created_at = now
        return None

    def _keep(self, route: str, key: str, answer: _Answer) -> None:
        mine = AnsweredRequest.route == route, AnsweredRequest.key == key
        with self._ledger.write() as session:
            if answer.status is None or answer.status >= 500 or not answer.whole:
                session.execute(delete(AnsweredRequest).where(*mine))
            else:
                session.execute(update(AnsweredRequest).where(*mine).values(status=answer.status, answer=answer.document()))


class _Answer:
    """An answer as it is sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._chunks: list[bytes] = []
        self._headers: MutableMapping[str, str] = {}
        self.status: int | None = None
        self.whole = False

    async def hear(self, message: Message) -> None:
        """Remember a part of the answer and send it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            found = MutableHeaders(scope=message)
            self._headers = {name: found[name] for name in KEPT if name in found}
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))
            self.whole = not message.get("more_body", False)
        await self._send(message)

    def document(self) -> dict[str, Any]:
        """The answer as the ledger keeps it: our answers are text."""
        return {"headers": dict(self._headers), "body": b"".join(self._chunks).decode()}


def _replay(row: AnsweredRequest) -> Response:
    answer = row.answer or {"headers": {}, "body": ""}
    return Response(answer["body"], row.status or 200, {**answer["headers"], "Idempotency-Replayed": "true"})
