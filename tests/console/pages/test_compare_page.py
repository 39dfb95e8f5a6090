"""Several models side by side, and the matrix: who is compared, on which scale, with which outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing_html import Node, parsed
from console_cases import GRU_2, HAR, LOSER, TASK, FakeGateway, application, http, release, report

from finml_console.pages._comparing import aligned, decimals
from finml_ledger import Deployments, Ledger, Slot
from finml_models.core import catalog
from finml_models.evaluation.document import Report, TableRow
from finml_models.evaluation.verdict import Verdict

SIDE = f"/ui/compare?use_case={TASK}"


def look(api: httpx.Client, path: str, status: int = 200) -> Node:
    answer = api.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return parsed(answer.text)


def lines(page: Node) -> list[list[str]]:
    return page.one("div", aria_labelledby="metrics").rows()


def keep(ledger: Ledger, home: Path, slot: Slot, document: Report) -> None:
    """A release whose report is this one."""
    release(ledger, home, slot)
    (home / "reports" / TASK / slot.entry / slot.version / "report.json").write_text(document.model_dump_json())


def picked(page: Node) -> list[str]:
    boxes = page.one("form", id="picks").all("input", type="checkbox")
    return [box.attributes["value"] for box in boxes if "checked" in box.attributes]


def test_the_newest_of_each_stand_side_by_side_best_first(api: httpx.Client) -> None:
    page = look(api, SIDE)
    assert [(row[0].split(" ")[0], row[1]) for row in lines(page)] == [
        ("GRU", "0.2000 0.1900 to 0.2100"),
        ("log-HAR", "0.3000 0.2900 to 0.3100"),
        ("LSTM", "0.4000 0.3900 to 0.4100"),
    ]
    assert "best baseline" in lines(page)[1][0]
    assert "lower is better" in page.one("table", class_="lines").one("thead").text
    assert sorted(picked(page)) == ["gru", "log_har", "lstm"]


def test_intervals_of_a_metric_are_on_one_scale_with_the_baselines_mark(api: httpx.Client) -> None:
    pictures = list(look(api, SIDE).one("table", class_="lines").all("svg", class_="whisker"))
    at = [float(picture.one("circle").attributes["cx"]) for picture in pictures]
    marks = {picture.one("line", class_="mark").attributes["x1"] for picture in pictures}
    assert at == sorted(at)
    assert len(set(at)) == 3
    assert marks == {pictures[1].one("circle").attributes["cx"]}, "the mark lies where the best baseline's own value does, on each line"


def test_every_number_leads_to_its_report_and_run(api: httpx.Client) -> None:
    page = look(api, SIDE)
    for region in ("verdicts", "costs"):
        links = [link.attributes["href"] for link in page.one("div", aria_labelledby=region).all("a")]
        assert f"/v1/versions/{TASK}/gru/g2/report.html" in links
        assert "/ui/train/run-g2" in links
    assert f"/v1/versions/{TASK}/lstm/l1/report.html" in page.one("div", aria_labelledby="metrics").links().values()


def test_verdicts_costs_and_data_are_told(api: httpx.Client) -> None:
    page = look(api, SIDE)
    verdicts = {row[0]: row[1:3] for row in page.one("div", aria_labelledby="verdicts").rows()}
    assert verdicts["LSTM"] == ["▼ inferior ✗ gate refused", "lstm against log_har: inferior. Failed: best baseline."]
    costs = {row[0]: row[1:] for row in page.one("div", aria_labelledby="costs").rows()}
    assert costs["GRU"][:8] == ["4.00", "0.500", "12 s", "3", "1,000", "low", "low", "low"]
    assert "us_market" in page.text
    assert "2015-01-02 to 2018-12-31" in page.text


def test_the_best_that_passed_is_named_and_the_ranking_gives_reasons(api: httpx.Client) -> None:
    page = look(api, SIDE)
    assert "GRU is the best of the 2 of 3 that passed their gates." in page.one("div", id="comparison").one("p", class_="note").text
    (first, *_) = page.one("ol", class_="ranking").all("li")
    assert first.text.startswith("GRU")
    assert "Measured: better than log_har" in first.text


def test_use_the_baseline_is_said_when_it_is_true(book: Ledger, home: Path) -> None:
    release(book, home, HAR, value=0.3, verdict=Verdict.NON_INFERIOR)
    release(book, home, LOSER, value=0.4, passed=False, verdict=Verdict.INFERIOR)
    with http(application(book, FakeGateway(book))) as api:
        page = look(api, SIDE)
    assert "log-HAR , a baseline, is the only one of these 2" in page.one("div", id="comparison").one("p", class_="note").text
    (first, *_) = page.one("ol", class_="ranking").all("li")
    assert "use the baseline" in first.text
    assert "use the baseline log_har" in page.one("div", id="comparison").one("p", class_="note").text


def test_what_is_picked_is_in_the_address(api: httpx.Client) -> None:
    page = look(api, f"{SIDE}&pick=gru:g1&pick=lstm")
    assert [row[0].split(" ")[0] for row in lines(page)] == ["GRU", "LSTM"]
    assert f"/v1/versions/{TASK}/gru/g1/report.html" in page.one("div", aria_labelledby="metrics").links().values()
    assert picked(page) == ["lstm", "gru:g1"]
    assert len(lines(look(api, f"{SIDE}&pick=gru&pick=gru:g1"))) == 2
    assert lines(look(api, f"{SIDE}&pick=gru:g2"))
    assert picked(look(api, f"{SIDE}&pick=gru:g2")) == ["gru:g2"]


def test_where_nothing_is_picked_the_ranking_stays(api: httpx.Client) -> None:
    page = look(api, f"{SIDE}&pick=")
    assert "Nothing is chosen" in page.one("div", class_="empty").text
    assert picked(page) == []
    assert list(page.one("ol", class_="ranking").all("li"))


def test_htmx_is_told_a_short_address(api: httpx.Client) -> None:
    asked = {"HX-Request": "true"}
    assert api.get(f"{SIDE}&pick=&pick=gru&horizon=all", headers=asked).headers["hx-push-url"] == f"{SIDE}&pick=gru"
    assert api.get(f"{SIDE}&pick=", headers=asked).headers["hx-push-url"] == f"{SIDE}&pick="
    assert api.get("/ui/compare?use_case=", headers=asked).headers["hx-push-url"] == "/ui/compare"


def test_what_does_not_compare_is_warned_of(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    other = report(LOSER, value=0.1)
    keep(ledger, home, LOSER.model_copy(update={"version": "l2"}), other.model_copy(update={"data": other.data.model_copy(update={"snapshot": "e" * 64})}))
    page = look(api, SIDE)
    assert "not scored on the same rows" in page.one("p", class_="warn").text
    assert "Which of these is best is not known." in page.one("div", id="comparison").text
    assert "e" * 16 in page.text
    assert "d" * 16 in page.text


def test_horizons_are_chosen_and_metrics_without_a_direction_say_so(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    base = report(GRU_2)
    note = base.metrics[0]
    far = [row.model_copy(update={"horizon": 22, "value": row.value + 1, "low": row.low + 1, "high": row.high + 1}) for row in base.table]
    cover = TableRow(entry="gru", horizon="all", metric="coverage", value=0.9, low=0.89, high=0.91, n=10)
    notes = (note, note.model_copy(update={"id": "coverage", "label": "Coverage", "lower_is_better": None}))
    keep(ledger, home, GRU_2.model_copy(update={"version": "g3"}), base.model_copy(update={"table": (*base.table, *far, cover), "metrics": notes}))
    page = look(api, f"{SIDE}&pick=gru")
    assert [option.attributes["value"] for option in page.one("select", id="horizon").all("option")] == ["all", "22"]
    head = page.one("table", class_="lines").one("thead").text
    assert "Coverage neither low nor high is better" in head
    page = look(api, f"{SIDE}&pick=gru&horizon=22")
    assert lines(page)[0][1].startswith("1.200")
    assert "Coverage" not in page.one("table", class_="lines").one("thead").text, "it has no value there"
    assert not list(look(api, f"{SIDE}&pick=lstm").all("select", id="horizon"))


def test_the_matrix_shows_every_use_case_and_model_in_words_too(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, GRU_2, actor="tests", reason="")
    table = look(api, "/ui/compare").one("div", class_="matrix")
    rows = {row[0]: row for row in table.rows()}
    assert list(rows) == [task.name for task in catalog.tasks().values()]
    assert {len(row) for row in rows.values()} == {len(catalog.models()) + 2}
    links = table.links()
    assert links["▲ GRU, volatility forecasting: superior, gate passed, serves as champion; report"] == f"/v1/versions/{TASK}/gru/g2/report.html"
    assert "▼ LSTM, volatility forecasting: inferior, gate refused; report" in links
    words = " ".join(rows["Volatility forecasting"])
    assert "· Informer, volatility forecasting: not measured" in words
    assert "TabNet, volatility forecasting: does not fit" in words
    assert links["Volatility forecasting"] == SIDE
    assert rows["Volatility forecasting"][-1] == "log-HAR"
    assert rows["News analysis"][-1] == "–"


def test_each_verdict_looks_otherwise(ledger: Ledger, home: Path) -> None:
    names = [pair.entry.id for pair in catalog.pairs(TASK)]
    for name, verdict in zip(names, Verdict, strict=False):
        release(ledger, home, Slot(entry=name, version="v9"), verdict=verdict)
    with http(application(ledger, FakeGateway(ledger))) as api:
        table = look(api, "/ui/compare").one("div", class_="matrix")
    kinds = {kind for place in table.all("a", class_="place") for kind in place.attributes["class"].split()}
    assert {str(verdict) for verdict in Verdict} <= kinds


@pytest.mark.parametrize(("path", "said"), [("/ui/compare", "Nothing was measured yet"), (SIDE, f"finml run --use-case {TASK}")])
def test_before_anything_was_measured_the_page_says_how_to_begin(path: str, said: str, book: Ledger) -> None:
    with http(application(book, FakeGateway(book))) as api:
        page = look(api, path)
    assert said in page.one("div", id="compare").text


def test_a_ranking_is_there_before_anything_was_measured(book: Ledger) -> None:
    with http(application(book, FakeGateway(book))) as api:
        places = list(look(api, SIDE).one("ol", class_="ranking").all("li"))
    assert len(places) == len(catalog.pairs(TASK))
    assert "Not measured here yet; claims" in places[0].text


def test_a_lost_report_hides_no_other_one(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    (home / "reports" / TASK / "lstm" / "l1" / "report.json").unlink()
    page = look(api, SIDE)
    assert "lstm:l1 cannot be read" in page.one("p", role="alert").text
    assert [row[0].split(" ")[0] for row in lines(page)] == ["GRU", "log-HAR"]
    assert not list(page.all("ol", class_="ranking"))


@pytest.mark.parametrize(("query", "status"), [("use_case=nothing", 422), (f"use_case={TASK}&pick=nobody", 404), (f"use_case={TASK}&pick=tft", 409)])
def test_what_is_not_there_is_a_page_that_says_so(query: str, status: int, api: httpx.Client) -> None:
    assert look(api, f"/ui/compare?{query}", status).one("div", role="alert").text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.01085, 0.01152, None), ["0.01085", "0.01152", "–"]),
        ((-3.25, 0.0, 1200.0), ["−3.2", "0.0", "1,200.0"]),
        ((0.0, 0.0), ["0", "0"]),
        ((float("nan"), 2.0), ["–", "2.000"]),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals(values: tuple[Any, ...], shown: list[str]) -> None:
    assert aligned(values) == shown


def test_decimals_end_somewhere() -> None:
    assert decimals([1e-12]) == 8
    assert decimals([5e9]) == 0
