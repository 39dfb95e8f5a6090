"""The system's Chromium, started without what calls home; and what becomes of a test where it is absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that goes on and on ends itself before the machine does.
    "--js-flags=--max-old-space-size=512",
    # Its sandbox refuses to be root's.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)
expect.set_options(timeout=10_000)


def missing(reason: str) -> NoReturn:
    """Skip a test whose means are not there, or fail it where they are required."""
    if os.environ.get("FINML_BROWSER") == "required":
        pytest.fail(f"{reason} (FINML_BROWSER=required)")
    pytest.skip(reason)


def executable() -> str:
    """The path of the browser."""
    named = os.environ.get("FINML_CHROMIUM")
    if named and shutil.which(named) is None:
        pytest.fail(f"FINML_CHROMIUM names {named}, which cannot be run")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    return found or missing(f"no browser: none of {', '.join(NAMES)} is on the PATH; install Debian's chromium, or name one in FINML_CHROMIUM")


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser until the block ends. Meanwhile nothing in this thread can run an event loop of its own."""
    path = executable()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()
