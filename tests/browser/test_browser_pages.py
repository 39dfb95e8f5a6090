"""What holds for every page: it is whole, everything on it is reached by keyboard and seen to be reached, and it fits a telephone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from every_page import PAGES
from live_console import Console
from playwright.sync_api import Browser, expect
from watch import NARROW, WIDE, Watch, watching

LEVELS = "found => found.filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1]))"
REACHED = """found => found
    .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0)
    .filter((one) => {
        one.focus({ focusVisible: true });
        const style = getComputedStyle(one);
        return document.activeElement !== one || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1;
    })
    .map((one) => one.outerHTML.slice(0, 160))"""
TOO_WIDE = """() => [...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .log, dialog, [popover]"))
    .map((one) => one.outerHTML.slice(0, 160))"""


@pytest.fixture
def watch(browser: Browser, shared: Console) -> Iterator[Watch]:
    """A window before the server that all of these share."""
    with watching(browser, shared.url) as started:
        yield started


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_is_used_by_keyboard_and_fits_its_window(name: str, watch: Watch, shared: Console) -> None:
    page = watch.open(PAGES[name](shared))
    assert page.title().endswith(" · finml")
    expect(page.get_by_role("navigation", name="Main").locator("[aria-current=page]")).to_have_count(1)
    levels = page.locator("main :is(h1, h2, h3, h4, h5, h6)").evaluate_all(LEVELS)
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    unseen = page.locator("a[href], button, input, select, textarea, summary, [tabindex]").evaluate_all(REACHED)
    assert not unseen
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        over = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert over <= 0, (size["width"], page.evaluate(TOO_WIDE)[:5])
