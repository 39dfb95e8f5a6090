"""The browser of models, and the page of one: what is found, what is claimed, what was measured."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from browsing_html import Node, parsed
from console_cases import GRU_2, HAR, TASK, FakeGateway, application, http, release

from finml_console.pages._cards import allowed
from finml_ledger import Deployments, Ledger
from finml_models.core import catalog
from finml_models.evaluation.verdict import Verdict

REPORT = f"/v1/versions/{TASK}/gru/g2/report.html"


def look(api: httpx.Client, path: str, status: int = 200, **headers: str) -> Node:
    answer = api.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return parsed(answer.text)


def found(api: httpx.Client, query: str) -> list[str]:
    return [card.attributes["id"].removeprefix("card-") for card in look(api, f"/ui/models?{query}").all("li", class_="card")]


def families(page: Node) -> dict[str, int]:
    named = [link.text.rsplit(" ", 1) for link in page.one("nav", aria_label="Families").all("a")]
    return {name: int(count) for name, count in named}


def test_every_model_has_a_card_and_each_family_its_count(api: httpx.Client) -> None:
    page = look(api, "/ui/models")
    assert len(list(page.all("li", class_="card"))) == len(catalog.models())
    assert page.one("div", id="found").one("p", role="status").text == f"{len(catalog.models())} models"
    counts = families(page)
    assert counts.pop("All") == sum(counts.values()) == len(catalog.models())
    assert counts["Tabular"] == 3


def test_filters_are_joined_by_and_and_the_families_count_what_is_left(api: httpx.Client) -> None:
    assert set(found(api, "category=reinforcement&use_case=trading_execution")) == {"ppo", "sac"}
    assert found(api, f"use_case={TASK}&production_ready=true") == ["gru"]
    counts = families(look(api, f"/ui/models?use_case={TASK}&category=time_series"))
    assert counts["All"] == counts["Time series"] == len(catalog.pairs(TASK))
    assert counts["Graph"] == 0


def test_the_search_looks_for_every_word_in_name_description_and_what_it_is_best_for(api: httpx.Client) -> None:
    assert found(api, "q=TABNET") == ["tabnet"]
    assert found(api, "q=gates+dozen") == ["lstm"], "one word stands in the description, the other in what it is best for"
    assert found(api, "q=gates+zebra") == []


def test_the_address_of_a_family_keeps_the_other_filters(api: httpx.Client) -> None:
    page = look(api, f"/ui/models?q=window&use_case={TASK}&production_ready=true")
    tabs = page.one("nav", aria_label="Families").links()
    assert (
        next(address for name, address in tabs.items() if name.startswith("Graph"))
        == f"/ui/models?category=graph&use_case={TASK}&q=window&production_ready=true"
    )
    assert "checked" in page.one("input", name="production_ready").attributes
    assert page.one("input", name="q").attributes["value"] == "window"


def test_htmx_is_told_the_address_without_empty_fields_and_typing_leaves_no_trail(api: httpx.Client) -> None:
    asked = "/ui/models?q=&use_case=news_analysis&category="
    chosen = api.get(asked, headers={"HX-Request": "true", "HX-Source": "form#filters"}).headers
    assert (chosen["hx-push-url"], "hx-replace-url" in chosen) == ("/ui/models?use_case=news_analysis", False)
    typed = api.get("/ui/models?q=bert", headers={"HX-Request": "true", "HX-Source": "input#q"}).headers
    assert (typed["hx-replace-url"], "hx-push-url" in typed) == ("/ui/models?q=bert", False)
    assert "hx-push-url" not in api.get(asked).headers


@pytest.mark.parametrize(
    ("query", "way_out"),
    [
        ("q=zzzz", "/ui/models?q=zzzz&baselines=true"),
        ("category=graph&use_case=news_analysis", "/ui/models?use_case=news_analysis"),
        ("use_case=news_analysis&production_ready=true", "/ui/models?use_case=news_analysis"),
    ],
)
def test_where_nothing_is_found_the_page_says_how_to_find_something(query: str, way_out: str, api: httpx.Client) -> None:
    links = look(api, f"/ui/models?{query}").one("div", class_="empty").links().values()
    assert way_out in links
    assert "/ui/models" in links


def test_baselines_are_shown_on_demand_behind_the_models(api: httpx.Client) -> None:
    assert "log_har" not in found(api, f"use_case={TASK}")
    both = found(api, f"use_case={TASK}&baselines=true")
    assert both == [pair.entry.id for pair in catalog.pairs(TASK)] + list(catalog.task(TASK).baselines)
    assert set(found(api, "category=baseline")) == set(catalog.baselines())


def test_a_card_shows_the_newest_verdict_of_each_use_case_with_its_report(api: httpx.Client) -> None:
    verdicts = look(api, "/ui/models").one("li", id="card-gru").one("ul", class_="verdicts")
    assert [row.text for row in verdicts.all("li")] == ["Fraud detection not measured", "Price forecasting not measured", "Volatility forecasting ▲ superior"]
    assert REPORT in verdicts.links().values()


def test_a_level_says_its_threshold(api: httpx.Client) -> None:
    tips = {term.attributes["data-tip"] for term in look(api, "/ui/models").one("li", id="card-tft").all("button", class_="term")}
    assert "Low: one prediction in under 10 ms on one CPU core" in tips
    assert "High: the model names the inputs that it used, input by input" in tips


def test_without_a_measurement_the_cards_say_how_to_get_one(book: Ledger) -> None:
    with http(application(book, FakeGateway(book))) as api:
        page = look(api, "/ui/models")
    assert "finml run" in page.one("p", class_="note").text
    assert {chip.text for chip in page.all("span", class_="chip")} == {"not measured"}


@pytest.mark.parametrize(("query", "named"), [("category=tabularr", "time_series"), ("use_case=x", TASK), ("production_ready=perhaps", "production_ready")])
def test_a_filter_that_is_not_there_is_refused_as_a_page(query: str, named: str, api: httpx.Client) -> None:
    assert named in look(api, f"/ui/models?{query}", 422).one("div", class_="bad").text


def test_what_is_searched_for_is_text(api: httpx.Client) -> None:
    page = look(api, '/ui/models?q="><script>alert(1)</script>')
    assert page.one("input", name="q").attributes["value"] == '"><script>alert(1)</script>'
    assert all(script.attributes.get("src") for script in page.all("script"))


def test_a_model_shows_its_measurement_with_interval_baseline_and_sources(api: httpx.Client) -> None:
    page = look(api, "/ui/models/gru")
    section = page.one("div", aria_labelledby="measured")
    cells = section.rows()[0]
    assert cells[0].startswith("Volatility forecasting")
    assert cells[1] == "▲ superior ✓ gate passed"
    assert cells[2].endswith("lower is better")
    assert (cells[3], cells[4], cells[5]) == ("0.2000", "0.1900 to 0.2100", "log-HAR 0.3000"), "the same decimals in the whole row"
    assert "us_market 60,000 rows" in cells
    assert next(section.all("svg", class_="whisker")).attributes["aria-label"] == "0.2000, from 0.190 to 0.210"
    links = section.links()
    assert links["report"] == REPORT
    assert links["run run-g2"] == "/ui/train/run-g2"


def test_use_cases_that_were_not_measured_say_the_command(api: httpx.Client) -> None:
    rows = look(api, "/ui/models/gru").one("div", aria_labelledby="measured").rows()
    assert "finml run --use-case fraud_detection --model gru" in rows[1][1]


def test_from_a_model_one_trains_and_compares(api: httpx.Client) -> None:
    links = look(api, "/ui/models/gru").links()
    assert links["Train this model"] == f"/ui/train?use_case={TASK}&model_id=gru"
    assert links["Compare"] == f"/ui/compare?use_case={TASK}"
    assert links["train for fraud detection"] == "/ui/train?use_case=fraud_detection&model_id=gru"


def test_claims_stand_beside_what_was_measured(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    release(ledger, home, GRU_2.model_copy(update={"version": "g3"}), milliseconds=80.0)
    rows = {row[0]: row for row in look(api, "/ui/models/gru").one("div", aria_labelledby="claims").rows()}
    assert rows["production-ready"][1:5] == ["yes", "any", "1 of 1 newest versions passed their gate", "holds"]
    assert rows["latency"][1:5] == ["low", "Volatility forecasting", "high: 80 ms on one CPU core", "refuted"]
    assert rows["data requirements"][4] == "not decided"
    assert "run run-g3" in rows["latency"][5]


def test_a_model_without_a_measurement_claims_alone(api: httpx.Client) -> None:
    rows = {row[0]: row for row in look(api, "/ui/models/sac").one("div", aria_labelledby="claims").rows()}
    assert {row[4] for row in rows.values()} == {"not measured"}


def test_a_measured_loss_is_a_weakness_with_its_report(api: httpx.Client) -> None:
    page = look(api, "/ui/models/lstm")
    assert "Measured weaknesses" in [title.text for title in page.all("h3")]
    (sentence,) = [point for point in page.all("li") if "lstm against log_har: inferior." in point.text]
    assert sentence.links()["report"] == f"/v1/versions/{TASK}/lstm/l1/report.html"
    assert "Measured weaknesses" not in [title.text for title in look(api, "/ui/models/gru").all("h3")]


def test_the_whole_card_is_there(api: httpx.Client) -> None:
    page = look(api, "/ui/models/tft")
    card = catalog.model("tft").card
    for text in (*card.strengths, *card.weaknesses, *card.best_for, card.description):
        assert text in page.text
    assert page.links()[card.references[0].title] == card.references[0].link
    knobs = {row[0]: row[1:3] for row in page.one("div", aria_labelledby="knobs").rows()}
    assert set(knobs) == set(card.hyperparameters.model_fields)
    assert knobs["head_width"] == ["8", "4 to 64, searched on a log scale"]
    assert knobs["dropout"] == ["0.1", "0 to below 1"]
    assert knobs["self_attention"] == ["true", "true or false"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "enum": ["a", "b"]}, "a, b"),
        ({"type": "number", "exclusiveMinimum": 0.5}, "from over 0.5"),
        ({"type": "integer", "maximum": 100_000}, "up to 100,000"),
        ({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 3}, {"type": "null"}]}, "1 to 3 or none"),
        ({"type": "string"}, "string"),
    ],
)
def test_bounds_in_words(schema: dict[str, object], words: str) -> None:
    assert allowed(schema) == words


def test_every_model_and_baseline_has_a_page(api: httpx.Client) -> None:
    for name in (*catalog.models(), *catalog.baselines()):
        page = look(api, f"/ui/models/{name}")
        assert page.one("h1").text == catalog.entry(name).card.name
    assert f"/ui/train?use_case={TASK}&model_id=log_har" in look(api, "/ui/models/log_har").links().values()


def test_versions_come_newest_first_with_what_they_serve_as(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_2, actor="tests", reason="")
    rows = look(api, "/ui/models/gru").one("div", aria_labelledby="versions").rows()
    assert [row[0] for row in rows] == ["g2", "g1"]
    assert [row[5] for row in rows] == ["champion", "–"]
    assert "No version yet" in look(api, "/ui/models/sac").text


def test_an_unknown_model_is_a_page_with_links_to_near_ones(api: httpx.Client) -> None:
    page = look(api, "/ui/models/patch_tst", 404)
    assert page.links()["patchtst"] == "/ui/models/patchtst"
    assert "patch_tst" in page.one("div", role="alert").text


def test_a_lost_report_hides_nothing_else(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    release(ledger, home, HAR.model_copy(update={"entry": "gru", "version": "g9"}), verdict=Verdict.INFERIOR)
    (home / "reports" / TASK / "gru" / "g9" / "report.json").unlink()
    page = look(api, "/ui/models/gru")
    assert "cannot be read" in page.one("p", role="alert").text
    assert page.one("div", aria_labelledby="versions").rows()[0][0] == "g9"
    assert catalog.model("gru").card.strengths[0] in page.text
