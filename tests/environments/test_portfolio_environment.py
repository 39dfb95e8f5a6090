"""The accounting of the portfolio environment, against an account in money kept by hand, and what it must not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finml_models.core.errors import DataError
from finml_models.environments.portfolio import EVERY, LEAD, REACH, WINDOW, History, PortfolioMarket, Rules, actions_of, even, weights_of
from finml_models.training.stable_baselines import MarketVecEnv

ASSETS = ("A", "B", "C", "D")
SESSIONS = WINDOW + EVERY * (LEAD + 8)
DEFAULT = Rules()


def history(seed: int = 0, *, returns: np.ndarray | None = None) -> History:
    rng = np.random.default_rng(seed)
    r = rng.normal(0, 0.02, (SESSIONS, len(ASSETS))) if returns is None else returns
    return History(
        times=np.datetime64("2010-01-04", "us") + np.arange(SESSIONS) * np.timedelta64(1, "D"),
        assets=ASSETS,
        names=("feature",),
        returns=r,
        features=rng.standard_normal((SESSIONS, len(ASSETS), 1)).astype(np.float32),
        age=np.broadcast_to(np.arange(1, SESSIONS + 1)[:, None], r.shape).copy(),
        held=np.full(r.shape, np.nan),
    )


def market(past: History, rules: Rules = DEFAULT) -> PortfolioMarket:
    row = np.arange(WINDOW + LEAD * EVERY, SESSIONS - REACH, EVERY)
    return PortfolioMarket(history=past, row=row, rules=rules, target=np.zeros((len(row), EVERY), np.float32), until=past.times[row + REACH])


def account(past: History, row: int, wanted: np.ndarray, rate: float) -> tuple[list[float], list[float], list[float]]:
    """Returns before costs, shares traded and costs of every session of an episode, from money in each asset."""
    money = np.full(len(ASSETS), 1000.0 / len(ASSETS))
    session = row - LEAD * EVERY
    gross, traded, cost = [], [], []
    for week in range(LEAD + 1):
        # The night and day from the close that was seen to the close of the fill.
        if week == 0:
            session += 1
            money = money * (1 + past.returns[session])
        worth = money.sum()
        orders = worth * wanted[week] - money
        money = worth * wanted[week]
        for day in range(EVERY):
            session += 1
            before = money.sum()
            money = money * (1 + past.returns[session])
            gross.append(money.sum() / before - 1)
            traded.append(np.abs(orders).sum() / worth if day == 0 else 0.0)
            cost.append(traded[-1] * rate)
    return gross, traded, cost


def test_every_session_is_accounted_for_as_in_an_account_in_money() -> None:
    past, rules = history(), Rules(fee_bp=7, half_spread_bp=4)
    weeks = market(past, rules).take(np.array([3]))
    wanted = np.random.default_rng(1).dirichlet(np.ones(4), LEAD + 1)
    environment = weeks.environment(1)
    environment.begin(np.array([0]), np.array([0]))
    rewards, found = [], {}
    for week in range(LEAD + 1):
        rewards.append(float(environment.step(actions_of(wanted[week : week + 1])).reward[0]))
        found = environment.outcome()
    gross, traded, cost = account(past, int(weeks.row[0]), wanted, 11e-4)
    np.testing.assert_allclose(found["gross"][0], gross[-EVERY:], atol=1e-7)
    np.testing.assert_allclose(found["traded"][0], traded[-EVERY:], atol=1e-6)
    np.testing.assert_allclose(found["cost"][0], cost[-EVERY:], atol=1e-9)
    np.testing.assert_allclose(found["returns"], found["gross"] - found["cost"], atol=1e-15)
    equal, _, _ = account(past, int(weeks.row[0]), np.full((LEAD + 1, 4), 0.25), 0.0)
    net = np.array(gross) - cost
    utility = 100 * (net - 1.5 * net**2 - (np.array(equal) - 1.5 * np.array(equal) ** 2)).reshape(LEAD + 1, EVERY).sum(axis=1)
    np.testing.assert_allclose(rewards, utility, atol=1e-4)


def test_equal_weights_earn_the_reference() -> None:
    weeks = market(history())
    environment = weeks.environment(len(weeks))
    every = np.arange(len(weeks))
    environment.begin(every, every)
    for _ in range(LEAD + 1):
        environment.step(np.ones((len(weeks), 4), np.float32))
    found = environment.outcome()
    np.testing.assert_allclose(found["returns"], found["reference"], atol=1e-12)
    gross, _, cost = account(weeks.history, int(weeks.row[2]), np.full((LEAD + 1, 4), 0.25), Rules().rate)
    np.testing.assert_allclose(found["reference"][2], np.subtract(gross, cost)[-EVERY:], atol=1e-12)


@pytest.mark.parametrize(("after", "earned"), [(0, False), (1, False), (2, True), (REACH, True), (REACH + 1, False)])
def test_a_decision_earns_from_the_session_after_its_fill_to_the_next_fill(after: int, earned: bool) -> None:
    returns = np.zeros((SESSIONS, 4))
    past = history(returns=returns)
    weeks = market(past).take(np.array([2]))
    returns[weeks.row[0] + after, 0] = 0.5
    environment = weeks.environment(1)
    environment.begin(np.array([0]), np.array([0]))
    for _ in range(LEAD):
        environment.step(np.ones((1, 4), np.float32))
    environment.step(np.array([[1, 0, 0, 0]], np.float32))
    assert (environment.outcome()["gross"].sum() == pytest.approx(0.5)) == earned


def test_an_observation_does_not_know_what_comes_after_its_close() -> None:
    past = history()
    weeks = market(past).take(np.array([4]))
    close = int(weeks.row[0]) - EVERY * (LEAD - 1)
    changed = past.returns.copy()
    changed[close + 1 :] += 0.1
    seen = []
    for returns in (past.returns, changed):
        environment = replace(weeks, history=replace(past, returns=returns)).environment(1)
        environment.begin(np.array([0]), np.array([0]))
        seen.append(environment.step(np.array([[0.1, 0.5, 1.0, 0.0]], np.float32)).observation)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_weeks_tile_the_sessions() -> None:
    past = history()
    sessions = market(past).sessions.ravel()
    np.testing.assert_array_equal(np.diff(sessions), np.timedelta64(1, "D"))


def test_weights_are_long_only_and_sum_to_one_over_the_assets_that_can_be_held() -> None:
    rng = np.random.default_rng(0)
    members = rng.random((200, 4)) < 0.7
    members[:, 0] = True
    actions = rng.uniform(-1, 2, (200, 4)).astype(np.float32)
    actions[:20] = 0
    weights = weights_of(actions, members)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert weights.min() >= 0
    assert not weights[~members].any()
    np.testing.assert_allclose(weights[:20], even(members)[:20])
    np.testing.assert_allclose(weights_of(actions_of(weights), members), weights, atol=1e-6)


def test_costs_scale_with_the_rules_and_leave_the_gross_return_alone() -> None:
    weeks = market(history())
    actions = np.random.default_rng(2).random((LEAD + 1, len(weeks), 4)).astype(np.float32)
    found = []
    for rules in (Rules(fee_bp=5, half_spread_bp=5), Rules(fee_bp=15, half_spread_bp=5)):
        environment = weeks.under(rules).environment(len(weeks))
        environment.begin(np.arange(len(weeks)), np.arange(len(weeks)))
        for step in actions:
            environment.step(step)
        found.append(environment.outcome())
    np.testing.assert_array_equal(found[0]["gross"], found[1]["gross"])
    np.testing.assert_allclose(found[1]["cost"], 2 * found[0]["cost"])
    assert found[0]["cost"].sum() > 0


def test_the_vector_environment_of_the_library_sees_spaces_it_can_trust() -> None:
    weeks = market(history())
    vector = MarketVecEnv(weeks, 3, len(ASSETS), seed=0)
    observation, ends = vector.reset(), 0
    rng = np.random.default_rng(0)
    for _ in range(2 * (LEAD + 1)):
        assert all(vector.observation_space.contains(row) for row in observation)
        action = np.stack([vector.action_space.sample() if i else rng.uniform(-1, 1, 4).astype(np.float32) for i in range(3)])
        observation, reward, done, infos = vector.step(action)
        assert np.isfinite(reward).all()
        for copy in np.flatnonzero(done):
            ends += 1
            # A quarter's end is imposed: the value of what comes after it is not nothing.
            assert infos[copy]["TimeLimit.truncated"]
            assert infos[copy]["terminal_observation"].shape == observation[copy].shape
    assert ends == 6


def test_an_asset_that_a_policy_does_not_know_is_refused_and_a_missing_one_cannot_be_held() -> None:
    past = history()
    with pytest.raises(DataError, match="D: this version allocates among A, B, C"):
        past.of_assets(("A", "B", "C"))
    wider = past.of_assets(("A", "Z", "B", "C", "D"))
    assert not wider.members(np.array([SESSIONS - 1]))[0, 1]
    np.testing.assert_array_equal(wider.returns[:, [0, 2, 3, 4]], past.returns)


def test_no_weeks_are_no_environment() -> None:
    with pytest.raises(DataError, match="0 weeks"):
        market(history()).take(np.zeros(0, np.int64)).environment(1)
