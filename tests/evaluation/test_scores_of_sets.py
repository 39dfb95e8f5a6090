"""Metrics of whole sets: pseudo-values that tests can compare, verdicts on them, and reports of classifiers and policies."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from finml_models.core.catalog import Pair
from finml_models.core.errors import DataError
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import CalibrationGuard, Gate
from finml_models.evaluation.ceiling import known_best
from finml_models.evaluation.document import DataSection, Report, Resources, TrainingSummary
from finml_models.evaluation.html import render
from finml_models.evaluation.leaderboard import leaderboard
from finml_models.evaluation.plots import draw
from finml_models.evaluation.report import assess, scored, scores_of
from finml_models.evaluation.scores import Scores, align
from finml_models.evaluation.statistics import delong
from finml_models.evaluation.statistics.independent import jackknife, paired_t
from finml_models.evaluation.trials import MemoryTrials
from finml_models.evaluation.verdict import Verdict, contamination

from .conftest import VarianceTask, pair


class DefaultTask(VarianceTask):
    """Two classes, judged by the Gini coefficient on independent applicants."""

    objective = Objective.CLASSIFY
    kinds = (Kind.TABLE,)
    horizons = (12,)
    unit = "entity"
    metrics: ClassVar[tuple[str, ...]] = ("gini", "brier", "ece", "psi")
    baselines = ("prior", "scorecard")
    gate = Gate(version="default/1", naive=("prior",), margin=0.02, coverage=None, calibration=CalibrationGuard(within=0.05))


class OrderTask(DefaultTask):
    """Episodes, judged by implementation shortfall."""

    objective = Objective.CONTROL
    horizons = ()
    metrics: ClassVar[tuple[str, ...]] = ("implementation_shortfall_bp", "cvar_95")
    gate = Gate(version="orders/1", naive=("prior",), margin=0.05, coverage=None)


def applicants(noise: float, n: int = 3000, *, world: int = 0, stream: int = 1, seed: int = 0) -> pd.DataFrame:
    """Probabilities of default that miss the true log odds by so much noise."""
    known = np.random.default_rng(world)
    odds = known.standard_normal(n) * 1.5 - 2
    target = (known.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    p = 1 / (1 + np.exp(-(odds + noise * np.random.default_rng([stream, seed]).standard_normal(n))))
    time = np.datetime64("2020-01-01", "us") + np.arange(n) * 24 // n * np.timedelta64(30 * 86_400 * 10**6, "us")
    key = {"entity": [f"A{i:05}" for i in range(n)], "time": time, "fold": np.arange(n) * 3 // n, "seed": seed, "horizon": 12}
    return pd.DataFrame({**key, "target": target, "p0": 1 - p, "p1": p})


def prior(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(p0=1 - frame["target"].mean(), p1=frame["target"].mean())


def judged(frames: dict[str, pd.DataFrame], task: type[DefaultTask] = DefaultTask, **more: Any) -> Report:
    chosen = Pair(task, pair("tabm").entry, Kind.TABLE)
    return assess(
        chosen,
        frames,
        data=DataSection(dataset="simulated", snapshot="ab" * 32, rows=9000, entities=3000, first="2020-01-01", last="2021-12-01", repairs={}),
        training=TrainingSummary(profile="fast", seconds=1.0, fits=4, epochs=None, parameters=None, curve=()),
        resources=Resources(milliseconds=1.0, megabytes=0.4),
        fingerprint={"id": "cd" * 32},
        version="0123456789abcdef",
        reproduce="finml run",
        ceilings=known_best(task, frames["scorecard"][["entity", "time"]].assign(p0=0.9, p1=0.1), frames["tabm"]) if "p0" in frames["tabm"] else (),
        **more,
    )


def test_pseudo_values_have_the_statistic_as_mean_and_its_error_as_spread() -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    pseudo = jackknife(lambda kept: float(x[kept].mean()), np.arange(5000) % 50)
    assert pseudo.mean() == pytest.approx(x.mean())
    assert pseudo.std(ddof=1) / np.sqrt(50) == pytest.approx(x.std() / np.sqrt(5000), rel=0.3)


def test_the_error_of_a_gini_difference_is_delongs() -> None:
    a, b = applicants(0.5, stream=1), applicants(1.0, stream=2)
    scores = align({"a": a, "b": b}, ["gini"], unit="entity")
    ours = paired_t(scores["a"].losses("gini"), scores["b"].losses("gini"))
    theirs = delong(a["target"], a["p1"], b["p1"])
    assert -ours.mean == pytest.approx(2 * (roc_auc_score(a["target"], a["p1"]) - roc_auc_score(b["target"], b["p1"])))
    assert ours.se == pytest.approx(2 * theirs.se, rel=0.35)


def test_two_equally_good_classifiers_are_told_apart_as_rarely_as_promised() -> None:
    p = []
    for world in range(300):
        frames = {name: applicants(0.7, 800, world=world, stream=stream) for stream, name in enumerate("ab")}
        scores = align(frames, ["gini"], unit="entity")
        p.append(paired_t(scores["a"].losses("gini"), scores["b"].losses("gini"), alternative="less").p)
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_equal_units_are_no_evidence_and_few_of_them_no_test() -> None:
    loss = np.random.default_rng(0).gamma(1.0, size=30)
    assert (paired_t(loss, loss).p, paired_t(loss, loss).statistic) == (1.0, 0.0)
    with pytest.raises(DataError, match="too few"):
        paired_t(loss[:5], loss[:5])


def test_a_better_classifier_is_superior_passes_and_leads_the_board() -> None:
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    frames["prior"] = prior(frames["tabm"])
    report = judged(frames)
    assert report.verdict is Verdict.SUPERIOR
    assert report.gate.passed, report.gate.failed
    assert report.judgement.model_value > report.judgement.baseline_value > 0
    assert report.judgement.difference < 0
    assert "higher than the baseline's" in report.judgement.sentence
    value = report.row("tabm", "gini")
    assert value.low < value.value < value.high
    assert value.value == pytest.approx(2 * roc_auc_score(frames["tabm"]["target"], frames["tabm"]["p1"]) - 1)
    worse = judged({**frames, "tabm": applicants(2.5)}).model_copy(update={"entry": "tabm"})
    assert worse.verdict is Verdict.INFERIOR
    board = leaderboard([report])
    assert board[0].champion
    assert not board[0].lower_is_better


def test_probabilities_that_promise_too_much_are_refused() -> None:
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    sure = frames["tabm"].assign(p1=lambda f: f["p1"] ** 0.3, p0=lambda f: 1 - f["p1"] ** 0.3)
    assert judged({**frames, "tabm": sure, "prior": prior(frames["tabm"])}).gate.failed == ("calibration",)


def test_the_page_of_a_classifier_shows_its_own_plots_and_says_what_is_better() -> None:
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    frames["prior"] = prior(frames["tabm"])
    report = judged(frames)
    plots = draw(report, frames, scores_of(DefaultTask, frames))
    assert [plot.id for plot in plots] == ["race", "calibration", "separation"]
    text = render(report, plots)
    assert "higher is better" in text
    assert "3,000 cases" in text or report.ceilings


def test_weights_that_know_the_answers_are_refused_however_good_and_notes_stand_on_the_page() -> None:
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    frames["prior"] = prior(frames["tabm"])
    report = judged(frames, extra=[contamination(("some_corpus",))], notes=("Weights: of <somebody>.",))
    assert report.verdict is Verdict.SUPERIOR
    assert report.gate.failed == ("contamination",)
    text = render(report)
    assert "tuned on some_corpus" in text
    assert "Weights: of &lt;somebody&gt;." in text


def test_a_metric_that_no_row_is_fit_for_is_left_out_of_the_report() -> None:
    task = type("NewsTask", (DefaultTask,), {"metrics": ("macro_f1", "ece", "macro_f1_long_documents"), "__module__": DefaultTask.__module__})
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    frames["prior"] = prior(frames["tabm"])
    short, mixed = ({name: frame.assign(tokens=tokens) for name, frame in frames.items()} for tokens in (40.0, np.where(np.arange(3000) % 4, 40.0, 600.0)))
    assert [note.id for note in judged(short, task).metrics] == ["macro_f1", "ece"]
    assert [note.id for note in judged(mixed, task).metrics] == ["macro_f1", "ece", "macro_f1_long_documents"]


def test_episodes_are_compared_one_by_one() -> None:
    rng = np.random.default_rng(0)
    n = 1200
    base = (
        applicants(0.2, n).drop(columns=["p0", "p1"]).assign(horizon=0, target=100.0, side=np.where(rng.random(n) < 0.5, 1.0, -1.0), arrival=100.0, filled=1.0)
    )
    market = base["side"] * rng.standard_normal(n) * 0.5

    def fills(cost_bp: float) -> pd.DataFrame:
        average = 100.0 + base["side"] * cost_bp / 100 + market
        return base.assign(average=average, final=average)

    frames = {"tabm": fills(5.0), "scorecard": fills(8.0), "prior": fills(20.0)}
    report = judged(frames, OrderTask)
    assert report.verdict is Verdict.SUPERIOR
    assert report.judgement.difference == pytest.approx(-3.0, abs=0.01)
    assert [plot.id for plot in draw(report, frames, scores_of(OrderTask, frames))] == ["race", "differences"]


def test_a_trial_of_a_metric_of_whole_sets_keeps_its_error() -> None:
    frame, trials = applicants(0.5), MemoryTrials()
    with trials.open(0, 0) as trial:
        scored = trial.score(frame, "gini")
    assert scored.value == pytest.approx(2 * roc_auc_score(frame["target"], frame["p1"]) - 1)
    error = np.sqrt(scored.variance / scored.samples)
    assert error == pytest.approx(2 * delong(frame["target"], frame["p1"], 1 - frame["p1"]).se / 2, rel=0.4)


def test_ceilings_need_the_truth_of_every_row() -> None:
    frame = applicants(0.2)
    with pytest.raises(DataError, match="have none"):
        known_best(DefaultTask, frame[["entity", "time", "p0", "p1"]].iloc[5:], frame)
    found = {c.metric: c.value for c in known_best(DefaultTask, frame[["entity", "time", "p0", "p1"]], frame)}
    assert found["gini"] == pytest.approx(2 * roc_auc_score(frame["target"], frame["p1"]) - 1)


def test_what_an_entry_scored_serves_every_report_that_compares_with_it() -> None:
    frames = {"tabm": applicants(0.2), "scorecard": applicants(1.2, stream=2)}
    frames["prior"] = prior(frames["tabm"])
    kept = {name: scored(DefaultTask, name, frame) for name, frame in frames.items()}
    again = {**kept, "tabm": scored(DefaultTask, "tabm", applicants(2.0, stream=3))}
    worse = {**frames, "tabm": applicants(2.0, stream=3)}
    assert judged(frames, scores=Scores.of(kept)) == judged(frames)
    assert judged(worse, scores=Scores.of(again)) == judged(worse) != judged(frames)
    assert again["scorecard"].losses("gini") is kept["scorecard"].losses("gini")
    with pytest.raises(DataError, match="scorecard"):
        Scores.of({**kept, "scorecard": scored(DefaultTask, "scorecard", frames["scorecard"].iloc[1:])})
