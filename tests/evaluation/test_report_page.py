from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import DataError
from finml_models.evaluation.backtest import Fit
from finml_models.evaluation.document import DataSection, Report
from finml_models.evaluation.html import number, render
from finml_models.evaluation.leaderboard import beside_newest, leaderboard
from finml_models.evaluation.plots import draw
from finml_models.evaluation.report import build, read, read_plots, scores_of, write

from .conftest import VarianceTask, World, judge_entry, pair


def test_a_report_survives_json(report_of: Callable[..., Report]) -> None:
    report = report_of(0.3, seeds=(0, 1, 2))
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert len(report.seeds.values) == 3
    assert report.seeds.spread is not None


def test_equal_inputs_give_equal_bytes(report_of: Callable[..., Report]) -> None:
    assert report_of(0.3).model_dump_json() == report_of(0.3).model_dump_json()


def test_the_table_holds_every_entry_horizon_and_metric_once_with_its_interval(report_of: Callable[..., Report]) -> None:
    report = report_of(0.3)
    assert len(report.table) == len({(r.entry, r.horizon, r.metric) for r in report.table}) == 4 * 3 * 4
    assert all(row.low <= row.value <= row.high for row in report.table)
    assert report.row("gru", "qlike").n == 600 * 3 * 2
    assert report.row("gru", "qlike", 5).n == 600 * 3


def test_slices_add_up_to_the_whole(report_of: Callable[..., Report]) -> None:
    report = report_of(0.3)
    whole = report.row("gru", "qlike").value
    for by in ("year", "entity"):
        parts = [s for s in report.slices if s.by == by]
        assert sum(s.n for s in parts) == report.scored.rows
        assert np.average([s.value for s in parts], weights=[s.n for s in parts]) == pytest.approx(whole)


@pytest.mark.parametrize("damage", ["a row missing", "a row twice", "another target", "another fold", "a seed missing a row"])
def test_frames_of_different_rows_are_not_compared(damage: str, world: World, baselines: dict[str, pd.DataFrame]) -> None:
    frame = world.frame(0.3, (0, 1))
    broken = {
        "a row missing": frame.drop(index=[3, 3 + len(frame) // 2]),
        "a row twice": pd.concat([frame, frame.iloc[[5]]]),
        "another target": frame.assign(target=frame["target"].where(frame.index != 4, 9.0)),
        "another fold": frame.assign(fold=0),
        "a seed missing a row": frame.drop(index=[3]),
    }[damage]
    with pytest.raises(DataError, match="gru"):
        judge_entry(pair("gru"), {**baselines, "gru": broken})


def test_the_order_of_rows_does_not_matter(world: World, baselines: dict[str, pd.DataFrame], report_of: Callable[..., Report]) -> None:
    shuffled = world.frame(0.3).sample(frac=1, random_state=0)
    assert judge_entry(pair("gru", name="GRU"), {**baselines, "gru": shuffled}) == report_of(0.3)


def test_models_tried_beside_this_one_count(world: World, baselines: dict[str, pd.DataFrame]) -> None:
    frames = {**baselines, "gru": world.frame(0.3), "lstm": world.frame(0.5)}
    assert judge_entry(pair("gru"), frames).judgement.tried == 2
    assert judge_entry(pair("gru"), frames, tried=6).judgement.tried == 6


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written report of a pair with hostile names."""
    world = World(250, ("<script>alert(1)</script>", "B&B $x$", "CCC"))
    chosen = pair("gru", name="GRU <script>alert(2)</script>")
    predictions = {**world.baselines(), "gru": world.frame(0.2, (0, 1))}
    report, plots = build(
        chosen,
        predictions,
        scores_of(chosen.task, predictions),
        fits=[Fit(0, 0, 100, 1.0, 0.1, 0.1, 10, ((1, 0.5, 0.6), (2, 0.4, 0.55)))],
        fingerprint={"id": "x", "note": "</pre><script>alert(3)</script>"},
        data=DataSection(dataset="simulated", snapshot="ab" * 32, rows=10, entities=3, first="2015-01-01", last="2015-09-01", repairs={"<b>": 1}),
        version="0123456789abcdef",
        profile="full",
        milliseconds=1.5,
        megabytes=0.2,
        seconds=3.0,
    )
    return write(report, plots, tmp_path_factory.mktemp("report"))


def test_the_page_is_self_contained(page: Path) -> None:
    text = (page / "report.html").read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"<(script|link|iframe|object)\b", text, re.IGNORECASE)
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert len(sources) == 5
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "url(" not in text


def test_hostile_names_are_shown_escaped(page: Path) -> None:
    text = (page / "report.html").read_text()
    for call in (1, 2, 3):
        assert f"<script>alert({call})" not in text
        assert f"&lt;script&gt;alert({call})" in text
    assert "<b>" not in text
    assert "has &lt;no&gt; weights &amp; no merit" in text


def test_what_was_written_is_read_back(page: Path) -> None:
    report = read(page)
    assert report == read(page / "report.json")
    assert report.training.epochs == 2
    assert report.reproduce in (page / "report.html").read_text()
    assert set(read_plots(page)) == {"forecast", "calibration", "race", "learning", "pit"}
    assert all(svg.lstrip().startswith("<?xml") for svg in read_plots(page).values())
    assert set(report.headline_figures()) == {"qlike", "qlike of log_har", "p", "milliseconds"}
    assert json.loads((page / "report.json").read_text())["format"] == 1


def test_equal_numbers_draw_equal_bytes() -> None:
    small = World(60, ("AAA",))
    frames = {**small.baselines(), "gru": small.frame(0.3)}
    report = judge_entry(pair("gru"), frames)
    first, second = (draw(report, frames, scores_of(VarianceTask, frames)) for _ in range(2))
    assert first == second


def test_a_page_without_plots_still_says_everything(report_of: Callable[..., Report]) -> None:
    text = render(report_of(2.0))
    assert "gate refused" in text
    assert "✗ fails" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.000"), (0.41237, "0.4124"), (1234.5, "1,234"), (-0.0123456, "−0.0123"), (None, "–"), (3e130, "3.000e+130"), (12.3456, "12.35")],
)
def test_numbers_are_readable(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_the_champion_is_the_best_passing_model_or_else_the_best_baseline(
    world: World, baselines: dict[str, pd.DataFrame], report_of: Callable[..., Report]
) -> None:
    experts = [judge_entry(pair(name, None), baselines) for name in VarianceTask.baselines]
    lost = leaderboard([*experts, report_of(0.7)])
    assert [row.model for row in lost if row.champion] == ["log_har"]
    won = leaderboard([*experts, report_of(0.2)])
    assert [row.model for row in won if row.champion] == ["gru"]
    assert [row.model for row in won] == ["gru", "log_har", "ewma", "last_value"]
    assert won[0].release == "0123456789abcdef"
    assert won[-1].release is None
    assert all(row.interval[0] <= row.value <= row.interval[1] for row in won)


def test_reports_on_different_data_are_not_ranked(report_of: Callable[..., Report]) -> None:
    report = report_of(0.3)
    other = report.model_copy(update={"data": report.data.model_copy(update={"snapshot": "ee" * 32})})
    with pytest.raises(DataError, match="same data"):
        leaderboard([report, other])
    # What was made first on other data steps back until it is made again.
    assert beside_newest([report, other]) == [other]
    assert beside_newest([other, report, report]) == [report, report]
    assert beside_newest([]) == []
