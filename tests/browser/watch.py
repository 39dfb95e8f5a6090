"""A window of a browser in which nothing goes wrong unseen: no error on its console, no refused content, no other host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 400, "height": 800}
LEFT = "net::ERR_ABORTED"
"""How a request ends whose page was left."""
REFUSED = "Failed to load resource"
"""How the browser's console begins to tell of an answer that is an error."""
LISTENS = "addEventListener('securitypolicyviolation', (e) => finmlViolated(`${e.effectiveDirective}: ${e.blockedURI} at ${e.sourceFile}:${e.lineNumber}`))"


@dataclass
class Watch:
    """A page, and what went wrong in its window. `expect` takes one thing from what is wrong; that it comes is then a duty."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    _expected: list[tuple[int, str]] = field(default_factory=list)
    _came: set[tuple[int, str]] = field(default_factory=set)
    _asked: set[Request] = field(default_factory=set)

    def expect(self, status: int, path: str) -> None:
        """An answer with this status at an address whose path begins so belongs to the test."""
        self._expected.append((status, path))

    def open(self, path: str) -> Page:
        """Go to a page of the server, and wait until all parts that it asks for have come."""
        self.page.goto(self.url + path)
        self.settle()
        return self.page

    def settle(self, seconds: float = 15.0) -> None:
        """Wait until nothing is asked for any more; streams of events go on."""
        deadline, quiet = time.monotonic() + seconds, 0
        while quiet < 3:
            self.page.wait_for_timeout(40)
            quiet = quiet + 1 if not self._asked else 0
            assert time.monotonic() < deadline, f"no answer came from {[request.url for request in self._asked]}"

    def check(self) -> None:
        """Fail on everything that went wrong, and on every expected error that did not come."""
        absent = [f"status {status} at {path} was expected and did not come" for status, path in self._expected if (status, path) not in self._came]
        if faults := [*self.faults, *absent]:
            raise AssertionError("\n".join(faults))

    def listen(self, context: BrowserContext) -> None:
        """Hear everything that a context tells."""
        context.expose_binding("finmlViolated", lambda _source, said: self.faults.append(f"content policy: {said}"))
        context.add_init_script(LISTENS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfailed", self._failed)
        context.on("requestfinished", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        place: Any = message.location
        known = message.text.startswith(REFUSED) and any(f"status of {status} " in message.text for status, _ in self._matching(place.get("url", "")))
        if message.type in {"error", "warning"} and not known:
            self.faults.append(f"console {message.type}: {message.text} ({place.get('url')}:{place.get('lineNumber')})")

    def _error(self, error: WebError) -> None:
        self.faults.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        if request.resource_type != "eventsource":
            self._asked.add(request)
        if urlsplit(request.url).scheme not in {"data", "blob"} and urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.faults.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            known = [expected for expected in self._matching(response.url) if expected[0] == response.status]
            self._came.update(known)
            if not known:
                self.faults.append(f"status {response.status} of {response.request.method} {response.url}")

    def _answered(self, request: Request) -> None:
        self._asked.discard(request)

    def _failed(self, request: Request) -> None:
        self._asked.discard(request)
        if request.failure != LEFT:
            self.faults.append(f"{request.method} {request.url} failed: {request.failure}")

    def _matching(self, url: str) -> list[tuple[int, str]]:
        return [expected for expected in self._expected if urlsplit(url).path.startswith(expected[1])]


@contextmanager
def watching(browser: Browser, url: str, **options: Any) -> Iterator[Watch]:
    """A window of its own, with nothing kept from another; what went wrong in it fails whoever opened it. `options` are a context's."""
    context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", "timezone_id": "UTC", "color_scheme": "light", **options})
    context.set_default_timeout(10_000)
    try:
        started = Watch(context.new_page(), url)
        started.listen(context)
        yield started
        # What the page has said by now, but not told yet, comes with the answer.
        if not started.page.is_closed():
            started.page.evaluate("0")
    finally:
        context.close()
    started.check()
