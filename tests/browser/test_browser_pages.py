"""What holds for every page: it is whole, it goes well, it is found by its landmarks, and it fits a telephone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from every_page import PAGES
from live_console import Console
from playwright.sync_api import Browser, expect
from watch import NARROW, WIDE, Watch, watching

every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture
def watch(browser: Browser, shared: Console) -> Iterator[Watch]:
    """A window before the server that all of these share."""
    with watching(browser, shared.url) as started:
        yield started


@every_page
def test_a_page_has_a_title_one_heading_and_no_level_left_out(name: str, watch: Watch, shared: Console) -> None:
    page = watch.open(PAGES[name](shared))
    assert page.title().endswith(" · finml")
    levels = [int(tag[1]) for tag in page.locator("main").locator("h1, h2, h3, h4, h5, h6").evaluate_all("found => found.filter(h => h.checkVisibility()).map(h => h.tagName)")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), levels
    expect(page.get_by_role("navigation", name="Main").locator("[aria-current=page]")).to_have_count(1)


@every_page
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_is_no_wider_than_its_window(size: dict[str, int], name: str, watch: Watch, shared: Console) -> None:
    watch.page.set_viewport_size(size)
    page = watch.open(PAGES[name](shared))
    wide = page.evaluate("[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, .log, dialog, [popover]')).map((e) => `${e.tagName} ${e.className}`).slice(0, 5)")
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0, wide


@every_page
def test_whoever_goes_by_keyboard_reaches_everything_and_sees_where_they_are(name: str, watch: Watch, shared: Console) -> None:
    page = watch.open(PAGES[name](shared))
    reachable = page.evaluate("[...document.querySelectorAll('main :is(a[href], button, input, select, textarea, summary)')].filter((e) => e.checkVisibility() && !e.disabled).length")
    page.get_by_role("main").focus()
    seen = 0
    for _ in range(min(reachable, 25)):
        page.keyboard.press("Tab")
        at = page.evaluate("(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.closest('main') !== null, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]; })()")
        if at[0]:
            seen += 1
            assert at[1], page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert seen >= min(reachable, 25) / 2
