"""The story as somebody lives it who has nothing but a browser: from looking around to a version that serves, and back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as Late
from walk import DATASET, ENTRY, TASK
from watch import Watch

LATE = 30_000
"""Milliseconds for what a real part does, on a machine that does other things too."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is trained: a baseline that passes its gate as the best one, and a hyperparameter that makes another version of it."""

    use_case: str
    title: str
    entry: str
    name: str
    dataset: str
    knob: str
    values: tuple[float, float]


SMALL = Plot(TASK, "Volatility forecasting", ENTRY, "EWMA", DATASET, "Decay", (0.95, 0.96))
"""Seconds of training, on data of the test's own."""
WHOLE = Plot("credit_risk", "Credit risk", "monotone_boosted_trees", "Monotone boosted trees", "simulated_loans", "Leaves", (5, 7))
"""On the data that a folder's other reports are of, without which no leaderboard compares them."""


def look_around(watch: Watch, plot: Plot) -> Page:
    """From all models to the one that is wanted, and to its training."""
    page = watch.open("/ui/models")
    page.get_by_label("Use case", exact=True).select_option(plot.use_case)
    page.get_by_role("checkbox", name="Also baselines").check()
    page.get_by_role("searchbox", name="Search").press_sequentially(plot.name)
    page.get_by_role("link", name=plot.name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(plot.name)
    expect(page.get_by_role("heading", name=re.compile("Weaknesses"))).to_be_visible()
    page.get_by_role("link", name="Train this baseline").click()
    page.wait_for_url(re.compile("/ui/train"))
    return page


def train(watch: Watch, plot: Plot, value: float, seconds: float) -> str:
    """Fill in the form and follow the run to its verdict; returns the version that it came to."""
    page = watch.page
    for label, choice in (("Use case", plot.use_case), ("Model", plot.entry), ("Data", plot.dataset)):
        page.get_by_label(label, exact=True).select_option(choice)
        watch.settle()
    expect(page).to_have_url(re.compile(f"(?=.*{plot.dataset})(?=.*{plot.entry})"))
    page.get_by_label(plot.knob, exact=True).fill(str(value))
    start(watch, seconds)
    bar = page.get_by_role("progressbar", name="Progress of the run")
    shares = [share_of(bar)]
    title, deadline = page.get_by_role("heading", level=1), time.monotonic() + seconds
    while not re.search("succeeded|failed|cancelled", title.inner_text()):
        assert time.monotonic() < deadline, title.inner_text()
        page.wait_for_timeout(300)
        shares.append(share_of(bar))
    expect(title).to_contain_text("succeeded")
    assert shares == sorted(shares)
    assert len(set(shares)) > 2, "it was seen to go on"
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("gate passed", timeout=LATE)
    version = re.search(r"version\s+(\w+)", verdict.inner_text())
    assert version is not None
    return version[1]


def start(watch: Watch, seconds: float) -> None:
    """Start the training, again where Dagster is not ready for it yet, as the page then says."""
    watch.allow(503, "/models/train")
    deadline = time.monotonic() + seconds
    while True:
        watch.page.get_by_role("button", name="Start training").click()
        try:
            watch.page.wait_for_url(re.compile(r"/ui/train/[0-9a-f-]{36}$"), timeout=LATE)
        except Late:
            expect(watch.page.get_by_role("alert").filter(has_text="Dagster")).to_be_visible(timeout=LATE)
            assert time.monotonic() < deadline
        else:
            return


def deploy(watch: Watch, plot: Plot, reason: str) -> str:
    """From the verdict to a role; returns which one."""
    page = watch.page
    button = page.get_by_role("button", name=re.compile("^Deploy as"))
    role = button.inner_text().removeprefix("Deploy as ")
    page.get_by_label("Reason, for the audit trail").fill(reason)
    button.click()
    asked(page).get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("region", name="Verdict")).to_contain_text(f"It serves {plot.title.lower()} as {role}", timeout=LATE)
    watch.settle()
    return role


def split_promote_and_roll_back(watch: Watch, plot: Plot, version: str, percent: int) -> None:
    """What the challenger is given, everything that it is given then, and the way back."""
    page = watch.open(f"/ui/deployments/{plot.use_case}")
    before = named(page, "champion")
    assert named(page, "challenger") == version[:8]
    slider = page.get_by_role("slider", name="Share of the challenger")
    slider.focus()
    for _ in range(percent // 10):
        page.keyboard.press("PageUp")
    share = int(slider.input_value())
    assert share > 0
    page.get_by_role("button", name="Split", exact=True).click()
    asked(page).get_by_role("button", name="Split").click()
    expect(row(page, "challenger")).to_contain_text(f"{share}%", timeout=LATE)
    page.get_by_role("button", name=re.compile("^Promote")).click()
    asked(page).get_by_role("button", name="Promote").click()
    expect(row(page, "champion")).to_contain_text(version[:8], timeout=LATE)
    assert named(page, "previous") == before
    page.get_by_role("button", name=re.compile("^Roll back")).click()
    asked(page).get_by_role("button", name="Roll back").click()
    expect(row(page, "champion")).to_contain_text(before, timeout=LATE)
    told = page.get_by_role("status").filter(has_text="Rolled back").inner_text()
    assert re.search(r": \d{1,3} ms", told), f"within a second: {told}"
    actions = page.get_by_role("region", name="Changes").get_by_role("row").all_inner_texts()[1:4]
    assert ["rolled back" in actions[0], "promoted" in actions[1], "split" in actions[2]] == [True, True, True], actions


def ask(watch: Watch, plot: Plot, champion: str) -> None:
    """Ask what serves about the newest rows there are, and see who answers."""
    page = watch.page
    page.get_by_role("button", name="Fill in an example").click()
    expect(page.get_by_role("textbox", name="Request")).to_have_value(re.compile("rows"), timeout=LATE)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("region", name="Prediction")).to_contain_text(champion, timeout=LATE)
    expect(page.get_by_text(f"{plot.entry} {champion}, champion")).to_be_visible()


def named(page: Page, role: str) -> str:
    """The beginning of the version that has a role."""
    found = re.search(r"\b([0-9a-f]{8})\b", row(page, role).inner_text())
    assert found is not None
    return found[1]


def row(page: Page, role: str) -> Locator:
    """The line of a role."""
    return page.get_by_role("region", name="Roles").get_by_role("row", name=re.compile(f"^{role}"))


def asked(page: Page) -> Locator:
    """The question that is open."""
    return page.get_by_role("dialog").filter(visible=True)


def share_of(bar: Locator) -> float:
    """How far a bar is, in percent; none yet is 0."""
    return float(bar.get_attribute("value") or 0)
