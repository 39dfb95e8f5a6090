"""The page Train: what fits is offered, the form is one that the API takes, and what will happen is said before it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from fake_dagster import TASK, FakeDagster
from sqlalchemy import update
from training_pages import Forms, browser, collected

from finml_ledger import Ledger, Release
from finml_models.core import catalog, keys
from finml_models.core.profile import PROFILES, ProfileName

SETTINGS = """
[datasets.short_market]
source = "csv"
path = "short.csv"

[datasets.own_market]
source = "csv"
path = "own.csv"
"""


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home.mkdir(exist_ok=True)
    (home / "datasets.toml").write_text(SETTINGS)
    (home / "short.csv").write_text("entity,time,close\n" + "AAA,2020-01-02,1.0\n" * 30)
    (home / "own.csv").write_text("entity,time,close\n" + "AAA,2020-01-02,1.0\n" * 4_000)
    monkeypatch.setenv("FINML_DATASETS", str(home / "datasets.toml"))
    return


@pytest.fixture
def pages(settings: None, ledger: Ledger, fake: FakeDagster) -> httpx.Client:
    return browser(ledger, fake)


def train(pages: httpx.Client, **query: str) -> str:
    answer = pages.get("/ui/train", params=query)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def test_only_models_that_fit_are_offered_with_the_baselines_behind_them(pages: httpx.Client) -> None:
    page = train(pages, use_case=TASK)
    offered = page[page.index('id="model_id"') : page.index('id="data_source"')]
    for pair in catalog.pairs(TASK):
        assert f'value="{pair.entry.id}"' in offered
    for name in catalog.task(TASK).baselines:
        assert f'value="{name}"' in offered
    assert 'value="tabnet"' not in offered
    assert "GRU (superior)" in offered, "with the verdict of its newest version"
    alone = train(pages, model_id="finbert")
    assert '<option value="news_analysis" selected>' in alone, "a model brings a use case that it fits"
    assert pages.get("/ui/train", params={"use_case": TASK, "model_id": "tabnet"}).status_code == 404
    assert pages.get("/ui/train", params={"use_case": TASK, "data_source": "simulated_loans"}).status_code == 422


def test_the_form_as_it_stands_is_a_training_that_the_api_takes(pages: httpx.Client, fake: FakeDagster) -> None:
    page = pages.get("/ui/train", params={"use_case": TASK, "model_id": "gru"}).text
    body = collected(Forms(page).forms["Configuration"])
    assert body["hyperparameters"] == catalog.entry("gru").card.hyperparameters().model_dump(mode="json")
    assert body["training_config"] == {"profile": "fast"}
    kept = pages.post("/models/configure", json=body)
    assert kept.status_code == 200, kept.text
    order = {"model_id": "gru", "use_case": TASK, "config_id": kept.json()["config_id"], "data_source": "us_market"}
    assert pages.post("/models/train", json=order).status_code == 202
    assert len(fake.launched) == 1


def test_a_hyperparameter_has_its_bounds_and_its_sentence(pages: httpx.Client) -> None:
    page = train(pages, use_case=TASK, model_id="gru")
    hidden = Forms(page).named("Configuration", "hyperparameters.hidden").attributes
    assert (hidden["type"], hidden["min"], hidden["max"], hidden["step"]) == ("number", "8", "512", "1")
    assert "units a layer; 8 to 512" in page
    assert "empty: 6 (fast), 20 (full)" in page, "what the profiles say where the form says nothing"


def test_a_search_is_offered_where_there_is_something_to_search(pages: httpx.Client, fake: FakeDagster) -> None:
    page = pages.get("/ui/train", params={"use_case": TASK, "model_id": "gru"}).text
    answer = pages.post("/v1/tuning", json=collected(Forms(page).forms["Search"]))
    assert answer.status_code == 202, answer.text
    assert fake.launched[0]["selector"]["pipelineName"] == "tune"
    assert "Search" not in Forms(train(pages, use_case=TASK, model_id="last_value")).forms


def test_a_download_that_was_not_fetched_cannot_be_chosen(pages: httpx.Client) -> None:
    page = train(pages, use_case=TASK, model_id="gru")
    offered = page[page.index('id="data_source"') :]
    assert '<option value="us_market" selected>us_market (default)' in offered
    absent = offered[offered.index('<option value="vix_daily"') :].split("</option>")[0]
    assert " disabled>" in absent
    assert "not fetched" in absent
    asked = train(pages, use_case=TASK, model_id="gru", data_source="vix_daily")
    assert "finml data fetch vix_daily" in asked
    assert 'class="primary" disabled' in asked


def test_too_few_rows_are_refused_before_they_are_and_few_are_warned_of(pages: httpx.Client) -> None:
    short = train(pages, use_case=TASK, model_id="gru", data_source="short_market")
    order = {"model_id": "gru", "use_case": TASK, "hyperparameters": {}, "training_config": {}}
    config_id = pages.post("/models/configure", json=order).json()["config_id"]
    refused = pages.post("/models/train", json={"model_id": "gru", "use_case": TASK, "config_id": config_id, "data_source": "short_market"})
    assert refused.status_code == 422
    assert refused.json()["detail"] in short, "the API's own sentence"
    assert 'class="primary" disabled' in short
    own = train(pages, use_case=TASK, model_id="gru", data_source="own_market")
    assert "recommended for 5000 and more" in own
    assert 'class="primary" disabled' not in own


def test_what_it_took_before_is_said_with_its_run(pages: httpx.Client) -> None:
    page = train(pages, use_case=TASK, model_id="gru")
    assert "12 s for 3 fits of GRU under the profile fast" in page
    assert '/ui/train/run-g2"' in page
    assert "was never judged" in train(pages, use_case=TASK, model_id="tft")


def test_the_form_is_filled_with_a_version_a_configuration_or_an_address(pages: httpx.Client) -> None:
    def hidden(page: str) -> str:
        return Forms(page).named("Configuration", "hyperparameters.hidden").value

    version = train(pages, use_case=TASK, model_id="gru", version="g1")
    assert (hidden(version), "Filled with what version g1 says." in version) == ("16", True)
    body = {"model_id": "gru", "use_case": TASK, "hyperparameters": {"hidden": 24}, "training_config": {"profile": "full", "stride": 3}}
    config_id = pages.post("/models/configure", json=body).json()["config_id"]
    kept = train(pages, use_case=TASK, model_id="gru", config_id=config_id)
    again = collected(Forms(kept).forms["Configuration"])
    assert again["training_config"] == {"profile": "full", "stride": 3}
    assert pages.post("/models/configure", json=again).json()["config_id"] == config_id
    assert "<details open>" in kept, "what departs in the advanced part is seen"
    assert hidden(train(pages, use_case=TASK, model_id="gru", hyperparameters=json.dumps({"hidden": 40}))) == "40"


@pytest.mark.parametrize("given", ['{"hidden": 4}', '{"hidden": "\\"><script>alert(1)</script>"}', '{"nothing": 1}'])
def test_what_does_not_fit_the_card_fills_nothing(pages: httpx.Client, given: str) -> None:
    raw = pages.get("/ui/train", params={"use_case": TASK, "model_id": "gru", "hyperparameters": given}).text
    assert "does not fit the present card of GRU" in raw
    assert "<script>alert" not in raw
    assert Forms(raw).named("Configuration", "hyperparameters.hidden").value == "64"


def test_text_that_is_no_object_is_refused(pages: httpx.Client) -> None:
    for given in ("[]", "{", "1"):
        assert pages.get("/ui/train", params={"use_case": TASK, "model_id": "gru", "hyperparameters": given}).status_code == 422


def beside(pages: httpx.Client, **more: str) -> str:
    answer = pages.get("/ui/train/beside", params={"use_case": TASK, "model_id": "gru", "data_source": "us_market", **more})
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def test_the_baselines_that_are_trained_too_are_named(pages: httpx.Client, fake: FakeDagster) -> None:
    names = [catalog.entry(name).card.name for name in catalog.task(TASK).baselines]
    assert all(name in beside(pages) for name in names)
    fake.materialise(keys.raw("market"), 2e9, dataset="us_market", snapshot="s")
    for name in catalog.task(TASK).baselines:
        mark = {
            "hyperparameters": catalog.entry(name).card.hyperparameters().model_dump(mode="json"),
            "config": PROFILES[ProfileName.FAST].training.model_dump(mode="json"),
        }
        fake.materialise(keys.model(catalog.pair(f"{TASK}-{name}")), 2e9, snapshot="s", fingerprint=mark)
    assert "None is trained again" in beside(pages)
    assert "Trained too" in beside(pages, **{"training_config.profile": "full"}), "they are current under the other profile alone"


def test_a_daemon_that_is_down_is_told_before_anybody_waits(pages: httpx.Client, fake: FakeDagster) -> None:
    fake.beat = None
    assert "was not heard of" in beside(pages)


def test_while_dagster_is_away_the_form_is_there_and_the_rest_says_what_to_do(pages: httpx.Client, fake: FakeDagster) -> None:
    fake.away = True
    assert "Start training" in train(pages, use_case=TASK, model_id="gru")
    assert "finml up" in beside(pages)
    runs = pages.get("/ui/train/runs")
    assert runs.status_code == 200
    assert "finml up" in runs.text
    assert 'hx-trigger="every 10s"' in runs.text, "it looks again by itself"


def test_runs_are_listed_newest_first_and_looked_at_again_while_one_moves(pages: httpx.Client, fake: FakeDagster) -> None:
    assert "No runs yet" in pages.get("/ui/train/runs").text
    done = fake.start(tags={"finml/use_case": TASK, "finml/entry": "gru", "finml/config_id": "0" * 16, "finml/actor": "ada"})
    fake.play(done)
    still = pages.get("/ui/train/runs").text
    assert "hx-trigger" not in still
    assert all(text in still for text in ("GRU", "Volatility forecasting", "ada", "succeeded"))
    search = fake.start("tune", {"finml/entry": "lstm", "finml/use_case": TASK, "finml/trials": "3"})
    removed = fake.start(tags={"finml/entry": "no_longer_there", "finml/use_case": "nor_this"})
    moving = pages.get("/ui/train/runs").text
    assert 'hx-trigger="every 4s"' in moving
    assert "LSTM, search" in moving
    assert moving.index(removed) < moving.index(search) < moving.index(done)


def test_older_runs_are_a_page_behind_and_do_not_move(pages: httpx.Client, fake: FakeDagster) -> None:
    ids = [fake.start() for _ in range(15)]
    first = pages.get("/ui/train/runs").text
    assert ids[3] in first
    assert ids[2] not in first
    assert f"cursor={ids[3]}" in first
    older = pages.get("/ui/train/runs", params={"cursor": ids[3]}).text
    assert all(run_id in older for run_id in ids[:3])
    assert "every" not in older


def test_a_run_of_the_pipeline_says_what_it_judged(pages: httpx.Client, ledger: Ledger, fake: FakeDagster) -> None:
    run_id = fake.start()
    with ledger.write() as session:
        session.execute(update(Release).values(run_id=run_id))
    page = " ".join(unescape(pages.get("/ui/train/runs").text).split())
    assert "pipeline run</span>, 4 judged" in page
    assert "<td>Volatility forecasting</td>" in page
