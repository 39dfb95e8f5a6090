from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.core.spec import Objective
from finml_models.core.task import LeakAlarm
from finml_models.evaluation.document import Report
from finml_models.evaluation.verdict import Evidence, GateResult, Judgement, Part, Verdict, adjusted, gate, judge

from .conftest import VarianceTask, World, judge_entry, pair


def losses(shift: float, n: int = 600, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A baseline's losses around 1, and a model's that are `shift` higher on average."""
    rng = np.random.default_rng(0)
    baseline = 1 + 0.3 * rng.standard_normal(n)
    noise_ = rng.standard_normal(n)
    return baseline + shift + noise * (noise_ - noise_.mean()), baseline


@pytest.mark.parametrize(
    ("shift", "noise", "verdict"),
    [
        (-0.05, 0.1, Verdict.SUPERIOR),
        (0.005, 0.05, Verdict.NON_INFERIOR),
        (0.05, 0.1, Verdict.INFERIOR),
        (0.005, 1.0, Verdict.INCONCLUSIVE),
        (0.0, 0.0, Verdict.NON_INFERIOR),
    ],
)
def test_each_verdict_has_its_case(shift: float, noise: float, verdict: Verdict) -> None:
    judgement = judge(*losses(shift, noise=noise), horizon=5, margin=0.02)
    assert judgement.verdict is verdict
    assert (judgement.dates_needed is not None) == (verdict is Verdict.INCONCLUSIVE)
    assert judgement.low <= judgement.difference <= judgement.high


def test_a_model_equal_to_the_baseline_is_not_superior() -> None:
    _, baseline = losses(0)
    judgement = judge(baseline, baseline, horizon=5, margin=0.02)
    assert judgement.verdict is Verdict.NON_INFERIOR
    assert judgement.p == 1


def test_more_models_tried_make_superiority_harder() -> None:
    model, baseline = losses(-0.012, noise=0.15)
    alone = judge(model, baseline, horizon=5, margin=0.02)
    assert 0.005 < alone.p < 0.05
    assert alone.verdict is Verdict.SUPERIOR
    assert judge(model, baseline, horizon=5, margin=0.02, tried=40).verdict is not Verdict.SUPERIOR
    assert judge(model, baseline, horizon=5, margin=0.02, others=[0.5] * 39).p_adjusted == pytest.approx(min(1, 40 * alone.p))


def test_untold_p_values_are_never_counted_in_the_models_favour() -> None:
    rng = np.random.default_rng(0)
    for p, *others in rng.random((50, 5)):
        assert adjusted(p, others[:2], tried=5) >= adjusted(p, others) - 1e-12


def test_the_sample_size_named_does_decide() -> None:
    # Longer samples of the same world, at the size that the first one asked for, decide in most cases.
    def world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        baseline = 1 + 0.3 * rng.standard_normal(n)
        return baseline + 0.06 + 0.5 * rng.standard_normal(n), baseline

    needed = [j.dates_needed for seed in range(40) if (j := judge(*world(100, seed), horizon=1, margin=0.02)).dates_needed]
    assert len(needed) > 10
    size = int(np.median(needed))
    decided = [judge(*world(size, 1000 + seed), horizon=1, margin=0.02).verdict is not Verdict.INCONCLUSIVE for seed in range(60)]
    assert np.mean(decided) > 0.6


def test_a_good_model_passes_and_every_check_is_shown(report_of: Callable[..., Report]) -> None:
    report = report_of(0.2)
    assert report.verdict is Verdict.SUPERIOR
    assert report.gate.passed
    assert [check.name for check in report.gate.checks] == [
        "beats last_value", "best baseline", "own predictions", "coverage", "coverage by horizon", "worst slice", "seed spread", "latency", "size",
        "leak alarm",
    ]  # fmt: skip
    assert report.gate.version == "variance/1"


def failed(report: Report) -> set[str]:
    return {check.name for check in report.gate.checks if check.blocking and not check.passed}


def test_the_gate_refuses_noise(report_of: Callable[..., Report]) -> None:
    report = report_of(2.0)
    assert not report.gate.passed
    assert {"beats last_value", "best baseline", "worst slice"} <= failed(report)


@pytest.mark.parametrize("name", VarianceTask.baselines)
def test_the_gate_refuses_a_model_that_is_a_baseline_under_another_name(name: str, baselines: dict[str, pd.DataFrame]) -> None:
    report = judge_entry(pair("gru"), {**baselines, "gru": baselines[name]})
    assert report.verdict is not Verdict.SUPERIOR
    assert "own predictions" in failed(report)


def test_each_guard_refuses_alone(report_of: Callable[..., Report]) -> None:
    assert failed(report_of(0.2, spread=0.6)) == {"coverage", "coverage by horizon"}
    assert failed(report_of(0.2, milliseconds=50.0)) == {"latency"}


def test_a_bad_year_is_refused(world: World, baselines: dict[str, pd.DataFrame]) -> None:
    frame = world.frame(0.1)
    bad = (frame["time"].dt.year == 2016) & (frame["time"].dt.month <= 6)
    frame.loc[bad, "point"] += 0.8
    report = judge_entry(pair("gru"), {**baselines, "gru": frame})
    assert "worst slice" in failed(report)
    assert "2016" in next(check.sentence for check in report.gate.checks if check.name == "worst slice")


def test_exactly_one_baseline_passes_and_it_is_the_best(baselines: dict[str, pd.DataFrame]) -> None:
    reports = {name: judge_entry(pair(name, None), baselines, milliseconds=1e3) for name in VarianceTask.baselines}
    assert [name for name, report in reports.items() if report.gate.passed] == ["log_har"]
    assert reports["log_har"].verdict is Verdict.SUPERIOR
    assert reports["log_har"].judgement.against == "ewma"
    latency = next(check for check in reports["log_har"].gate.checks if check.name == "latency")
    assert (latency.passed, latency.blocking) == (False, False)


def test_a_gate_without_a_baseline_is_refused(world: World, baselines: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(DataError, match="ewma"):
        judge_entry(pair("gru"), {"gru": world.frame(0.2), "last_value": baselines["last_value"], "log_har": baselines["log_har"]})
    one = np.ones(100)
    judgement: Judgement = judge(one, one, horizon=5, margin=0.02)
    with pytest.raises(DataError, match="last_value"):
        gate(VarianceTask, entry="gru", judgement=judgement, evidence=evidence(losses={"gru": one}))


def evidence(**changes: Any) -> Evidence:
    """Evidence of a model clearly better than three baselines, on 600 dates."""
    rng = np.random.default_rng(3)
    level = {"gru": 0.8, "log_har": 1.0, "ewma": 1.2, "last_value": 1.5}
    facts: dict[str, Any] = {
        "losses": {name: mean + 0.1 * rng.standard_normal(600) for name, mean in level.items()},
        "horizon": 5,
        "seeds": np.array([0.8]),
        "milliseconds": 1.0,
        "megabytes": 1.0,
        "coverage": 0.9,
        "coverage_by_horizon": {1: 0.9, 5: 0.9},
    }
    own, best = ({**facts["losses"], **changes.get("losses", {})}[name] for name in ("gru", "log_har"))
    facts |= changes
    halves = [slice(0, 300), slice(-300, None)]
    parts = [Part(name=str(2015 + i), own=own[half].mean(), reference=best[half].mean(), units=300) for i, half in enumerate(halves)]
    return Evidence(**{"parts": parts, **facts})


def task_with(**guards: Any) -> type[VarianceTask]:
    """The variance task under another gate."""
    return type("VarianceTask", (VarianceTask,), {"gate": VarianceTask.gate.model_copy(update=guards), "__module__": VarianceTask.__module__})


def result(task: type[VarianceTask] = VarianceTask, entry: str = "gru", **changes: Any) -> GateResult:
    """The gate's answer to that evidence, changed."""
    facts = evidence(**changes)
    return gate(task, entry=entry, judgement=judge(facts.losses[entry], facts.losses["log_har"], horizon=5, margin=0.02), evidence=facts)


def test_every_naive_reference_must_be_beaten() -> None:
    losses_ = dict(evidence().losses)
    both = task_with(naive=("last_value", "ewma"))
    assert result(both).passed
    # As good as ewma is not better than it, although last_value is beaten.
    losses_["ewma"] = losses_["gru"] + 0.1 * np.random.default_rng(1).standard_normal(600)
    refused = result(both, losses=losses_)
    assert "beats ewma" in refused.failed
    assert next(check for check in refused.checks if check.name == "beats last_value").passed


def test_an_ablation_that_the_gate_names_must_be_beaten_by_a_model_that_has_it() -> None:
    rng = np.random.default_rng(1)
    named, facts = task_with(ablations=("short",)), evidence()
    judgement = judge(facts.losses["gru"], facts.losses["log_har"], horizon=5, margin=0.02)
    # As good without the part is no reason for the part.
    for mean, refused in ((0.8, ("beats short",)), (1.1, ())):
        own = evidence(losses=dict(facts.losses) | {"short": mean + 0.1 * rng.standard_normal(600)})
        assert gate(named, entry="gru", judgement=judgement, evidence=own, ablations=("short",)).failed == refused
    assert gate(named, entry="gru", judgement=judgement, evidence=facts).passed
    with pytest.raises(DataError, match="short"):
        gate(named, entry="gru", judgement=judgement, evidence=facts, ablations=("short",))


def test_a_bad_horizon_does_not_hide_behind_a_good_one() -> None:
    assert result(coverage=0.9, coverage_by_horizon={1: 0.8, 5: 1.0}).failed == ("coverage by horizon",)


@pytest.mark.parametrize(("seeds", "refused"), [([0.8, 0.81, 0.79], ()), ([0.6, 0.8, 1.0], ("seed spread",))])
def test_seeds_that_scatter_are_refused(seeds: list[float], refused: tuple[str, ...]) -> None:
    assert result(seeds=np.array(seeds)).failed == refused


def test_one_seed_says_that_its_spread_is_not_known() -> None:
    check = next(check for check in result().checks if check.name == "seed spread")
    assert (check.blocking, check.value) == (False, None)
    assert "One seed" in check.sentence


def test_a_guard_that_means_nothing_for_a_task_is_left_out() -> None:
    bare = task_with(coverage=None, worst_slice=None, seeds=None, budget=None)
    left = [check.name for check in result(bare, coverage=None, milliseconds=1e9).checks]
    assert left == ["beats last_value", "best baseline", "own predictions", "leak alarm"]
    with pytest.raises(DataError, match="set its coverage to None"):
        result(coverage=None)


@pytest.mark.parametrize(("name", "plausible", "suspect"), [("rank_ic", 0.06, 0.14), ("oos_r2", 0.01, 0.05), ("net_sharpe", 1.2, 3.5)])
def test_a_result_too_good_to_be_true_is_a_suspected_leak(name: str, plausible: float, suspect: float) -> None:
    assert result(measured={name: plausible}).passed
    refused = result(measured={name: suspect})
    assert refused.failed == ("leak alarm",)
    assert "Suspected leak" in refused.checks[-1].sentence
    # The best baseline is stopped as well: its leak would be everybody's.
    losses_ = {**evidence().losses, "gru": evidence().losses["log_har"]}
    assert result(entry="log_har", measured={name: suspect}, losses=losses_).failed == ("leak alarm",)


def test_an_implausible_improvement_on_the_best_expert_is_a_suspected_leak() -> None:
    alarmed = task_with(leak_alarm=LeakAlarm(improvement=0.4))
    assert result(alarmed).passed
    miracle = {**evidence().losses, "gru": evidence().losses["gru"] * 0.5}
    assert result(alarmed, losses=miracle).failed == ("leak alarm",)
    assert result(task_with(leak_alarm=LeakAlarm()), losses=miracle).passed


def test_every_forecast_is_guarded_by_its_coverage_and_the_built_ones_by_a_leak_alarm() -> None:
    for task in catalog.tasks().values():
        assert (task.gate.coverage is not None) == (task.objective is Objective.FORECAST)
    assert catalog.tasks()["volatility_forecasting"].gate.leak_alarm.improvement == 0.4


def test_on_pure_noise_few_models_pass(world: World) -> None:
    # Models and baselines that know nothing beyond the same constant: nothing may be released as better than naive.
    short = World(100, ("AAA",))
    passed = 0
    for stream in range(20):
        frames = {name: short.frame(0.5, stream=100 * stream + i) for i, name in enumerate([*VarianceTask.baselines, "gru"])}
        passed += judge_entry(pair("gru"), frames).gate.passed
    assert passed <= 2
