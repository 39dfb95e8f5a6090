"""Changing what serves, and watching how it does."""

from __future__ import annotations

import re

from console_cases import GRU_1, TASK
from live_console import Console
from playwright.sync_api import Locator, Page, expect
from watch import Watch

HERE = f"/ui/deployments/{TASK}"


def asked(page: Page) -> Locator:
    """The question that is open."""
    return page.get_by_role("dialog").filter(visible=True)


def roles(page: Page) -> Locator:
    """The table of who serves."""
    return page.get_by_role("region", name="Roles")


def test_traffic_is_split_by_keyboard_after_a_question_that_says_what_will_happen(watch: Watch, console: Console) -> None:
    page = watch.open(HERE)
    slider = page.get_by_role("slider", name="Share of the challenger")
    slider.focus()
    page.keyboard.press("PageUp")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    percent = int(slider.input_value())
    assert percent > 25
    expect(page.get_by_role("region", name="Change it").get_by_role("status")).to_have_text(f"{percent} %")
    page.get_by_role("button", name="Split", exact=True).press("Enter")
    expect(asked(page)).to_contain_text(f"{percent} % to EWMA")
    asked(page).get_by_label("Reason").fill("it does well")
    page.keyboard.press("Enter")
    expect(roles(page).get_by_role("row", name="challenger")).to_contain_text(f"{percent}%")
    expect(page.get_by_role("heading", name="Serves now")).to_be_focused()
    held = console.deployments.now(TASK)
    assert (held.state.share, held.reason, held.actor) == (percent / 100, "it does well", "console")


def test_a_question_that_is_left_changes_nothing(watch: Watch, console: Console) -> None:
    page = watch.open(HERE)
    before = console.deployments.position()
    for leave in (lambda: asked(page).get_by_role("button", name="Leave it").click(), lambda: page.keyboard.press("Escape")):
        page.get_by_role("button", name=re.compile("^Promote")).click()
        expect(asked(page)).to_be_visible()
        leave()
        expect(asked(page)).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Promote"))).to_be_focused()
    assert console.deployments.position() == before


def test_a_challenger_is_promoted_and_rolled_back_within_a_second_each(watch: Watch, console: Console) -> None:
    page = watch.open(HERE)
    page.get_by_role("button", name=re.compile("^Promote EWMA")).click()
    asked(page).get_by_role("button", name="Promote").click()
    expect(roles(page).get_by_role("row", name="champion EWMA")).to_contain_text("100%")
    assert console.deployments.now(TASK).state.champion == console.seeded.challenger
    page.get_by_role("button", name=re.compile("^Roll back to log-HAR")).click()
    asked(page).get_by_role("button", name="Roll back").click()
    expect(roles(page).get_by_role("row", name="champion log-HAR")).to_contain_text("100%")
    assert console.deployments.now(TASK).state.champion == console.seeded.champion
    took = re.search(r"(\d+) ms, revision", page.get_by_role("status").filter(has_text="Rolled back").inner_text())
    assert took is not None
    assert int(took[1]) < 1000
    expect(page.get_by_role("region", name="Changes").get_by_role("row")).to_have_count(5)


def test_of_two_changes_the_later_one_is_told_what_holds(watch: Watch, console: Console) -> None:
    page = watch.open(HERE)
    console.deployments.split(TASK, console.seeded.challenger, 0.5, actor="ben", reason="meanwhile")
    watch.expect(409, f"/v1/deployments/{TASK}/promote")
    page.get_by_role("button", name=re.compile("^Promote")).click()
    asked(page).get_by_role("button", name="Promote").click()
    told = asked(page).get_by_role("alert")
    expect(told).to_contain_text("Revision 3 holds")
    expect(asked(page).get_by_role("button", name="Promote")).to_be_hidden()
    told.get_by_role("button", name="Show what holds now").click()
    expect(roles(page).get_by_role("row", name="challenger")).to_contain_text("50%")
    assert console.deployments.now(TASK).action == "split"


def test_a_version_that_does_not_become_ready_is_not_deployed_and_says_why(watch: Watch, console: Console) -> None:
    page = watch.open(HERE)
    chosen = page.get_by_label("Version", exact=True).first
    chosen.select_option(f"{GRU_1.entry}:{GRU_1.version}")
    console.gateway.refuses.add(GRU_1)
    before = console.deployments.position()
    watch.expect(503, f"/v1/deployments/{TASK}/deploy")
    page.get_by_role("button", name="Deploy", exact=True).click()
    asked(page).get_by_role("button", name="Deploy").click()
    expect(asked(page).get_by_role("alert")).to_contain_text("does not match its manifest")
    assert console.deployments.position() == before


def test_what_serves_is_asked_with_an_example(watch: Watch) -> None:
    page = watch.open(HERE)
    page.get_by_role("textbox", name="Request").fill('{"rows": [{"entity": "sp500", "time": "2018-12-31", "close": 2506.85}]}')
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("region", name="Prediction")).to_contain_text("sp500")
    expect(page.get_by_text("far from training", exact=True)).to_be_visible()
    page.get_by_role("textbox", name="Request").fill("{rows")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("textbox", name="Request")).to_have_accessible_error_message(re.compile("not JSON"))


def test_monitoring_says_how_each_version_does_and_what_is_alarming(watch: Watch, console: Console) -> None:
    page = watch.open("/ui/monitoring")
    row = page.get_by_role("region", name="Deployed use cases").get_by_role("row", name="Volatility forecasting")
    expect(row).to_contain_text("log-HAR")
    row.get_by_role("link", name="Volatility forecasting").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Volatility forecasting"))
    expect(page.get_by_text("2 of 9 inputs drifted: log_var_d, return_d").first).to_be_visible()
    expect(page.locator("figure.chart canvas").first).to_be_visible()
    expect(page.get_by_role("region", name=re.compile("^Drift of log-HAR"))).to_be_visible()


def test_a_retraining_starts_from_what_is_monitored(watch: Watch, console: Console) -> None:
    page = watch.open(f"/ui/monitoring/{TASK}")
    page.get_by_role("button", name=re.compile("[Tt]rain")).click()
    asked(page).get_by_role("button", name="Train").click()
    page.wait_for_url(re.compile(r"/ui/train/[0-9a-f-]{36}$"))
    (launched,) = console.dagster.launched
    assert {"key": "finml/entry", "value": "log_har"} in launched["executionMetadata"]["tags"]
