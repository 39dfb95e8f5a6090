"""Stylesheet, scripts and vendored libraries of the console: served from here, addressed by their content, kept by browsers for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).with_name("static")
FOREVER = "public, max-age=31536000, immutable"
PREFIX = "/static"


class _Kept(StaticFiles):
    """Files that a browser need not ask for again: their address changes with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, _, rest = path.partition("/")
        response = await super().get_response(rest if version == digest() else path, scope)
        if version == digest() and response.status_code == 200:
            response.headers["Cache-Control"] = FOREVER
        return response


def mount(app: FastAPI) -> None:
    """Serve the files below `/static`."""
    app.mount(PREFIX, _Kept(directory=FOLDER), name="static")


def address(path: str) -> str:
    """Where a file is served: under the digest of all of them, so that modules which import each other by relative paths are of one version."""
    return f"{PREFIX}/{digest()}/{path}"


@lru_cache(maxsize=1)
def digest() -> str:
    """Of names and contents of all files."""
    whole = hashlib.sha256()
    for file in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        whole.update(file.relative_to(FOLDER).as_posix().encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:12]
