"""Series of net returns: Sharpe and information ratio, certainty equivalent, drawdown, turnover, break-even cost."""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp

from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.returns import certainty_equivalent, turnover
from finml_models.evaluation.metrics.strategy import period_sharpe

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, require, thorough


def numbers(draw: Draw) -> np.ndarray:
    returns = np.clip(0.01 * draw.numbers(draw.n), -0.9, 5)
    require(np.ptp(returns) > 0)
    return returns


def returns(draw: Draw) -> Inputs:
    return {"returns": numbers(draw)}


def any_year(draw: Draw) -> Inputs:
    return {"returns": numbers(draw), "periods": (252, 52, 12)[draw.seed % 3]}


def preferences(draw: Draw) -> Inputs:
    return {**any_year(draw), "risk_aversion": draw.seed % 11 / 2}


def against(draw: Draw) -> Inputs:
    given = {"returns": numbers(draw), "reference": numbers(draw)}
    require(np.ptp(given["returns"] - given["reference"]) > 1e-9)
    return given


def holdings(draw: Draw) -> Inputs:
    """Long and short, with cash, and never ruined."""
    assets = 1 + draw.seed % 4
    weights = draw.rng.uniform(-1, 2, (draw.n, assets)) / assets
    return {"weights": weights, "asset_returns": np.clip(0.05 * draw.numbers(draw.n, assets), -0.4, 0.4)}


def trades(draw: Draw) -> Inputs:
    return {"gross_returns": np.clip(0.01 * draw.numbers(draw.n), -1, 1), "traded": 0.01 + draw.rng.random(draw.n)}


def sharpe_of_skfolio(returns: np.ndarray, periods: int = 252) -> float:
    from skfolio import Portfolio

    return float(Portfolio(pd.DataFrame({"net": returns}), weights=[1.0], annualization_factor=periods).annualized_sharpe_ratio)


def sharpe_of_pandas(returns: np.ndarray, periods: int = 252) -> float:
    series = pd.Series(returns)
    return float(series.mean() * periods / (series.std() * periods**0.5))


def rows_of_scipy(net: np.ndarray) -> np.ndarray:
    z, ratio = stats.zscore(net, ddof=1), 1 / stats.variation(net, ddof=1) if net.mean() else 0.0
    return ratio + z - ratio / 2 * (z**2 - stats.moment(z, 2, center=0))


def slow_certainty(returns: np.ndarray, risk_aversion: float, periods: int) -> float:
    mean = sum(returns) / len(returns)
    variance = sum((r - mean) ** 2 for r in returns) / (len(returns) - 1)
    return (mean - risk_aversion / 2 * variance) * periods


def certainty_of_skfolio(returns: np.ndarray, risk_aversion: float, periods: int) -> float:
    from skfolio.measures import mean, variance

    return float(mean(returns) - risk_aversion * variance(returns) / 2) * periods


def drawdown_of_skfolio(returns: np.ndarray) -> float:
    from skfolio.measures import get_drawdowns, max_drawdown

    return float(max_drawdown(get_drawdowns(returns, compounded=True)))


def slow_drawdown(returns: np.ndarray) -> float:
    value, values = 1.0, [1.0]
    for r in returns:
        value *= 1 + r
        values.append(value)
    return max(1 - late / early for i, early in enumerate(values) for late in values[i:])


def turnover_of_skfolio(weights: np.ndarray, asset_returns: np.ndarray) -> float:
    from skfolio import Portfolio

    traded, held = [], None
    for w, r in zip(weights, asset_returns, strict=True):
        day = Portfolio(r[None, :], weights=w, previous_weights=held, weight_drift=True)
        traded.append(day.turnover)
        held = day.ending_weights
    return float(np.mean(traded[1:]))


def slow_turnover(weights: np.ndarray, asset_returns: np.ndarray) -> float:
    """The book of an account in money: what is bought and sold of each asset, over the account's worth at that moment."""
    worth, held, shares = 1000.0, None, []
    for w, r in zip(weights.tolist(), asset_returns.tolist(), strict=True):
        wanted = [worth * x for x in w]
        if held is not None:
            shares.append(sum(abs(new - old) for new, old in zip(wanted, held, strict=True)) / worth)
        cash = worth - sum(wanted)
        held = [money * (1 + x) for money, x in zip(wanted, r, strict=True)]
        worth = cash + sum(held)
    return sum(shares) / len(shares)


def cost_of_scipy(gross_returns: np.ndarray, traded: np.ndarray) -> float:
    """The cost at which the net returns sum to nothing."""
    return float(brentq(lambda bp: (gross_returns - bp / 1e4 * traded).sum(), -1e8, 1e8, xtol=1e-12, rtol=1e-15))


UP, DOWN = 0.01 * lattice(30, 7, 31), 0.01 * lattice(30, 7, 31) - 0.009
FLAT = {"reference": 0.01 * lattice(30, 11, 31) - 0.005}
STILL, RESTLESS = ({"weights": np.array(w), "asset_returns": np.zeros((3, 2))} for w in ([[0.5, 0.5]] * 3, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))

