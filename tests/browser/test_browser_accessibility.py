"""axe-core finds nothing serious on any page: light and dark, wide and narrow, nor in the dialogs and under an error."""

from __future__ import annotations

from collections.abc import Iterator

import axe
import pytest
from chromium import missing
from console_cases import TASK
from every_page import PAGES
from live_console import Console
from playwright.sync_api import Browser
from watch import NARROW, WIDE, Watch, watching

COLOURS = ("color-contrast",)
"""Of all rules those that another theme can break."""


@pytest.fixture(scope="module")
def script() -> str:
    """axe-core's source."""
    try:
        return axe.source()
    except axe.Unavailable as error:
        missing(str(error))


@pytest.fixture
def watch(browser: Browser, shared: Console) -> Iterator[Watch]:
    """A window before the server that all of these share."""
    with watching(browser, shared.url) as started:
        yield started


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_finding(name: str, watch: Watch, shared: Console, script: str) -> None:
    page = watch.open(PAGES[name](shared))
    page.evaluate(script)
    found = {}
    for scheme, rules in (("light", ()), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            page.wait_for_timeout(100)
            found[f"{scheme}, {size['width']}"] = axe.findings(page, rules)
    assert not any(found.values()), "\n".join(f"{where}: {what}" for where, all_of_it in found.items() for what in all_of_it)


def test_the_page_of_an_error_and_the_dialogs_have_none(watch: Watch, script: str) -> None:
    watch.expect(404, "/ui/nowhere")
    page = watch.open("/ui/nowhere")
    page.evaluate(script)
    assert axe.findings(page) == []
    page = watch.open(f"/ui/deployments/{TASK}")
    page.evaluate(script)
    page.get_by_role("button", name="Promote").first.click()
    assert page.get_by_role("dialog").is_visible()
    assert axe.findings(page) == []


def test_what_is_wrong_is_found(watch: Watch, script: str) -> None:
    watch.expect(404, "/ui/nowhere")
    page = watch.open("/ui/nowhere")
    page.evaluate(script)
    page.evaluate("document.querySelector('main').append(document.createElement('button'), document.createElement('input'))")
    assert {found.split()[0] for found in axe.findings(page)} == {"button-name", "label"}
