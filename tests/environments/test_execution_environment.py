"""The environment of orders against a loop over single trades, and its manners: caps, ends, copies, views, and no knowledge of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.datasets.orders.synthetic import generate
from finml_models.environments import almgren_chriss
from finml_models.environments.execution import LINEAR, ExecutionMarket, OrderStates, Rules, action_of

TASK = catalog.task("trading_execution")


@pytest.fixture(scope="module")
def market() -> ExecutionMarket:
    frame = generate(seed=3, orders=300, days=60).frame
    task = TASK()
    return task.market(task.features(frame), task.target(frame))


def drawn(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Actions with both ends among them."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.uniform(-0.2, 1.2, shape), 0, 1).astype(np.float32)


def cost_to_go(m: ExecutionMarket, i: int, first: int, left: float, pressure: float) -> float:
    """What VWAP pays, with moves and risk, for what is left of order i from an interval on: by hand."""
    r, n, cost = m.rules, int(m.lengths[i]), 0.0
    rest = sum(m.usual[i, t] for t in range(first, n))
    start = left
    for t in range(first, n):
        traded = start * m.usual[i, t] / rest
        left = left - traded
        participation = traded * m.demand[i, t]
        cost += traded * (m.half_spread[i, t] + pressure + r.temporary * m.daily_volatility[i, t] * participation**r.exponent)
        cost += left * m.move[i, t] + r.risk_aversion * left**2 * m.volatility[i, t] ** 2
        pressure += r.permanent * m.daily_volatility[i, t] * traded * m.day_demand[i]
    return cost


def by_hand(m: ExecutionMarket, i: int, actions: NDArray[np.float32]) -> tuple[list[float], list[tuple[float, float, float]], list[float]]:
    """Slices, (remaining, pace, drift) seen after each, and rewards of order i under some actions: one trade after another."""
    r, n = m.rules, int(m.lengths[i])
    left, pressure, drift = 1.0, 0.0, 0.0
    slices, seen, rewards = [], [], []
    for t in range(n):
        u = float(actions[t])
        rest = sum(m.usual[i, s] for s in range(t, n))
        pace = left / rest
        participation = min(r.cap, pace * u / (1 - u) if u < 1 else np.inf)
        traded = left if t == n - 1 else min(participation * m.usual[i, t], left)
        before = cost_to_go(m, i, t, left, pressure)
        left = 0.0 if left - traded < 1e-9 else left - traded
        cost = traded * (m.half_spread[i, t] + pressure + r.temporary * m.daily_volatility[i, t] * (traded * m.demand[i, t]) ** r.exponent)
        cost += left * m.move[i, t] + r.risk_aversion * left**2 * m.volatility[i, t] ** 2
        pressure += r.permanent * m.daily_volatility[i, t] * traded * m.day_demand[i]
        drift += m.move[i, t]
        after = cost_to_go(m, i, t + 1, left, pressure) if t < n - 1 and left else 0.0
        slices.append(traded)
        rewards.append(before - cost - after)
        seen.append((left, left / sum(m.usual[i, s] for s in range(t + 1, n)) if t < n - 1 else 0.0, drift + pressure))
        if not left:
            break
    return slices, seen, rewards


@pytest.mark.parametrize("rules", [Rules(), LINEAR], ids=["concave", "linear"])
def test_many_copies_at_once_equal_a_loop_over_single_trades(market: ExecutionMarket, rules: Rules) -> None:
    market = market.under(rules)
    every, actions = np.arange(len(market)), drawn((market.steps, len(market), 1))
    environment = market.environment(len(market))
    environment.begin(every, every)
    steps = [environment.step(actions[t]) for t in range(market.steps)]
    columns = [market.names.index(name) for name in ("remaining", "pace", "drift_bp")]
    for i in range(0, len(market), 11):
        slices, seen, rewards = by_hand(market, i, actions[:, i, 0])
        assert sum(slices) == pytest.approx(1.0)
        for t, step in enumerate(steps[: len(slices)]):
            np.testing.assert_allclose(step.observation[i, columns], seen[t], rtol=1e-4, atol=1e-4)
            assert step.reward[i] == pytest.approx(rewards[t], rel=1e-4, abs=1e-4)
            assert step.terminated[i] == (t == len(slices) - 1)
        assert all(step.reward[i] == 0 and step.terminated[i] for step in steps[len(slices) :])
    assert not any(step.truncated.any() for step in steps)


def test_copies_are_independent_of_each_other_and_begin_anew(market: ExecutionMarket) -> None:
    alone, many = market.environment(1), market.environment(3)
    first = alone.begin(np.array([0]), np.array([7]))
    np.testing.assert_array_equal(many.begin(np.arange(3), np.array([5, 7, 9]))[1:2], first)
    for action in drawn((4, 1)):
        many.step(np.array([[0.9], [0.1], [0.4]], np.float32))
        alone.step(action[None])
    np.testing.assert_array_equal(many.begin(np.array([2]), np.array([7])), first)
    alone.begin(np.array([0]), np.array([7]))
    for action in drawn((6, 1), seed=1):
        one, other = alone.step(action[None]), many.step(np.repeat(action[None], 3, axis=0))
        np.testing.assert_array_equal(one.observation[0], other.observation[2])
        assert one.reward[0] == other.reward[2]
    assert alone.outcome()["shortfall"][0] == many.outcome()["shortfall"][2]


def test_the_same_actions_on_the_same_orders_give_the_same_path(market: ExecutionMarket) -> None:
    actions = drawn((market.steps, 50, 1))

    def path() -> list[NDArray[np.float32]]:
        environment = market.environment(50)
        environment.begin(np.arange(50), np.arange(50))
        steps = [environment.step(a) for a in actions]
        return [step.observation for step in steps] + [step.reward for step in steps]

    assert all(np.array_equal(a, b) for a, b in zip(path(), path(), strict=True))


def test_nothing_seen_before_an_interval_changes_with_what_comes_after_it(market: ExecutionMarket) -> None:
    later = np.arange(market.steps) >= 5
    changed = replace(
        market,
        move=np.where(later, -9 * market.move, market.move),
        demand=np.where(later, 3 * market.demand, market.demand),
        volatility=np.where(later, 2 * market.volatility, market.volatility),
        daily_volatility=np.where(later, 2 * market.daily_volatility, market.daily_volatility),
    )
    every, actions = np.arange(len(market)), drawn((5, len(market), 1))
    one, other = market.environment(len(market)), changed.environment(len(market))
    np.testing.assert_array_equal(one.begin(every, every), other.begin(every, every))
    for a in actions:
        np.testing.assert_array_equal(one.step(a).observation, other.step(a).observation)
    mine, theirs = one.outcome(), other.outcome()
    for name in ("shortfall", "average", "filled", "final"):
        np.testing.assert_array_equal(mine[name], theirs[name])


def test_participation_stays_under_the_cap_and_the_last_interval_completes_the_order(market: ExecutionMarket) -> None:
    every = np.arange(len(market))
    idle, hasty = market.environment(len(market)), market.environment(len(market))
    idle.begin(every, every), hasty.begin(every, every)
    column, left = market.names.index("remaining"), np.ones(len(market))
    for t in range(market.steps):
        waiting = idle.step(np.zeros((len(market), 1), np.float32))
        ended = market.lengths == t + 1
        assert (waiting.observation[market.lengths > t + 1, column] == 1).all()
        assert waiting.terminated[ended].all()
        now = hasty.step(np.ones((len(market), 1), np.float32)).observation[:, column].astype(np.float64)
        before_the_last = market.lengths > t + 1
        assert (left - now <= market.rules.cap * market.usual[:, t] + 1e-6)[before_the_last].all()
        left = now
    assert (idle.outcome()["filled"] == 1).all()
    assert (hasty.outcome()["filled"] == 1).all()
    assert idle.outcome()["temporary_bp"].mean() > 2 * hasty.outcome()["temporary_bp"].mean()


def test_an_order_that_is_half_done_is_priced_with_what_is_missing(market: ExecutionMarket) -> None:
    environment = market.environment(1)
    environment.begin(np.array([0]), np.array([0]))
    for _ in range(3):
        environment.step(np.array([[0.5]], np.float32))
    found = {name: values[0] for name, values in environment.outcome().items()}
    assert 0 < found["filled"] < 1
    paid = found["side"] * (found["average"] / found["arrival"] - 1) * 1e4
    assert paid * found["filled"] == pytest.approx(found["shortfall"], abs=1e-6)
    moved = found["side"] * (found["final"] / found["arrival"] - 1) * 1e4
    assert moved > market.move[0, :3].sum()


def test_an_action_asks_for_its_participation() -> None:
    participation, pace = np.array([0.0, 0.05, 0.1, 0.4]), np.array([0.1, 0.1, 0.1, 0.02])
    u = action_of(participation, pace)
    np.testing.assert_allclose(pace * u / (1 - u), participation)
    assert u[2] == 0.5


def test_parts_of_a_market_are_taken_and_joined_and_hold_no_other_order(market: ExecutionMarket) -> None:
    rows = np.array([4, 2, 9])
    part = market.take(rows)
    assert part.entity.tolist() == market.entity[rows].tolist()
    again = market.take(rows[:1]).join(market.take(rows[1:]))
    np.testing.assert_array_equal(again.inputs, part.inputs)
    environment = part.environment(3)
    np.testing.assert_array_equal(environment.begin(np.arange(3), np.arange(3)), market.inputs[rows])
    with pytest.raises(TypeError, match="not parts of one view"):
        market.join(market.under(LINEAR))
    with pytest.raises(DataError, match="0 orders"):
        market.take(np.zeros(0, np.int64)).environment(2)


def test_the_image_of_an_order_is_the_opposite_order_in_the_same_market(market: ExecutionMarket) -> None:
    both = market.augmented()
    assert len(both) == 2 * len(market)
    every = np.arange(len(both))
    environment = both.environment(len(both))
    environment.begin(every, every)
    for _ in range(both.steps):
        environment.step(np.full((len(both), 1), 0.5, np.float32))
    found = environment.outcome()
    half = len(market)
    np.testing.assert_allclose(found["timing_bp"][:half], -found["timing_bp"][half:], atol=1e-9)
    np.testing.assert_allclose(found["temporary_bp"][:half], found["temporary_bp"][half:])
    np.testing.assert_array_equal(found["side"][:half], -found["side"][half:])
    at = market.names.index("imbalance")
    np.testing.assert_array_equal(both.inputs[:half, at], -both.inputs[half:, at])


def test_states_are_taken_and_joined_with_their_shares() -> None:
    frame = generate(seed=4, orders=20, days=5).frame
    states = TASK().view(TASK.kinds[0], TASK().features(frame))
    assert isinstance(states, OrderStates)
    part = states.take(np.array([3, 1])).join(states.take(np.array([8])))
    assert isinstance(part, OrderStates)
    np.testing.assert_array_equal(part.quantity, states.quantity[[3, 1, 8]])
    np.testing.assert_allclose(part.left / part.quantity, part.values[:, 0], rtol=1e-6)


def test_the_closed_form_solves_its_first_order_condition_and_repeats_itself_from_every_state() -> None:
    kappa, lengths = np.array([1e-9, 0.05, 0.3, 2.0, 60.0]), np.array([12, 16, 20, 9, 15])
    left = almgren_chriss.holdings(kappa, lengths, 20)
    assert (left[:, 0] == 1).all()
    assert (np.diff(left, axis=1) <= 0).all()
    for i, (k, n) in enumerate(zip(kappa, lengths, strict=True)):
        assert left[i, n:].max() == 0
        inner = np.arange(1, n)
        np.testing.assert_allclose(left[i, inner - 1] - 2 * left[i, inner] + left[i, inner + 1], (2 * np.cosh(k) - 2) * left[i, inner], atol=1e-12)
        whole = np.arange(n, 0, -1)
        share = almgren_chriss.first_slice(np.full(n, k), whole, 1 / whole)
        np.testing.assert_allclose(1 - share, np.divide(left[i, 1 : n + 1], left[i, :n], out=np.zeros(n), where=left[i, :n] > 1e-300), atol=1e-12)


def test_no_small_change_of_the_closed_form_costs_less() -> None:
    temporary, permanent, variance, aversion = np.array([40.0]), np.array([3.0]), np.array([200.0]), 5e-3
    kappa = almgren_chriss.urgency(aversion, variance, temporary, permanent)

    def objective(left: NDArray[np.float64]) -> float:
        slices = -np.diff(left, axis=1)
        return float((almgren_chriss.expected_cost(slices, np.array([2.0]), temporary, permanent) + aversion * variance * (left[:, 1:] ** 2).sum(axis=1))[0])

    best = almgren_chriss.holdings(kappa, np.array([10]), 10)
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = best.copy()
        other[0, 1:10] += 0.01 * rng.standard_normal(9)
        assert objective(other) > objective(best)
    with pytest.raises(ValueError, match="permanent / 2"):
        almgren_chriss.urgency(aversion, variance, np.array([1.0]), permanent)
