"""How soon a page is there for somebody who has never seen it, and how much of the line that takes."""

from __future__ import annotations

from typing import Any

import pytest
from every_page import PAGES
from live_console import Console
from playwright.sync_api import Browser
from watch import watching

KILOBYTES = 200
SECONDS = 1.0
BUSY = 3.0
"""How much longer it may take on a machine that does other things too; alone it takes a third of a second."""
TRIES = 3


def cold(browser: Browser, console: Console, path: str) -> tuple[float, float]:
    """Seconds until a page has loaded in a window without a cache, and kilobytes that came over the wire by the time that it was quiet."""
    came: list[float] = []
    with watching(browser, console.url) as watch:
        wire = watch.page.context.new_cdp_session(watch.page)
        wire.send("Network.enable")

        def finished(said: dict[str, Any]) -> None:
            came.append(said["encodedDataLength"])

        wire.on("Network.loadingFinished", finished)
        page = watch.open(path)
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert len(came) >= 5, "the page, its style and its scripts"
    return loaded / 1000, sum(came) / 1024


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_and_its_load_is_measured(name: str, browser: Browser, shared: Console, capsys: pytest.CaptureFixture[str]) -> None:
    path = PAGES[name](shared)
    tries = []
    while len(tries) < TRIES and (not tries or min(tries)[0] > SECONDS):
        tries.append(cold(browser, shared, path))
    seconds, kilobytes = min(tries)
    with capsys.disabled():
        print(f"\n{name}: {seconds:.2f} s, {kilobytes:.0f} KB", end="")
    assert kilobytes < KILOBYTES
    assert seconds < SECONDS * BUSY, f"{seconds:.2f} s at best of {TRIES}"
