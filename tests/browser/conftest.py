"""What every test of the pages starts from: a seeded state, a server over a copy of it, and a window in which nothing may go wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "console"))
from chromium import launched
from live_console import Console, served
from seeded import Seeded, seed
from watch import Watch, watching


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, no longer than a module: other tests in this thread run event loops."""
    with launched() as started:
        yield started


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """A state folder that is copied, never served."""
    folder = tmp_path_factory.mktemp("seeded") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(folder))
        return seed(folder)


@pytest.fixture(scope="module")
def shared(seeded: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A server for a module whose tests change nothing."""
    with served(seeded, tmp_path_factory.mktemp("shared")) as console:
        yield console


@pytest.fixture
def console(seeded: Seeded, tmp_path: Path) -> Iterator[Console]:
    """A server of the test's own."""
    with served(seeded, tmp_path) as started:
        yield started


@pytest.fixture
def watch(browser: Browser, console: Console) -> Iterator[Watch]:
    """A window before the test's own server, in which nothing may go wrong that the test does not expect."""
    with watching(browser, console.url) as started:
        yield started


@pytest.fixture
def page(watch: Watch) -> Page:
    """The page in that window."""
    return watch.page
