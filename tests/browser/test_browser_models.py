"""Finding a model, and reading all that is known of it, as somebody does who looks around."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from watch import Watch


def found(page: Page) -> list[str]:
    """The names on the cards."""
    return page.locator("main .cards").get_by_role("heading").all_inner_texts()


def test_models_are_found_by_use_case_family_words_and_evidence_and_the_address_keeps_it(watch: Watch) -> None:
    page = watch.open("/ui/models")
    said = page.get_by_role("main").get_by_role("status")
    expect(said).to_have_text("18 models")
    page.get_by_label("Use case", exact=True).select_option(label="Volatility forecasting")
    expect(said).to_have_text("5 models for volatility forecasting")
    expect(page).to_have_url(re.compile(r"use_case=volatility_forecasting"))
    page.get_by_role("checkbox", name="Production-ready only").check()
    expect(said).to_have_text("1 model for volatility forecasting")
    assert found(page) == ["GRU"]
    page.get_by_role("checkbox", name="Also baselines").check()
    expect(said).to_have_text(re.compile(r"1 model, \d baselines for volatility forecasting"))
    assert {"GRU", "log-HAR", "EWMA"} <= set(found(page))
    address = page.url
    page.reload()
    assert {"GRU", "log-HAR", "EWMA"} <= set(found(page))
    assert page.url == address
    page.go_back()
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("1 model for volatility forecasting")
    expect(page.get_by_role("checkbox", name="Also baselines")).not_to_be_checked()


def test_search_and_families_and_a_way_out_of_what_finds_nothing(watch: Watch) -> None:
    page = watch.open("/ui/models")
    said = page.get_by_role("main").get_by_role("status")
    page.get_by_role("searchbox", name="Search").press_sequentially("graph attention")
    expect(said).to_have_text("1 model")
    assert found(page) == ["Graph attention network"]
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_role("navigation", name="Families").get_by_role("link", name="Graph").click()
    expect(said).to_have_text("3 models")
    expect(page.get_by_role("link", name="Graph 3")).to_have_attribute("aria-current", "true")
    page.get_by_role("searchbox", name="Search").press_sequentially("no such thing")
    expect(page.get_by_text("No model holds all of this")).to_be_visible()
    page.get_by_role("link", name="take all filters away").click()
    expect(said).to_have_text("18 models")


def test_a_card_leads_to_the_whole_card_and_from_there_to_training_and_comparison(watch: Watch) -> None:
    page = watch.open("/ui/models?use_case=volatility_forecasting")
    page.get_by_role("link", name="GRU", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GRU")
    for part in ("Strengths", "Weaknesses", "Hyperparameters"):
        expect(page.get_by_role("heading", name=re.compile(part)).first).to_be_visible()
    expect(page.get_by_role("link", name="Compare", exact=True)).to_have_attribute("href", "/ui/compare?use_case=volatility_forecasting")
    page.get_by_role("link", name="Train this model").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("gru")
    expect(page.get_by_label("Use case", exact=True)).to_have_value("volatility_forecasting")


def test_a_model_that_there_is_not_names_the_near_ones(watch: Watch) -> None:
    watch.expect(404, "/ui/models/grus")
    page = watch.open("/ui/models/grus")
    page.get_by_role("main").get_by_role("link", name="GRU").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GRU")


def test_a_term_is_explained_by_keyboard_and_escape_puts_it_away(watch: Watch) -> None:
    page = watch.open("/ui/models/gru")
    term = page.locator("main button.term").first
    term.focus()
    tip = page.get_by_role("tooltip")
    expect(tip).to_be_visible()
    expect(tip).to_have_text(term.get_attribute("data-tip") or "")
    expect(term).to_have_accessible_description(tip.inner_text())
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(term).to_be_focused()
    expect(tip).to_be_visible()


def test_a_comparison_follows_what_is_ticked(watch: Watch) -> None:
    page = watch.open("/ui/compare")
    matrix = page.get_by_role("region", name="Suitability matrix")
    expect(matrix.get_by_role("row")).to_have_count(12)
    page.get_by_label("Use case", exact=True).select_option(label="Volatility forecasting")
    metrics = page.get_by_role("region", name="Metrics")
    expect(metrics.get_by_role("rowheader")).to_have_count(4)
    page.get_by_role("checkbox", name="LSTM").uncheck()
    expect(metrics.get_by_role("rowheader")).to_have_count(3)
    expect(metrics.get_by_role("rowheader", name="LSTM")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"pick=gru"))
    expect(page.get_by_role("status").filter(has_text="They were not scored on the same rows")).to_be_visible()
    page.get_by_role("checkbox", name="GRU").first.uncheck()
    expect(page.get_by_role("status").filter(has_text="of 2 that passed")).to_be_visible()
