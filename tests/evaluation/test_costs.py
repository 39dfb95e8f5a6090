"""What a strategy is charged, against hand calculations and against an account that trades shares day by day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from finml_models.core.errors import DataError
from finml_models.evaluation.costs import CostModel, cost_series, drifted

FEE = CostModel(version="test/1", fee_bp=10)
FULL = CostModel(version="test/2", fee_bp=5, half_spread_bp=None, impact=0.8, capital=2e6, participation_limit=1, borrow_rate=0.03)

seeds = st.integers(0, 10_000)


def market(seed: int, t: int = 40, n: int = 4) -> dict[str, np.ndarray]:
    """Long and short weights of gross exposure below 1.5, returns, and what the model asks for an asset."""
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.uniform(-1, 1, (t, n)) * 1.5 / n,
        "asset_returns": np.expm1(0.02 * rng.standard_normal((t, n))),
        "half_spread_bp": rng.uniform(1, 20, (t, n)),
        "volatility": rng.uniform(0.005, 0.03, (t, n)),
        "adv": rng.uniform(1e7, 1e8, (t, n)),
    }


def test_fees_equal_a_calculation_by_hand() -> None:
    weights = np.array([[0.6, 0.4], [0.5, 0.5], [0.0, 0.0]])
    returns = np.array([[0.10, -0.05], [0.0, 0.2], [0.3, 0.3]])
    # The value grows by 4 %: 0.66 / 1.04 and 0.38 / 1.04 are held when 0.5 and 0.5 are wanted, then 0.5 / 1.1 and 0.6 / 1.1 are sold.
    traded = np.array([1.0, 0.66 / 1.04 - 0.5 + 0.5 - 0.38 / 1.04, 1.0])
    found = cost_series(FEE, weights, returns)
    assert found.traded == pytest.approx(traded)
    assert found.fee == pytest.approx(traded * 0.001)
    assert not np.any([found.spread, found.impact, found.borrow])
    assert found.total == pytest.approx(found.fee)


def test_each_asset_pays_its_own_spread() -> None:
    model = CostModel(version="test/3", half_spread_bp=None)
    found = cost_series(model, [[0.5, 0.25]], [[0.0, 0.0]], half_spread_bp=[2.0, 8.0])
    assert found.spread == pytest.approx([(0.5 * 2 + 0.25 * 8) / 1e4])
    same = cost_series(CostModel(version="test/4", half_spread_bp=3), [[0.5, 0.25]], [[0.0, 0.0]])
    assert same.spread == pytest.approx([0.75 * 3 / 1e4])


def test_impact_is_the_square_root_law_by_hand() -> None:
    model = CostModel(version="test/5", impact=0.9, capital=1e6)
    # A purchase of 250,000 where 25 million are traded a day: 1 %, so that 0.9 × 2 % × 10 % = 18 bp of it are lost.
    found = cost_series(model, [[0.25]], [[0.0]], volatility=[0.02], adv=[25e6])
    assert found.impact == pytest.approx([0.25 * 0.0018])


def test_shorts_pay_for_what_they_borrow_and_longs_do_not() -> None:
    model = CostModel(version="test/6", fee_bp=1, borrow_rate=0.0252)
    found = cost_series(model, [[0.5, -0.3], [0.5, 0.1]], np.zeros((2, 2)))
    assert found.borrow == pytest.approx([0.3 * 0.0001, 0.0])
    assert cost_series(model, [[0.5, -0.3]], np.zeros((1, 2)), periods=52).borrow == pytest.approx([0.3 * 0.0252 / 52])


@given(seed=seeds, factor=st.floats(0.05, 1.5))
def test_impact_scales_with_the_root_of_size_and_in_line_with_volatility(seed: int, factor: float) -> None:
    given_ = market(seed)
    base = cost_series(FULL, **given_).impact
    larger = FULL.model_copy(update={"capital": FULL.capital * factor})
    assert cost_series(larger, **given_).impact == pytest.approx(base * np.sqrt(factor))
    assert cost_series(FULL, **{**given_, "adv": given_["adv"] / factor}).impact == pytest.approx(base * np.sqrt(factor))
    assert cost_series(FULL, **{**given_, "volatility": given_["volatility"] * factor}).impact == pytest.approx(base * factor)
    # In money, a purchase that is `factor` times as large costs factor^1.5 as much.
    first = {**given_, "weights": given_["weights"][:1], "asset_returns": given_["asset_returns"][:1]}
    first |= {name: given_[name][:1] for name in ("half_spread_bp", "volatility", "adv")}
    resized = cost_series(FULL, **{**first, "weights": factor * first["weights"]}).impact
    assert resized == pytest.approx(cost_series(FULL, **first).impact * factor**1.5)


@given(seed=seeds)
def test_weights_that_only_drift_pay_for_their_purchase_and_then_nothing(seed: int) -> None:
    given_ = market(seed)
    weights = given_["weights"].copy()
    weights[:] = np.abs(weights[0]) / np.abs(weights[0]).sum()
    for t in range(1, len(weights)):
        weights[t] = drifted(weights[t - 1], given_["asset_returns"][t - 1])
    found = cost_series(FULL, **{**given_, "weights": weights})
    assert found.traded[0] == pytest.approx(1.0)
    assert found.total[0] > 0
    assert found.total[1:] == pytest.approx(np.zeros(len(weights) - 1), abs=1e-15)


@given(seed=seeds, order=st.permutations(range(4)))
def test_the_order_of_the_assets_changes_no_cost(seed: int, order: list[int]) -> None:
    given_ = market(seed)
    shuffled = {name: values[:, order] for name, values in given_.items()}
    assert cost_series(FULL, **shuffled).total == pytest.approx(cost_series(FULL, **given_).total)


@given(seed=seeds, initial=st.booleans())
def test_costs_equal_those_of_an_account_that_trades_shares(seed: int, initial: bool) -> None:
    given_ = market(seed)
    start = market(seed + 1)["weights"][0] if initial else None
    found = cost_series(FULL, **given_, initial=start)
    gross, costs = share_account(FULL, start=start, **given_)
    assert gross == pytest.approx((given_["weights"] * given_["asset_returns"]).sum(axis=1), abs=1e-12)
    assert found.total == pytest.approx(costs, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_paying_from_the_invested_value_changes_costs_by_a_small_share_only(seed: int) -> None:
    given_ = market(seed, t=250)
    found = cost_series(FULL, **given_).total
    gross, costs = share_account(FULL, start=None, pays_itself=True, **given_)
    net = (given_["weights"] * given_["asset_returns"]).sum(axis=1) - found
    assert costs.sum() == pytest.approx(found.sum(), rel=0.01)
    assert (gross - costs).mean() == pytest.approx(net.mean(), abs=0.01 * found.mean())
    assert not np.allclose(costs, found, rtol=1e-9, atol=0)


def share_account(
    model: CostModel,
    weights: np.ndarray,
    asset_returns: np.ndarray,
    half_spread_bp: np.ndarray,
    volatility: np.ndarray,
    adv: np.ndarray,
    start: np.ndarray | None,
    pays_itself: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(t,) gross returns and costs of an account of shares and cash; costs come out of another purse unless it pays itself."""
    assets = range(weights.shape[1])
    price, value = [50.0 + 10 * a for a in assets], 1000.0
    shares = [0.0 if start is None else start[a] * value / price[a] for a in assets]
    gross, costs = [], []
    for t in range(len(weights)):
        wanted = [weights[t, a] * value / price[a] for a in assets]
        paid = 0.0
        for a in assets:
            money = abs(wanted[a] - shares[a]) * price[a]
            bought = money / value * model.capital
            paid += money * (model.fee_bp + half_spread_bp[t, a]) / 1e4
            paid += money * model.impact * volatility[t, a] * (bought / adv[t, a]) ** 0.5
            paid += max(0.0, -wanted[a] * price[a]) * model.borrow_rate / 252
        shares = wanted
        cash = value - sum(shares[a] * price[a] for a in assets) - (paid if pays_itself else 0.0)
        price = [price[a] * (1 + asset_returns[t, a]) for a in assets]
        after = cash + sum(shares[a] * price[a] for a in assets)
        gross.append((after + (paid if pays_itself else 0.0)) / value - 1)
        costs.append(paid / value)
        value = after
    return np.array(gross), np.array(costs)


