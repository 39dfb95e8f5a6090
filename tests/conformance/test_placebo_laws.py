"""A small `make placebo`: the whole way from raw rows to the gate where nothing can be found, where something can, and where it leaks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import placebo as bench
from finml_models.core import catalog
from finml_models.datasets.market import synthetic
from finml_models.evaluation import placebo
from finml_models.evaluation.placebo import Rate
from finml_models.evaluation.verdict.checks import LEAK_ALARM

RUNS = 6


@pytest.mark.parametrize("source", bench.SOURCES)
def test_no_model_passes_where_there_is_nothing_to_find(source: str) -> None:
    # At a true rate of 5 % two or more passes of six happen in 3 of 100 seeds; these seeds are fixed.
    assert sum(bench.false_pass(source, bench.CHEAPEST, seed) for seed in range(RUNS)) <= 1


def test_a_planted_signal_is_found_and_no_result_is_better_than_the_truth() -> None:
    found = bench.planted(1.0)
    assert found.passed
    assert found.ceiling < found.model < found.baseline
    assert found.holds


def test_a_feature_that_knows_the_future_sets_off_the_leak_alarm() -> None:
    pair = catalog.pair(bench.CHEAPEST)
    x, y = placebo.computed(pair, synthetic.random_walk(np.random.default_rng(0), entities=3, sessions=1200))
    leaking = x.assign(return_d=y["h1"].fillna(0.0), return_scaled=y["h5"].fillna(0.0), falls_w=y["h22"].fillna(0.0))
    hyperparameters = pair.entry.card.hyperparameters.model_validate({"hidden": 32, "dropout": 0.0})
    gate = placebo.judged(pair, (leaking, y), config=bench.THOROUGH, hyperparameters=hyperparameters).gate
    alarm = next(check for check in gate.checks if check.name == LEAK_ALARM)
    assert not gate.passed
    assert not alarm.passed
    assert "too good to be true" in alarm.sentence


def test_every_model_has_a_placebo_or_is_a_policy() -> None:
    pairs = {pair for _, pair in bench.cases(bench.SOURCES)}
    for task in catalog.tasks():
        if catalog.task_gap(catalog.task(task)) is None:
            models = {pair.id for pair in catalog.contenders(task) if not pair.entry.is_baseline}
            assert models <= pairs or catalog.task(task).objective.value == "control"


def test_the_interval_of_a_rate_is_wilsons() -> None:
    low, high = Rate(0, 200).interval
    assert (low, high) == (0.0, pytest.approx(0.01885, abs=1e-4))
    low, high = Rate(10, 200).interval
    assert (low, high) == (pytest.approx(0.0274, abs=1e-3), pytest.approx(0.0896, abs=1e-3))
