"""A run's page at every moment of the run: right when it is loaded, and what follows is the events' business."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_cases import GRU_2, HAR, release
from fake_dagster import ENTRY, TASK, FakeDagster
from sqlalchemy import update
from training_pages import Forms, browser, collected

from finml_console import assets
from finml_ledger import Deployments, Ledger, Release, Slot
from finml_models.evaluation.verdict import Verdict

MODEL = f"model__{TASK}__{ENTRY}"
TAGS = {"finml/use_case": TASK, "finml/entry": "gru", "finml/config_id": "0" * 16, "finml/dataset": "us_market", "finml/profile": "fast"}


@pytest.fixture
def pages(ledger: Ledger, fake: FakeDagster) -> httpx.Client:
    return browser(ledger, fake)


def shown(pages: httpx.Client, run_id: str, part: str = "") -> str:
    answer = pages.get(f"/ui/train/{run_id}{part}")
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def judged(ledger: Ledger, home: Path, run_id: str, slot: Slot, **facts: Any) -> None:
    """A release of a run, as the pipeline leaves it."""
    release(ledger, home, slot, **facts)
    with ledger.write() as session:
        session.execute(update(Release).where(Release.entry == slot.entry, Release.version == slot.version).values(run_id=run_id))


def test_in_the_middle_it_says_how_far_it_is_and_goes_on_from_there(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)
    for kind in ("RunEnqueuedEvent", "RunStartEvent"):
        fake.tell(run_id, kind)
    fake.tell(run_id, "ExecutionStepStartEvent", MODEL)
    fake.observe(run_id, MODEL, fit="fold 2 seed 0", done=0.5, epoch=2, epochs=6, loss=0.4, validation=0.3)
    page = shown(pages, run_id)
    status = pages.get(f"/v1/runs/{run_id}").json()
    assert f'data-percentage="{status["percentage"]}"' in page
    assert 'data-last="4"' in page, "events up to this one are in the page already"
    assert f'data-events="/v1/runs/{run_id}/events"' in page
    assert all(text in page for text in ("GRU, volatility forecasting", "2 of at most 6", "fold 2 seed 0", f"model/{TASK}/{ENTRY}", ">running<"))
    assert "data-ended" not in page
    assert "Cancel run" in page
    assert "/runs/" + run_id in page, "and a link into Dagster"
    assert "Verdict" not in page


def test_cancelling_is_a_form_of_the_api_and_afterwards_there_is_none(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)
    page = shown(pages, run_id)
    action = f"/v1/runs/{run_id}/cancel"
    assert pages.post(action, json=collected(Forms(page).forms[action])).status_code == 202
    after = shown(pages, run_id)
    assert "It was cancelled" in after
    assert after[after.index('id="cancel"') :].split(">")[0].endswith(" hidden")


def test_a_run_that_is_about_to_start_cannot_be_cancelled(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)

    def hidden() -> bool:
        page = shown(pages, run_id)
        return page[page.index('id="cancel"') :].split(">")[0].endswith(" hidden")

    assert not hidden()
    fake.tell(run_id, "RunStartingEvent")
    assert hidden()
    fake.tell(run_id, "RunStartEvent")
    assert not hidden()


def test_a_run_that_waits_for_a_daemon_says_so(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)
    fake.beat = None
    page = shown(pages, run_id)
    assert "was not heard of" in page
    assert "waits for its turn" in page


def test_a_failure_is_told_whole(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)
    fake.tell(run_id, "RunStartEvent")
    fake.tell(run_id, "ExecutionStepFailureEvent", MODEL, failureMetadata={"description": "loss: <nan> in epoch 3:\nlower learning_rate"})
    fake.tell(run_id, "RunFailureEvent", message="Steps failed")
    raw = pages.get(f"/ui/train/{run_id}").text
    assert "loss: &lt;nan&gt; in epoch 3:\nlower learning_rate" in raw
    assert "data-ended" in raw


def test_a_version_that_passed_can_be_deployed_from_here_as_the_champion_where_there_is_none(
    pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path, deployments: Deployments
) -> None:
    run_id = fake.start(tags=TAGS)
    judged(ledger, home, run_id, GRU_2, value=0.2)
    assert "Deploy as" not in shown(pages, run_id, "/outcome"), "the run goes on"
    fake.play(run_id)
    page = shown(pages, run_id, "/outcome")
    assert all(text in page for text in ("superior", "gate passed", "gru against log_har: superior.", "0.190 to 0.210"))
    assert f"/v1/versions/{TASK}/gru/g2/report.html" in page
    assert "Deploy as champion" in page
    assert """data-etag='"0"'""" in page
    body = collected(Forms(page).forms["Deploy this version"])
    assert pages.post(f"/v1/deployments/{TASK}/deploy", json=body, headers={"If-Match": '"0"'}).status_code == 200
    champion = deployments.now(TASK).state.champion
    assert champion == GRU_2
    assert "It serves volatility forecasting as champion" in shown(pages, run_id)


def test_beside_a_champion_it_becomes_the_challenger(pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path, deployments: Deployments) -> None:
    held = deployments.deploy(TASK, HAR, actor="t")
    run_id = fake.start(tags=TAGS)
    judged(ledger, home, run_id, GRU_2, value=0.2)
    fake.play(run_id)
    page = shown(pages, run_id)
    assert "Deploy as challenger" in page
    assert "log-HAR" in page
    assert f"""data-etag='"{held.revision}"'""" in page


@pytest.mark.parametrize(
    ("verdict", "said"),
    [(Verdict.INFERIOR, "scores better on the same rows"), (Verdict.INCONCLUSIVE, "not tell it from"), (Verdict.SUPERIOR, "another check")],
)
def test_one_that_did_not_pass_is_not_deployed_and_says_what_to_do(
    pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path, verdict: Verdict, said: str
) -> None:
    run_id = fake.start(tags=TAGS)
    judged(ledger, home, run_id, Slot(entry="gru", version="x"), passed=False, verdict=verdict, value=0.4)
    fake.play(run_id)
    page = shown(pages, run_id)
    assert "It did not pass its gate" in page
    assert "best baseline: Compared." in page, "the check that failed"
    assert said in page
    assert "Deploy as" not in page


def test_without_its_report_the_verdict_stands(pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path) -> None:
    run_id = fake.start(tags=TAGS)
    judged(ledger, home, run_id, GRU_2)
    (home / "reports" / TASK / "gru" / "g2" / "report.json").unlink()
    fake.play(run_id)
    page = shown(pages, run_id)
    assert "superior" in page
    assert "cannot be read" in page


def test_a_run_of_the_pipeline_shows_all_that_it_judged(pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path) -> None:
    run_id = fake.start()
    judged(ledger, home, run_id, GRU_2)
    judged(ledger, home, run_id, HAR)
    fake.play(run_id)
    page = shown(pages, run_id)
    assert "Pipeline run" in page
    assert page.index("Judged in this run") < page.index("log-HAR")
    assert "Deploy as" not in page


def test_a_run_that_dagster_does_not_tell_of_shows_what_the_ledger_knows(pages: httpx.Client, fake: FakeDagster, ledger: Ledger, home: Path) -> None:
    unknown = str(uuid.uuid4())
    assert pages.get(f"/ui/train/{unknown}").status_code == 404
    judged(ledger, home, unknown, GRU_2)
    page = shown(pages, unknown)
    assert "Dagster does not know this run" in page
    assert "GRU" in page
    assert "js/run.js" not in page, "there is nothing to follow"
    fake.away = True
    away = shown(pages, str(uuid.uuid4()))
    assert "finml up" in away


def test_the_configuration_is_shown_with_what_departs_from_the_defaults(pages: httpx.Client, fake: FakeDagster) -> None:
    body = {"model_id": "gru", "use_case": TASK, "hyperparameters": {"hidden": 24}, "training_config": {"max_epochs": 3}}
    config_id = pages.post("/models/configure", json=body).json()["config_id"]
    run_id = fake.start(tags={**TAGS, "finml/config_id": config_id})
    page = shown(pages, run_id)
    assert "default 64" in page
    assert "<dt>max epochs</dt><dd>3</dd>" in page
    assert f"config_id={config_id}" in page, "and can be used again"


def test_a_search_has_a_view_of_its_own(pages: httpx.Client, fake: FakeDagster, ledger: Ledger) -> None:
    run_id = fake.start("tune", {"finml/use_case": TASK, "finml/entry": "gru", "finml/dataset": "us_market", "finml/trials": "4"}, assets=[])
    assert "No configuration was scored" in shown(pages, run_id)
    for hidden, value in ((16, 0.5), (32, 0.4)):
        trial = ledger.start_trial(
            task=TASK, entry="gru", fold=0, seed=0, config_hash=str(hidden), hyperparameters={"hidden": hidden}, config={}, data_snapshot="s",
            code_version="c", fingerprint_id=str(hidden), run_id=run_id,
        )  # fmt: skip
        ledger.finish_trial(trial, metric="qlike", value=value, variance=1.0, samples=10, seconds=1.0)
    page = shown(pages, run_id, "/search")
    assert "1 of 4" in " ".join(page.split())
    link = page[page.index("/ui/train?use_case") :].split('"')[0]
    filled = pages.get(link)
    assert Forms(filled.text).named("Configuration", "hyperparameters.hidden").value == "32"
    assert 'id="curves"' not in shown(pages, run_id)


COURSE = """
import {readFileSync} from "node:fs";
const {begin, hear, curve, line, news, newestOf, secondsLeft, duration, figure, described} = await import(process.argv[1]);
const events = JSON.parse(readFileSync(0, "utf8"));
const course = begin();
let said = {state: null, tenth: 0};
const heard = [], aloud = [], lines = [], left = [];
for (const event of events) {
  if (!hear(course, event)) { heard.push(event.id); continue; }
  const told = news(said, course);
  said = told.said;
  if (told.text) aloud.push(told.text);
  const text = line(event);
  if (text) lines.push(text.text);
  left.push(secondsLeft(course));
}
const curves = Object.fromEntries([...course.fits.keys()].map((fit) => [fit, curve(course, fit)]));
console.log(JSON.stringify({
  again: heard, aloud, lines, left, curves, newest: course.newest, percentage: course.percentage, loss: course.loss,
  none: curve(course, "nothing"), done: course.done.size,
  chosen: [newestOf(course, "own"), newestOf(course, "other"), newestOf(course, "untold")], durations: [3.21, 61, 3700, 90000].map(duration),
  figures: [0, 1234567.8, 12.3, -0.5, 0.000123, null].map(figure),
  words: course.newest && described(course.newest, curve(course, course.newest)),
}));
"""


def followed(events: list[dict[str, Any]]) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the script")
    command = [node, "--input-type=module", "--experimental-default-type=module", "-e", COURSE, (assets.FOLDER / "js" / "course.js").as_uri()]
    ran = subprocess.run(command, input=json.dumps(events), capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def told(pages: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    """The events of a run as the server streams them."""
    text = pages.get(f"/v1/runs/{run_id}/events").text
    return [json.loads(row.removeprefix("data: ")) for row in text.splitlines() if row.startswith("data: ")]


def test_events_become_curves_lines_and_few_announcements(pages: httpx.Client, fake: FakeDagster) -> None:
    run_id = fake.start(tags=TAGS)
    for kind in ("RunEnqueuedEvent", "RunStartEvent"):
        fake.tell(run_id, kind)
    fake.tell(run_id, "ExecutionStepStartEvent", MODEL)
    for fit in (1, 2):
        fake.observe(run_id, MODEL, fit=f"own fold {fit}", done=(fit - 1) / 2)
        for epoch in range(1, 3 + fit):
            done = (fit - 1 + epoch / 4) / 2
            fake.observe(run_id, MODEL, fit=f"own fold {fit}", done=done, epoch=epoch, epochs=9, loss=1 / epoch)
            fake.observe(run_id, MODEL, fit=f"own fold {fit}", done=done, epoch=epoch, epochs=9, loss=1 / epoch / fit, validation=2 / epoch)
    fake.observe(run_id, MODEL, fit="other final fit", done=1, epoch=1, epochs=1, loss=7)
    fake.tell(run_id, "ExecutionStepSuccessEvent", MODEL)
    fake.tell(run_id, "RunSuccessEvent")
    events = told(pages, run_id)
    found = followed(events)
    assert found["curves"]["own fold 2"]["x"] == [1, 2, 3, 4]
    loss, validation, before = found["curves"]["own fold 2"]["series"]
    assert loss["values"] == pytest.approx([1 / 2, 1 / 4, 1 / 6, 1 / 8]), "what is told last of an epoch holds"
    assert validation["values"] == pytest.approx([2, 1, 2 / 3, 1 / 2])
    assert (before["label"], before["values"][3]) == ("validation, fold 1", None), "the shorter fit before it lies behind it"
    assert len(found["curves"]["other final fit"]["series"]) == 1, "fits of another model do not"
    assert found["chosen"] == ["own fold 2", "other final fit", "other final fit"]
    assert (found["done"], found["percentage"], found["none"]) == (1, 100, None)
    assert found["aloud"][0] == "The run is queued"
    assert found["aloud"][-1] == "The run is succeeded"
    assert len(found["aloud"]) <= 13
    assert found["lines"][0] == "queued"
    assert f"model/{TASK}/{ENTRY} began" in found["lines"]
    assert found["left"][-1] is None
    assert found["words"] == "other final fit: training loss from 7.000 to 7.000, after epoch 1"
    again = followed([*events[:7], *events[3:], *events])
    assert {**again, "again": []} == {**found, "again": []}, "a connection that broke tells nothing twice"
    assert again["again"]


def test_a_fit_that_is_tried_again_begins_a_new_curve_and_the_percentage_does_not_fall() -> None:
    common = {"kind": "progress", "at": "2026-01-01T00:00:10Z", "state": "running", "fit": "f"}
    events = [
        {"id": 1, "kind": "state", "at": "2026-01-01T00:00:00Z", "state": "running", "percentage": 0},
        {**common, "id": 2, "percentage": 40, "epoch": 5, "epochs": 9, "loss": 0.1, "validation": 0.2},
        {**common, "id": 5, "percentage": 20},
        {**common, "id": 6, "percentage": 20, "epoch": 1, "epochs": 9, "loss": 0.9},
    ]
    found = followed(events)
    assert found["curves"]["f"]["x"] == [1]
    assert [series["label"] for series in found["curves"]["f"]["series"]] == ["training loss"]
    assert (found["percentage"], found["loss"]) == (40, 0.9)
    assert found["left"][1] == pytest.approx(15)


def test_figures_and_durations_read_as_the_servers() -> None:
    from finml_console.pages._figures import number, seconds

    found = followed([])
    assert found["durations"] == [seconds(value) for value in (3.21, 61, 3700, 90000)]
    assert found["figures"] == [number(value) for value in (0, 1234567.8, 12.3, -0.5, 0.000123, None)]
