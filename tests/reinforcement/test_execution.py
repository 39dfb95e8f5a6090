"""Orders and their schedules: accounts add up, the closed form is the optimum, and nothing dear becomes cheap when impact changes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.estimator import Estimator, TrainingConfig
from finml_models.datasets.orders.synthetic import CONSTANT, generate
from finml_models.environments.execution import LINEAR, ExecutionMarket
from finml_models.evaluation.metrics import inputs, metric
from finml_models.training.policy import play

TASK = catalog.task("trading_execution")
QUICK = TrainingConfig(max_epochs=6, learning_rate=2e-3, device="cpu")


def market(frame: pd.DataFrame) -> ExecutionMarket:
    task = TASK()
    return task.market(task.features(frame), task.target(frame))


@pytest.fixture(scope="module")
def orders() -> ExecutionMarket:
    return market(generate(seed=0, orders=1_500, days=200).frame)


@pytest.fixture(scope="module")
def solvable() -> tuple[ExecutionMarket, np.ndarray]:
    """A market in which Almgren-Chriss is optimal, and what each order costs under the optimum."""
    made = generate(seed=1, orders=6_000, world=CONSTANT)
    orders = market(made.frame).under(LINEAR)
    return orders, made.truth.set_index("entity").loc[orders.entity, "shortfall"].to_numpy()


def fitted(name: str, orders: ExecutionMarket, config: TrainingConfig = QUICK) -> Estimator:
    entry, half = catalog.entry(name), len(orders) // 2
    estimator = entry.estimator()(entry.card.hyperparameters(), TASK().signature(orders), config)
    return estimator.fit(orders.take(np.arange(half)), orders.take(np.arange(half, half + len(orders) // 10)))


def mean_and_risk(outcome: dict[str, np.ndarray]) -> np.ndarray:
    """What Almgren and Chriss minimise, without the luck of prices."""
    return sum(outcome[name] for name in ("spread_bp", "temporary_bp", "permanent_bp", "risk_bp"))


def test_rewards_add_up_to_the_shortfall_and_the_metric_agrees(orders: ExecutionMarket) -> None:
    rng = np.random.default_rng(0)
    played = play(orders, lambda state: rng.random((len(state), 1)).astype(np.float32))
    outcome = played.rollout.outcome
    np.testing.assert_allclose(played.returns, outcome["reference_bp"] - outcome["shortfall"] - outcome["risk_bp"], atol=2e-3)
    frame = pd.DataFrame({name: outcome[name] for name in ("side", "arrival", "average", "filled", "final")})
    np.testing.assert_allclose(metric("implementation_shortfall_bp").rows(inputs(frame)), outcome["shortfall"], atol=1e-6)
    assert (outcome["filled"] == 1).all()


def test_almgren_chriss_is_the_closed_form_where_it_is_optimal_and_no_schedule_beats_it(solvable: tuple[ExecutionMarket, np.ndarray]) -> None:
    orders, optimum = solvable
    found = {name: fitted(name, orders).predict(orders).outcome for name in TASK.baselines}
    np.testing.assert_allclose(found["almgren_chriss"]["shortfall"], optimum, rtol=1e-6, atol=1e-6)
    best = mean_and_risk(found["almgren_chriss"]).mean()
    assert all(mean_and_risk(outcome).mean() >= best - 1e-9 for outcome in found.values())
    assert mean_and_risk(found["all_at_once"]).mean() > 1.5 * best


def test_training_leaves_nothing_in_the_temporary_folder(orders: ExecutionMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first optimiser of a process makes torch's own cache folder, once and shared; what counts is what each fit leaves.
    fitted("ppo", orders, QUICK.model_copy(update={"max_epochs": 0}))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fitted("ppo", orders, QUICK.model_copy(update={"max_epochs": 1}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("impact", [0.5, 2.0])
def test_all_at_once_stays_the_dearest_when_impact_is_halved_or_doubled(orders: ExecutionMarket, impact: float) -> None:
    other = orders.under(orders.rules.scaled(impact))
    cost = {name: fitted(name, orders).predict(other).outcome["shortfall"].mean() for name in ("all_at_once", "twap", "vwap", "almgren_chriss")}
    assert max(cost, key=cost.get) == "all_at_once"