ORACLES = {
    "sharpe": Checked(
        any_year,
        (Oracle("skfolio.Portfolio.annualized_sharpe_ratio", sharpe_of_skfolio), Oracle("pandas mean and std", sharpe_of_pandas)),
        {"returns": UP},
        {"returns": DOWN},
    ),
    "period_sharpe": Checked(
        lambda draw: {"net": numbers(draw)},
        (
            Oracle("skfolio.Portfolio.sharpe_ratio, the mean", lambda net: sharpe_of_skfolio(net, 1)),
            Oracle("scipy.stats.zscore, the rows", rows_of_scipy),
        ),
        {"net": UP},
        {"net": DOWN},
    ),
    "sharpe_difference": Checked(
        against,
        (Oracle("skfolio.Portfolio.annualized_sharpe_ratio of both", lambda returns, reference: sharpe_of_skfolio(returns) - sharpe_of_skfolio(reference)),),
        {"returns": UP, **FLAT},
        {"returns": DOWN, **FLAT},
    ),
    "net_information_ratio": Checked(
        against,
        (Oracle("skfolio.Portfolio.annualized_sharpe_ratio of the difference", lambda returns, reference: sharpe_of_skfolio(returns - reference)),),
        {"returns": UP, **FLAT},
        {"returns": DOWN, **FLAT},
    ),
    "certainty_equivalent": Checked(
        preferences,
        (Oracle("skfolio.measures mean and variance", certainty_of_skfolio), Oracle("loop over returns", slow_certainty)),
        {"returns": UP},
        {"returns": DOWN},
    ),
    "drawdown": Checked(
        returns,
        (Oracle("skfolio.measures get_drawdowns and max_drawdown", drawdown_of_skfolio), Oracle("loop over pairs of dates", slow_drawdown)),
        {"returns": UP},
        {"returns": DOWN},
    ),
    "turnover": Checked(
        holdings,
        (Oracle("skfolio.Portfolio(weight_drift=True).turnover", turnover_of_skfolio), Oracle("loop over dates, in money", slow_turnover)),
        STILL,
        RESTLESS,
    ),
    "traded_share": Checked(
        lambda draw: {"traded": np.abs(numbers(draw))},
        (Oracle("statistics.fmean", lambda traded: statistics.fmean(traded.tolist())),),
        {"traded": np.zeros(30)},
        {"traded": np.ones(30)},
    ),
    "break_even_cost": Checked(
        trades,
        (Oracle("scipy.optimize.brentq of the net return", cost_of_scipy),),
        {"gross_returns": UP, "traded": np.ones(30)},
        {"gross_returns": DOWN, "traded": np.ones(30)},
    ),
}

R, REFERENCE = 0.04 * lattice(60, 23, 61) - 0.018, 0.04 * lattice(60, 31, 61) - 0.019
EMPYRICAL = "empyrical-reloaded 0.7.1: "

FIGURES = (
    Figure("sharpe", EMPYRICAL + "sharpe_ratio", {"returns": R}, 2.7723636125155027),
    Figure("sharpe_difference", EMPYRICAL + "sharpe_ratio of both", {"returns": R, "reference": REFERENCE}, 2.7723636125155027 - 1.3861818062577513),
    Figure("net_information_ratio", EMPYRICAL + "excess_sharpe × √252", {"returns": R, "reference": REFERENCE}, 0.06845580995552299 * 252**0.5),
    Figure("drawdown", EMPYRICAL + "-max_drawdown", {"returns": R}, 0.019567319537758743),
    Figure("drawdown", EMPYRICAL + "-max_drawdown, a loss at first", {"returns": np.append(-0.2, R)}, 0.20306234880929325),
    Figure("drawdown", WORKED + ", all lost", {"returns": np.array([0.5, -1.0])}, 1.0),
    Figure("certainty_equivalent", WORKED, {"returns": np.array([0.01, -0.01])}, -1.5 * 0.0002 * 252),
    Figure("turnover", WORKED + ", all sold and all bought", RESTLESS, 2.0),
    Figure("turnover", WORKED + ", back from the drift", {"weights": np.full((2, 2), 0.5), "asset_returns": np.array([[0.2, 0.0], [0.0, 0.0]])}, 1 / 11),
    Figure("break_even_cost", WORKED, {"gross_returns": np.array([0.01, 0.01]), "traded": np.array([2.0, 2.0])}, 50.0),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_returns_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_returns_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@pytest.mark.parametrize("aversion", [1.0, 3.0, 8.0])
def test_the_certainty_equivalent_is_what_exponential_utility_would_take_for_small_returns(aversion: float) -> None:
    r = 1e-4 * R
    indifferent = -(logsumexp(-aversion * r) - np.log(len(r))) / aversion
    bessel = aversion / 2 * (r.var(ddof=1) - r.var())
    assert certainty_equivalent(r, aversion, 1) == pytest.approx(float(indifferent - bessel), rel=1e-9)


@pytest.mark.parametrize("mean", [-0.5, 0.0, 2.0])
def test_the_rows_of_the_period_sharpe_ratio_have_the_standard_error_that_skfolio_takes(mean: float) -> None:
    from skfolio.measures import probabilistic_sharpe_ratio

    net = stats.gamma.ppf((np.arange(4000) + 0.5) / 4000, 2.0)
    net = net - net.mean() + mean
    rows = period_sharpe(net)
    # A benchmark one standard error below the ratio is beaten with probability Φ(1).
    error = rows.std() / np.sqrt(len(net) - 1)
    assert probabilistic_sharpe_ratio(net, rows.mean() - error) == pytest.approx(stats.norm.cdf(1), abs=2e-3)


@pytest.mark.parametrize("lost", [-1.0, -1.5])
def test_turnover_of_an_account_that_has_lost_everything_is_refused(lost: float) -> None:
    with pytest.raises(DataError, match="everything"):
        turnover(np.ones((2, 1)), np.array([[lost], [0.1]]))
