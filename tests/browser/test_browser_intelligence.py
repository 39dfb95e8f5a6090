"""The state of the market: by whom it is told is chosen in a dialog, and a date on a picture."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from watch import Watch


def test_whose_regimes_are_shown_is_chosen_by_keyboard_in_a_dialog(watch: Watch) -> None:
    page = watch.open("/ui/intelligence?regimes=regime_detection-vae")
    expect(page.get_by_role("region", name="Regimes by")).to_contain_text("Variational autoencoder")
    expect(page.get_by_role("region", name="Current regime")).to_contain_text("turbulent")
    opener = page.get_by_role("button", name="Change: choose a model for regimes")
    opener.press("Enter")
    chooser = page.get_by_role("dialog", name="Choose a model for regimes")
    search = chooser.get_by_role("searchbox", name="Search")
    expect(search).to_be_focused()
    page.keyboard.press("Escape")
    expect(chooser).to_be_hidden()
    expect(opener).to_be_focused()
    opener.press("Enter")
    search.press_sequentially("hmm")
    expect(chooser.get_by_role("status")).to_have_text("1 shown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Regimes by")).to_contain_text("Gaussian HMM")
    expect(page.get_by_role("region", name="Current regime")).to_contain_text("turbulent")
    assert "embedding=" in page.url, "the other choice stays"


def test_a_date_of_the_embedding_is_chosen_with_the_slider(watch: Watch) -> None:
    page = watch.open("/ui/intelligence")
    slider = page.get_by_role("slider", name=re.compile("^Date"))
    before = slider.get_attribute("aria-valuetext")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).not_to_have_attribute("aria-valuetext", before or "")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^\d{4}-\d{2}-\d{2}"))
    expect(page.locator("figure.chart canvas").first).to_be_visible()
