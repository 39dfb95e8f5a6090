"""A server with a token: looking needs none, changing asks for it once, and a wrong one is said to be wrong."""

from __future__ import annotations

from pathlib import Path

from console_cases import TASK
from live_console import served
from playwright.sync_api import Browser, expect
from seeded import Seeded
from watch import watching

TOKEN = "a-secret-of-some-length"  # noqa: S105


def test_a_change_asks_for_the_token_and_goes_on_with_it(browser: Browser, seeded: Seeded, tmp_path: Path) -> None:
    with served(seeded, tmp_path, token=TOKEN) as console, watching(browser, console.url) as watch:
        page = watch.open(f"/ui/deployments/{TASK}")
        watch.expect(401, f"/v1/deployments/{TASK}/promote")
        page.get_by_role("button", name="Promote").first.click()
        page.get_by_role("dialog", name="Promote").get_by_role("button", name="Promote").click()
        asked = page.get_by_role("dialog", name="This server asks for its token")
        expect(asked.get_by_label("Token")).to_be_focused()
        expect(asked.get_by_text("did not take")).to_be_hidden()
        for token in ("a-wrong-one-of-some-length", TOKEN):
            asked.get_by_label("Token").fill(token)
            asked.get_by_label("Token").press("Enter")
            if token != TOKEN:
                expect(asked.get_by_text("did not take the one that was given")).to_be_visible()
        expect(page.get_by_role("region", name="Roles").get_by_role("row", name="champion EWMA")).to_be_visible()
        assert console.deployments.now(TASK).state.champion == seeded.challenger
        # It is kept for the tab alone, and asked for no second time.
        page.reload()
        page.get_by_role("button", name="Roll back").first.click()
        page.get_by_role("dialog", name="Roll back").get_by_role("button", name="Roll back").click()
        expect(page.get_by_role("region", name="Roles").get_by_role("row", name="champion log-HAR")).to_be_visible()
        assert page.evaluate("localStorage.length") == 0
        assert TOKEN not in page.content()


def test_a_question_for_the_token_that_is_left_leaves_everything_as_it_was(browser: Browser, seeded: Seeded, tmp_path: Path) -> None:
    with served(seeded, tmp_path, token=TOKEN) as console, watching(browser, console.url) as watch:
        page = watch.open(f"/ui/deployments/{TASK}")
        before = console.deployments.position()
        watch.expect(401, f"/v1/deployments/{TASK}/promote")
        page.get_by_role("button", name="Promote").first.click()
        question = page.get_by_role("dialog", name="Promote")
        question.get_by_role("button", name="Promote").click()
        page.get_by_role("dialog", name="This server asks for its token").get_by_role("button", name="Leave it").click()
        expect(question.get_by_role("alert")).to_contain_text("needs the server's token")
        assert console.deployments.position() == before
