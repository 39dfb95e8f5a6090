"""The whole way from raw rows to the gate: a graph that carries something passes, and one that carries nothing is refused for that alone."""

from __future__ import annotations

import numpy as np
import pytest

from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig
from finml_models.datasets.market.spillover import spillover
from finml_models.evaluation import placebo
from finml_models.evaluation.report import Report

CONFIG = TrainingConfig(max_epochs=25, learning_rate=1e-2, patience=6, batch_size=128, device="cpu")


def judged(spill: float) -> Report:
    pair = catalog.pair("cross_asset_effects-gcn")
    planted = spillover(np.random.default_rng(0), entities=24, sessions=1500, degree=2, own=0.2, spill=spill, comovement=0.7)
    chosen = pair.entry.card.hyperparameters.model_validate({"hidden": 16, "layers": 1, "dropout": 0.0})
    rows = placebo.computed(pair, planted.frame)
    return placebo.judged(pair, rows, config=CONFIG, hyperparameters=chosen, truth=planted.truth(pair.task.horizons))


@pytest.mark.slow
def test_planted_spillovers_pass_the_gate_and_do_not_beat_the_truth() -> None:
    report = judged(0.75)
    assert report.gate.passed, report.gate.failed
    ceiling = report.ceiling("qlike")
    assert ceiling is not None
    assert ceiling.value < report.row("gcn", "qlike").value < 0.95 * report.row("gcn[no_edges]", "qlike").value


@pytest.mark.slow
def test_without_spillovers_only_the_ablations_stand_in_the_way() -> None:
    assert set(judged(0.0).gate.failed) == {"beats no_edges", "beats random_edges"}
