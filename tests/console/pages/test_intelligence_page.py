"""The page of the market's state: what it shows of whom, and what it says where there is nothing to show."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_cases import release
from states_cases import AUTOENCODER, EARLIER, GCN, HMM, REGIMES, embedding, keep, keep_vae, states, stretch

from finml_ledger import Ledger
from finml_models.evaluation.verdict import Verdict


def show(api: httpx.Client, **query: str) -> str:
    answer = api.get("/ui/intelligence", params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def text_of(page: str) -> str:
    """What is read on a page, in one line."""
    bare = re.sub(r"<(script|dialog)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def charts(page: str) -> list[dict[str, Any]]:
    found = [json.loads(unescape(data)) for data in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)]
    return [data for data in found if "series" in data]


def test_nothing_judged_shows_the_command_and_the_choices(api: httpx.Client) -> None:
    page = show(api)
    assert "finml run --use-case regime_detection" in text_of(page)
    assert 'id="choose-regimes"' in page
    assert "uplot" in page
    assert not charts(page)


def test_the_current_regime_is_said_with_its_date_probability_and_how_long_it_has_lasted(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    told = text_of(show(api))
    for said in ("turbulent as of 2018-01-10", "90.0%", "calm 5.0%, normal 5.0%", "2018-01-08 3 sessions", "30.0%"):
        assert said in told
    assert "forecasts no return" in told


def test_a_model_that_lost_is_said_to_be_no_better_with_its_report(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home, verdict=Verdict.INFERIOR, passed=False)
    page = show(api)
    assert "is not better than its best baseline" in text_of(page)
    assert "vae against log_har: inferior." in text_of(page)
    assert f'href="/v1/versions/{REGIMES}/vae/v1/report.html"' in page
    keep_vae(ledger, home, verdict=Verdict.SUPERIOR)
    assert "is not better" not in text_of(show(api))


def test_probabilities_are_stacked_by_name_over_refits_and_the_market_stands_on_the_likeliest(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    stacked, market = charts(show(api, span="all"))
    assert [one["label"] for one in stacked["series"]] == ["calm", "normal", "turbulent"]
    # The first fold knows two regimes alone: the third has no probability there.
    assert stacked["series"][1]["values"] == [None] * 4 + [0.05, 0.9, 0.9, 0.05, 0.05, 0.05]
    assert stacked["stack"]
    assert [mark["label"] for mark in stacked["marks"]] == ["refit"]
    assert [shade["tone"] for shade in market["shades"]] == ["accent", "bad", "accent", "strong", "bad"]
    assert market["series"][0]["values"][0] == 0


def test_points_are_coloured_where_regimes_are_of_the_same_data_alone(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    keep(ledger, home, AUTOENCODER, states("anomaly_detection", AUTOENCODER, (), embedding(0, 5, 9, entities=7), snapshot="e" * 64))
    assert '<path class="dots bad"' in show(api)
    other = show(api, regimes=f"{REGIMES}-vae", embedding="anomaly_detection-denoising_autoencoder")
    assert '<path class="dots strong"' in other
    assert '<path class="dots bad"' not in other
    assert "Without colour" in text_of(other)
    assert "their mean over up to 7 assets" in text_of(other)


def test_the_span_narrows_the_charts_and_the_picture_and_is_kept_with_the_choice_in_the_address(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep(ledger, home, GCN, states(REGIMES, GCN, (stretch(0, 0, [0, 1] * 200),), None))
    keep_vae(ledger, home)
    for span, expected in (("60", 60), ("250", 250), ("all", 400)):
        page = show(api, regimes=f"{REGIMES}-gcn", span=span)
        assert len(charts(page)[0]["x"]) == expected
        assert f'href="/ui/intelligence?regimes={REGIMES}-gcn&amp;embedding={REGIMES}-vae&amp;span=60#span"' in page
    assert api.get("/ui/intelligence", params={"span": "61"}).status_code == 422


def test_a_long_course_is_thinned_to_what_can_be_seen_and_keeps_the_newest_date(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep(ledger, home, GCN, states(REGIMES, GCN, (stretch(0, 0, [0, 1, 1] * 1_000),), None))
    page = show(api, regimes=f"{REGIMES}-gcn", span="all")
    assert len(charts(page)[0]["x"]) == 600
    assert charts(page)[0]["series"][0]["values"][-1] == 0.1
    assert "One session in 5 is drawn" in text_of(page)
    assert len(page) < 100_000


def test_one_choice_without_states_does_not_hide_the_other(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    release(ledger, home, EARLIER, task=REGIMES)
    told = text_of(show(api, regimes=f"{REGIMES}-kmeans"))
    assert "finml run --use-case regime_detection --model kmeans" in told
    assert "principal components" in told


def test_without_a_choice_the_recommended_one_is_shown_baseline_or_not(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep(ledger, home, HMM, states(REGIMES, HMM, (stretch(0, 0, [0, 1]),), None), verdict=Verdict.NON_INFERIOR)
    page = show(api)
    assert "Gaussian HMM is a baseline" in text_of(page)
    keep_vae(ledger, home)
    assert "Variational autoencoder is better than" in text_of(show(api))


def test_the_browser_holds_a_link_for_each_choice_that_leaves_the_other_as_it_is(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    page = show(api, span="60")
    dialog = re.search(r'<dialog id="choose-embedding".*?</dialog>', page, re.DOTALL)
    assert dialog
    links = re.findall(r'href="([^"]+)"', dialog[0])
    assert len(links) == 4
    assert all(f"regimes={REGIMES}-vae" in link and "span=60" in link for link in links)
    assert api.get(unescape(links[0])).status_code == 200


@pytest.mark.parametrize("query", [{"regimes": f"{REGIMES}-vea"}, {"embedding": f"{REGIMES}-gcn"}, {"regimes": "volatility_forecasting-gru"}])
def test_a_choice_that_does_not_exist_is_a_page_that_says_so(query: dict[str, str], api: httpx.Client) -> None:
    answer = api.get("/ui/intelligence", params=query)
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text