def test_trading_for_nothing_cannot_be_modelled() -> None:
    for free in ({}, {"borrow_rate": 0.02}, {"capital": 1e6}):
        with pytest.raises(ValidationError, match="trading is free"):
            CostModel(version="free/1", **free)
    assert cost_series(CostModel(version="spread/1", half_spread_bp=1), [[1.0]], [[0.0]]).total == pytest.approx([1e-4])


@pytest.mark.parametrize(
    "wrong",
    [
        {"fee_bp": -1},
        {"fee_bp": float("nan")},
        {"fee_bp": 501},
        {"fee_bp": 5, "half_spread_bp": -0.1},
        {"impact": 0.5},
        {"impact": 11, "capital": 1e6},
        {"fee_bp": 5, "borrow_rate": 1.5},
        {"fee_bp": 5, "participation_limit": 0},
        {"fee_bp": 5, "slippage": 3},
    ],
)
def test_a_model_keeps_its_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CostModel(version="wrong/1", **wrong)


def test_a_model_is_data_that_survives_a_file() -> None:
    assert CostModel.model_validate_json(FULL.model_dump_json()) == FULL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros((39, 4))}, r"give both \(t, assets\)"),
        ({"weights": np.zeros(4)}, "2 dimensions"),
        ({"weights": np.full((40, 4), np.nan)}, "not finite"),
        ({"asset_returns": np.full((40, 4), np.inf)}, "not finite"),
        ({"asset_returns": np.full((40, 4), -1.5)}, "simple returns"),
        ({"weights": np.full((40, 4), 5.0), "asset_returns": np.full((40, 4), -0.2)}, "loses everything"),
        ({"initial": np.zeros(3)}, "one an asset"),
        ({"half_spread_bp": None}, "half_spread_bp is needed"),
        ({"volatility": None}, "volatility is needed"),
        ({"adv": None}, "adv is needed"),
        ({"adv": np.zeros(4)}, "adv is 0"),
        ({"adv": np.full(3, 1e8)}, r"pass \(4,\) or \(40, 4\)"),
        ({"volatility": np.full(4, -0.01)}, "below 0"),
        ({"volatility": np.full(4, np.nan)}, "not finite"),
        ({"adv": np.full(4, 1e5)}, "lower capital below"),
    ],
)
def test_inputs_that_cannot_be_charged_are_refused_with_a_remedy(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        cost_series(FULL, **{**market(0), **change})


def test_the_capital_that_the_participation_limit_names_is_accepted() -> None:
    model = CostModel(version="test/7", impact=1, capital=4e6, participation_limit=0.1)
    with pytest.raises(DataError, match=r"trades 0\.2 of an average day of asset 0.*below 2e\+06"):
        cost_series(model, [[0.5]], [[0.0]], volatility=[0.01], adv=[1e7])
    assert cost_series(model.model_copy(update={"capital": 2e6}), [[0.5]], [[0.0]], volatility=[0.01], adv=[1e7]).impact[0] > 0


def test_a_spread_is_given_once() -> None:
    with pytest.raises(DataError, match="set the model's to None"):
        cost_series(FEE, [[1.0]], [[0.0]], half_spread_bp=[1.0])


def test_on_real_prices_buy_and_hold_ends_where_the_prices_end(test_data: Path) -> None:
    prices = pd.read_csv(test_data / "portfolio" / "olps_nyse_o.csv.gz").to_numpy(np.float64)
    returns = np.concatenate([prices[:1], prices[1:] / prices[:-1]]) - 1
    equal = np.full_like(returns, 1 / returns.shape[1])
    held = equal.copy()
    for t in range(1, len(held)):
        held[t] = drifted(held[t - 1], returns[t - 1])
    assert np.prod(1 + (held * returns).sum(axis=1)) == pytest.approx(prices[-1].mean())
    assert cost_series(FEE, held, returns).total.sum() == pytest.approx(0.001)
    # Rebalancing 36 stocks every day for 22 years trades about 1.2 % of the portfolio a day.
    assert cost_series(FEE, equal, returns).traded[1:].mean() == pytest.approx(0.0116, abs=2e-4)
