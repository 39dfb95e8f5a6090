"""Orders, their environment, the schedules and PPO: accounts add up, the closed form is the optimum, and PPO comes near it without beating it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.estimator import Estimator, TrainingConfig
from finml_models.core.predictions import Rollout
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


def by_hand(orders: ExecutionMarket, row: int, slices: np.ndarray) -> float:
    """The shortfall of one order in bp, trade by trade."""
    rules, cost, pressure, drift = orders.rules, 0.0, 0.0, 0.0
    for t, n in enumerate(slices):
        temporary = rules.temporary * orders.daily_volatility[row, t] * (n * orders.demand[row, t]) ** rules.exponent
        cost += n * (orders.half_spread[row, t] + pressure + temporary + drift)
        pressure += rules.permanent * orders.daily_volatility[row, t] * n * orders.day_demand[row]
        drift += orders.move[row, t]
    return cost


def test_the_cost_of_an_order_is_that_of_its_trades_one_by_one(orders: ExecutionMarket) -> None:
    found = play(orders, lambda state: np.full((len(state), 1), 0.5, np.float32)).rollout.outcome
    for row in range(0, len(orders), 97):
        length = orders.lengths[row]
        slices = orders.usual[row, :length] / orders.usual[row, :length].sum()
        assert found["shortfall"][row] == pytest.approx(by_hand(orders, row, slices), rel=1e-6, abs=1e-6)


def test_rewards_add_up_to_the_shortfall_and_the_metric_agrees(orders: ExecutionMarket) -> None:
    rng = np.random.default_rng(0)
    played = play(orders, lambda state: rng.random((len(state), 1)).astype(np.float32))
    outcome = played.rollout.outcome
    np.testing.assert_allclose(played.returns, outcome["reference_bp"] - outcome["shortfall"] - outcome["risk_bp"], atol=2e-3)
    frame = pd.DataFrame({name: outcome[name] for name in ("side", "arrival", "average", "filled", "final")})
    np.testing.assert_allclose(metric("implementation_shortfall_bp").rows(inputs(frame)), outcome["shortfall"], atol=1e-6)
    assert (outcome["filled"] == 1).all()


def test_what_comes_later_changes_no_earlier_action(orders: ExecutionMarket) -> None:
    policy = fitted("almgren_chriss", orders)
    few = orders.take(np.arange(40))
    later = np.arange(few.move.shape[1]) >= 6
    changed = replace(few, move=np.where(later, few.move + 50.0, few.move))
    seen: dict[str, list[np.ndarray]] = {"as it was": [], "changed": []}
    for name, rows in (("as it was", few), ("changed", changed)):

        def act(state: np.ndarray, name: str = name) -> np.ndarray:
            seen[name].append(policy.act(state).copy())
            return seen[name][-1]

        play(rows, act)
    for step in range(6):
        np.testing.assert_array_equal(seen["as it was"][step], seen["changed"][step])


def test_almgren_chriss_is_the_closed_form_where_it_is_optimal_and_no_schedule_beats_it(solvable: tuple[ExecutionMarket, np.ndarray]) -> None:
    orders, optimum = solvable
    found = {name: fitted(name, orders).predict(orders).outcome for name in TASK.baselines}
    np.testing.assert_allclose(found["almgren_chriss"]["shortfall"], optimum, rtol=1e-6, atol=1e-6)
    best = mean_and_risk(found["almgren_chriss"]).mean()
    assert all(mean_and_risk(outcome).mean() >= best - 1e-9 for outcome in found.values())
    assert mean_and_risk(found["all_at_once"]).mean() > 1.5 * best


def test_ppo_comes_within_five_percent_of_the_optimum_and_does_not_beat_it(solvable: tuple[ExecutionMarket, np.ndarray]) -> None:
    orders, optimum = solvable
    test = np.arange(len(orders) * 6 // 10, len(orders))
    ours = fitted("ppo", orders).predict(orders.take(test))
    reference = fitted("almgren_chriss", orders).predict(orders.take(test)).outcome
    gap = mean_and_risk(ours.outcome) - mean_and_risk(reference)
    assert 0 <= gap.mean() <= 0.05 * mean_and_risk(reference).mean()
    difference = ours.outcome["shortfall"] - optimum[test]
    assert difference.mean() > -2 * difference.std() / np.sqrt(len(difference))


def test_a_restored_policy_acts_bit_for_bit_without_the_library_that_trained_it(orders: ExecutionMarket) -> None:
    trained = fitted("ppo", orders, QUICK.model_copy(update={"max_epochs": 1}))
    again = type(trained)(trained.hyperparameters, trained.signature, trained.config)
    again.restore(trained.state())
    first, second = (policy.predict(orders) for policy in (trained, again))
    assert isinstance(first, Rollout)
    assert all(np.array_equal(values, second.outcome[name]) for name, values in first.outcome.items())


def test_training_leaves_nothing_in_the_temporary_folder(orders: ExecutionMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fitted("ppo", orders, QUICK.model_copy(update={"max_epochs": 1}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("impact", [0.5, 2.0])
def test_all_at_once_stays_the_dearest_when_impact_is_halved_or_doubled(orders: ExecutionMarket, impact: float) -> None:
    other = orders.under(orders.rules.scaled(impact))
    cost = {name: fitted(name, orders).predict(other).outcome["shortfall"].mean() for name in ("all_at_once", "twap", "vwap", "almgren_chriss")}
    assert max(cost, key=cost.get) == "all_at_once"
