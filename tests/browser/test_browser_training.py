"""A training from the form to the verdict, as a page tells it while it happens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import runs
from console_cases import TASK
from fake_dagster import ASSETS
from live_console import Console
from playwright.sync_api import expect
from watch import Watch

from finml_console.routes import training as routes
from finml_console.services.feeds import Feed

FORM = f"/ui/train?use_case={TASK}&model_id=gru"


def test_a_wrong_value_is_said_at_its_field_and_the_right_one_starts_a_run(watch: Watch, console: Console) -> None:
    watch.expect(422, "/models/configure")
    page = watch.open(FORM)
    hidden = page.get_by_label("Hidden", exact=True)
    hidden.fill("4")
    hidden.press("Enter")
    expect(hidden).to_be_focused()
    expect(hidden).to_have_attribute("aria-invalid", "true")
    expect(hidden).to_have_accessible_error_message(re.compile("greater than or equal to 8"))
    assert console.dagster.launched == []
    hidden.fill("32")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/ui/train/[0-9a-f-]{36}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("GRU, volatility forecasting")
    (launched,) = console.dagster.launched
    tags = {tag["key"]: tag["value"] for tag in launched["executionMetadata"]["tags"]}
    assert (tags["finml/entry"], tags["finml/actor"]) == ("gru", "console")
    page.get_by_text("Hyperparameters (").click()
    expect(page.get_by_role("row", name="hidden")).to_contain_text("32")


def test_the_form_is_of_the_model_that_is_chosen(watch: Watch) -> None:
    page = watch.open("/ui/train")
    page.get_by_label("Use case", exact=True).select_option("credit_risk")
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("."))
    page.get_by_label("Model", exact=True).select_option("tabm")
    expect(page.get_by_role("group", name="Hyperparameters of TabM")).to_be_visible()
    expect(page).to_have_url(re.compile("model_id=tabm"))
    page.reload()
    expect(page.get_by_role("group", name="Hyperparameters of TabM")).to_be_visible()


def test_a_run_is_followed_to_its_end_and_shows_its_verdict(watch: Watch, console: Console) -> None:
    page = watch.open(f"/ui/train/{console.going}")
    bar = page.get_by_role("progressbar", name="Progress of the run")
    expect(bar).to_be_visible()
    before = float(bar.get_attribute("value") or "nan")
    assert 0 < before < 100
    for epoch in range(4, 7):
        runs.learn(console.dagster, console.going, epoch)
    expect(page.get_by_text("6 of at most 6")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("training loss from 1.000 to 0.1667.*after epoch 6"))).to_be_visible()
    assert float(bar.get_attribute("value") or "nan") > before
    runs.finish(console.dagster, console.going)
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")
    expect(bar).to_have_attribute("value", "100")
    expect(page.get_by_role("button", name="Cancel run")).to_be_hidden()
    # The ledger has no judgement of this one, which the page says without being loaded again.
    expect(page.get_by_text("the ledger has no judgement of it")).to_be_visible()


def test_a_connection_that_breaks_is_taken_up_where_it_broke(watch: Watch, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = routes.stream

    async def broken(feed: Feed, after: int, heartbeat: float) -> AsyncIterator[str]:
        asked.append(after)
        heard = 0
        async for text in whole(feed, after, heartbeat):
            # At once, not after the two seconds that a page waits else.
            yield text.replace(f"retry: {routes.RECONNECT_MILLISECONDS}", "retry: 100")
            heard += text.startswith("id: ")
            if len(asked) == 1 and heard == 4:
                return

    monkeypatch.setattr(routes, "stream", broken)
    page = watch.open(f"/ui/train/{console.going}")
    expect(page.get_by_role("region", name="Events").get_by_text("began")).to_have_count(3)
    assert asked == [0, asked[1]]
    assert asked[1] > 0
    runs.finish(console.dagster, console.going)
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")
    lines = page.get_by_role("region", name="Events").get_by_role("listitem").all_inner_texts()
    said = [line.split("\n")[-1] for line in lines]
    assert [line.split()[0] for line in said if line.endswith("began")] == ["/".join(key) for key in ASSETS]


def test_a_run_is_cancelled_after_a_question(watch: Watch, console: Console) -> None:
    page = watch.open(f"/ui/train/{console.going}")
    page.get_by_role("button", name="Cancel run").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("What it has finished stays")
    question.get_by_role("button", name="Leave it").click()
    expect(question).to_be_hidden()
    assert console.dagster.runs[console.going]["status"] == "STARTED"
    page.get_by_role("button", name="Cancel run").click()
    question.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")
    assert console.dagster.runs[console.going]["status"] == "CANCELED"


def test_a_failure_is_told_and_a_verdict_is_deployed_from_its_run(watch: Watch, console: Console) -> None:
    page = watch.open(f"/ui/train/{console.failed}")
    expect(page.get_by_role("region", name="It failed")).to_contain_text(runs.FAULT)
    page = watch.open(f"/ui/train/{console.ended}")
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("non-inferior")
    page.get_by_label("Reason, for the audit trail").fill("to have it warm")
    page.get_by_role("button", name="Deploy as challenger").click()
    page.get_by_role("dialog").get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("It serves volatility forecasting as challenger")
    newest = console.deployments.history(TASK)[0]
    assert (newest.action, newest.actor, newest.reason) == ("deploy", "console", "to have it warm")


def test_without_dagster_the_form_is_there_and_the_refusal_says_what_to_do(watch: Watch, console: Console) -> None:
    console.dagster.away = True
    watch.expect(503, "/models/train")
    page = watch.open(FORM)
    expect(page.get_by_text("finml up").first).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("alert").filter(has_text="Dagster")).to_contain_text("start it with: finml up")
