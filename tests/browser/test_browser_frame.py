"""What surrounds every page: the way in by keyboard, the theme, the page of an error, and the guard of these tests itself."""

from __future__ import annotations

import re

import pytest
from live_console import Console
from playwright.sync_api import Browser, expect
from watch import Watch, watching

NOWHERE = "/ui/nowhere"


@pytest.fixture
def lost(watch: Watch) -> Watch:
    """A window at a page that there is not."""
    watch.expect(404, NOWHERE)
    watch.open(NOWHERE)
    return watch


def test_the_page_of_an_error_says_what_is_wrong_and_leads_on(lost: Watch) -> None:
    expect(lost.page.get_by_role("heading", level=1)).to_have_text("Not Found")
    expect(lost.page.get_by_role("alert")).to_contain_text(f"there is nothing at {NOWHERE}")
    expect(lost.page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_count(6)


def test_the_first_tab_leads_past_the_navigation(lost: Watch) -> None:
    lost.page.keyboard.press("Tab")
    skip = lost.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    lost.page.keyboard.press("Enter")
    expect(lost.page.get_by_role("main")).to_be_focused()


def test_a_theme_that_was_chosen_stays_and_the_system_decides_otherwise(lost: Watch) -> None:
    page, root = lost.page, lost.page.locator("html")
    button = page.get_by_role("button", name=re.compile("^Theme: "))
    expect(button).to_have_accessible_name("Theme: system. Change it")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    for theme in ("light", "dark"):
        button.focus()
        page.keyboard.press("Enter")
        expect(root).to_have_attribute("data-theme", theme)
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    expect(button).to_have_accessible_name("Theme: dark. Change it")
    button.click()
    expect(root).not_to_have_attribute("data-theme", re.compile(".*"))
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("console.error('broken')", "console error: broken"),
        ("console.warn('odd')", "console warning: odd"),
        ("setTimeout(() => { throw new Error('lost') })", "lost"),
        ("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))", "content policy: script-src-elem: inline"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://localhost:9/x.png'}))", "another host: http://localhost:9/x.png"),
        ("fetch('/models/nothing')", "status 404 of GET"),
    ],
)
def test_what_goes_wrong_in_a_page_fails_its_test(does: str, said: str, browser: Browser, shared: Console) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        visit(browser, shared, does)


def test_an_expected_error_that_does_not_come_fails_too(browser: Browser, shared: Console) -> None:
    visit(browser, shared, "0")
    with pytest.raises(AssertionError, match="status 409 at /v1 was expected"):
        visit(browser, shared, "0", (409, "/v1"))


def visit(browser: Browser, console: Console, does: str, *expected: tuple[int, str]) -> None:
    """Look at the page of an error, and do something there."""
    with watching(browser, console.url) as watch:
        for status, path in ((404, NOWHERE), *expected):
            watch.expect(status, path)
        watch.open(NOWHERE).evaluate(f"() => {{ {does} }}")
        watch.page.wait_for_timeout(300)
