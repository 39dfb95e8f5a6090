"""Costs of orders: implementation shortfall, CVaR, completion."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, positional, thorough


def orders(draw: Draw) -> Inputs:
    arrival = 1 + 99 * draw.rng.random(draw.n)
    average, final = (arrival * np.exp(np.clip(0.01 * draw.numbers(draw.n), -1, 1)) for _ in range(2))
    filled = draw.rng.choice([0.0, 0.25, 1.0, draw.rng.random()], draw.n)
    return {"side": draw.rng.choice([-1.0, 1.0], draw.n), "arrival": arrival, "average": average, "filled": filled, "final": final}


def losses(draw: Draw) -> Inputs:
    return {"losses": draw.numbers(draw.n), "level": (0.95, 0.9, 0.5, 0.0)[draw.seed % 4]}


def fills(draw: Draw) -> Inputs:
    return {"filled": draw.rng.random(draw.n)}


def accounts(side: np.ndarray, arrival: np.ndarray, average: np.ndarray, filled: np.ndarray, final: np.ndarray) -> list[float]:
    """Perold's two accounts in exact fractions: on paper all of it traded at arrival; in truth what was filled, and the rest at the final price."""
    rows = []
    for row in zip(side, arrival, average, filled, final, strict=True):
        sign, at_arrival, at_average, share, at_final = map(Fraction, row)
        worth = sign * 1000 * at_final  # of a thousand shares, at the end
        paper = worth - sign * 1000 * at_arrival
        truth = share * 1000 * sign * at_final - share * 1000 * sign * at_average
        rows.append(float((paper - truth) / (1000 * at_arrival) * 10_000))
    return rows


def cvar_of_skfolio(shortfall: np.ndarray, level: float = 0.95) -> float:
    from skfolio.measures import cvar

    return float(cvar(-shortfall, beta=level))


def programme(losses: np.ndarray, level: float) -> float:
    """Rockafellar and Uryasev's minimum over thresholds; it lies at one of the losses."""
    return min(t + sum(max(loss - t, 0.0) for loss in losses) / len(losses) / (1 - level) for t in losses)


BOUGHT = {"side": np.ones(1), "arrival": np.full(1, 100.0), "filled": np.ones(1), "final": np.full(1, 100.0)}
CHEAP, DEAR = ({**BOUGHT, "average": np.full(1, price)} for price in (100.1, 101.0))

ORACLES = {
    "implementation_shortfall_bp": Checked(orders, (Oracle("loop over orders, paper and real account in exact fractions", accounts),), CHEAP, DEAR),
    "cvar_95": Checked(
        lambda draw: {"shortfall": draw.numbers(draw.n)},
        (
            Oracle("skfolio.measures.cvar of -losses", cvar_of_skfolio),
            Oracle("loop over thresholds", lambda shortfall: programme(shortfall, 0.95)),
        ),
        {"shortfall": np.arange(40.0)},
        {"shortfall": np.arange(40.0) * 2},
    ),
    "cvar": Checked(losses, (Oracle("skfolio.measures.cvar of -losses", positional(cvar_of_skfolio)), Oracle("loop over thresholds", programme))),
    "completion": Checked(
        fills,
        (Oracle("pandas: shares filled / shares ordered", lambda filled: pd.Series(filled).mul(1000).div(1000)),),
        {"filled": np.ones(2)},
        {"filled": np.array([1.0, 0.5])},
    ),
}

FIGURES = (
    Figure("implementation_shortfall_bp", WORKED, DEAR, [100.0]),
    Figure("implementation_shortfall_bp", WORKED + ", a sale", {**DEAR, "side": -np.ones(1)}, [-100.0]),
    Figure("implementation_shortfall_bp", WORKED + ", nothing filled", {**DEAR, "filled": np.zeros(1), "final": np.full(1, 102.0)}, [200.0]),
    Figure("cvar_95", "empyrical-reloaded 0.7.1: -conditional_value_at_risk(-losses, 0.05)", {"shortfall": 100 * lattice(20, 7, 23)}, 95.65217391304348),
    Figure("cvar_95", WORKED + ", the second worst in part", {"shortfall": np.arange(30.0)}, (29 + 28 / 2) / 1.5),
    Figure("completion", WORKED, {"filled": np.array([1.0, 0.5])}, [1.0, 0.5]),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_orders_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_orders_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)
