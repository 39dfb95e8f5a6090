"""A public file on this machine: a server on the loopback, and a table that names it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class PublicFile:
    """What the server answers, and what it was asked."""

    content: bytes
    status: int = 200
    asked: list[str] = field(default_factory=list)
    address: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def table(self, *, name: str = "closes.csv", more: str = "", sha256: str = "") -> str:
        """A table `[datasets.public]` for the file."""
        return f"""
            [datasets.public]
            title = "closes of a test"
            source = "download"
            url = "{self.address}/{name}"
            sha256 = "{sha256 or self.sha256}"
            terms = "none: made for a test"
            {more}
        """


@contextmanager
def served(content: bytes) -> Iterator[PublicFile]:
    """The content under every path of a server that lives as long as the block."""
    file = PublicFile(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file.asked.append(self.path)
            self.send_response(file.status)
            self.send_header("Content-Length", str(len(file.content)))
            self.end_headers()
            self.wfile.write(file.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    file.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
