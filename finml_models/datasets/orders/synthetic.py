"""Simulated orders in US shares: intraday curves, days that differ, volume and volatility that persist, spreads, and an imbalance.

What is known of markets gives the shape: volume is U-shaped over the day (Jain and Joh, The dependence between hourly prices and
trading volume, Journal of Financial and Quantitative Analysis 23(3), 1988), volatility falls from a high open (Andersen and Bollerslev,
Intraday periodicity and volatility persistence in financial markets, Journal of Empirical Finance 4, 1997), both persist and move
together (Karpoff, The relation between price changes and trading volume, JFQA 22(1), 1987), spreads widen with volatility, and the
imbalance of the book says a little of the next move (Cont, Kukanov and Stoikov, The price impact of order book events, Journal of
Financial Econometrics 12(1), 2014). The numbers in `World` are ours, chosen to be ordinary for a liquid share; no fit to any data.

The impact of the orders is not in the prices: `finml_models.environments.execution` adds it (Almgren and Chriss 2000; Almgren et al. 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.environments.almgren_chriss import holdings, urgency
from finml_models.environments.execution import LINEAR, Rules

Float = NDArray[np.float64]

FIRST_DAY = "2018-01-02"
OPEN_MINUTE, MINUTES, SLOTS = 9 * 60 + 30, 5, 78
"""Continuous trading from 9:30 to 16:00 in intervals of five minutes."""
FEWEST, MOST = 12, 20
"""Intervals of an order."""


@dataclass(frozen=True, slots=True)
class World:
    """Deviations are standard deviations of logarithms unless a name says otherwise; persistences are a day or an interval."""

    volume_median: float = 2e6
    volatility_median_bp: float = 150.0
    spread_median_bp: float = 4.0
    volume_between_assets: float = 0.8
    volatility_between_assets: float = 0.3
    spread_between_assets: float = 0.4
    size: tuple[float, float] = (0.03, 0.3)
    """Least and largest order, as a share of the usual volume of its time; in between uniform in logarithm."""
    curves: float = 1.0
    """1 the intraday curves, 0 a flat day."""
    day_volume: float = 0.25
    day_volatility: float = 0.3
    day_persistence: float = 0.9
    volume: float = 0.5
    volume_persistence: float = 0.9
    volatility: float = 0.4
    volatility_persistence: float = 0.95
    together: float = 0.5
    """Correlation of the shocks to volume and volatility, of a day and of an interval."""
    spread: float = 0.4
    spread_persistence: float = 0.8
    spread_of_volatility: float = 0.5
    """Log spread for each log of volatility."""
    imbalance: float = 0.4
    imbalance_persistence: float = 0.5
    imbalance_tells: float = 0.08
    """Correlation of the imbalance with the next return."""


CONSTANT = World(curves=0, day_volume=0, day_volatility=0, volume=0, volatility=0, spread=0, imbalance=0, imbalance_tells=0)
"""The world of Almgren and Chriss: volume, volatility and spread of an order never change, and prices say nothing of their future."""


@dataclass(frozen=True)
class Simulated:
    """Raw rows, and where there is a closed form (`CONSTANT` under linear impact) what came of each order under the optimum:
    entity, time of arrival, side, arrival, average, filled, final, shortfall; else no rows, for nobody knows the optimum."""

    frame: pd.DataFrame
    truth: pd.DataFrame


def generate(seed: int = 0, *, orders: int = 8_000, days: int = 400, world: World = World(), rules: Rules = LINEAR) -> Simulated:
    """So many orders over so many weekdays, the same for the same seed. `rules` is what the truth of a constant world is computed under."""
    rng = np.random.default_rng(seed)
    length = rng.integers(FEWEST, MOST + 1, orders)
    # An interval of the day goes before each order, so that it arrives knowing what the market just did.
    start = rng.integers(1, SLOTS - length + 1)
    day = rng.integers(0, days, orders)
    order = np.lexsort((start, day))
    start, length, day = start[order], length[order], day[order]
    market = _Market.of(rng, world, day, days)
    frame = _frame(rng, market, world, start, length, day)
    solved = world == CONSTANT or not any(
        (world.curves, world.day_volume, world.day_volatility, world.volume, world.volatility, world.spread, world.imbalance_tells)
    )
    truth = _optimum(frame, length, rules)
    return Simulated(frame, truth if solved and rules.exponent == 1 else truth.iloc[:0])


@dataclass(frozen=True)
class _Market:
    """Arrays (orders,) of each order's share, and (orders, slots) of its day; prices (orders, slots + 1) at the slots' borders."""

    daily_volume: Float
    usual: Float
    volume: Float
    usual_volatility: Float
    volatility: Float
    spread: Float
    imbalance: Float
    price: Float

    @classmethod
    def of(cls, rng: np.random.Generator, w: World, day: NDArray[np.int64], days: int) -> _Market:
        n = len(day)
        z = np.linspace(-1, 1, SLOTS)
        volume_curve, volatility_curve = 1 + w.curves * (z**2 + 0.25 * z - 0.3), 1 + w.curves * (0.45 * z**2 - 0.25 * z - 0.2)
        volume_curve, volatility_curve = volume_curve / volume_curve.sum(), volatility_curve / np.sqrt((volatility_curve**2).sum())
        # Yesterday's level is what "usual" knows of a day.
        of_day = _paths(rng, 2, days + 1, w.day_persistence, np.array([w.day_volume, w.day_volatility]), w.together)[:, 0]
        known, new = w.day_persistence * of_day[:, :-1], of_day[:, 1:] - w.day_persistence * of_day[:, :-1]
        persistence = np.array([w.volume_persistence, w.volatility_persistence])
        within = _paths(rng, 2, SLOTS, persistence, np.array([w.volume, w.volatility]), w.together, n=n)
        base_volume = w.volume_median * np.exp(w.volume_between_assets * rng.standard_normal(n) + known[0, day])
        base_volatility = w.volatility_median_bp * np.exp(w.volatility_between_assets * rng.standard_normal(n) + known[1, day])
        usual, usual_volatility = base_volume[:, None] * volume_curve, base_volatility[:, None] * volatility_curve
        moved = new[:, day, None] + within
        volume = usual * np.exp(moved[0] - 0.5 * w.volume**2)
        volatility = usual_volatility * np.exp(moved[1] - 0.5 * w.volatility**2)
        wide = _paths(rng, 1, SLOTS, w.spread_persistence, np.array([w.spread]), 0.0, n=n)[0]
        before = np.concatenate([new[1, day, None], moved[1, :, :-1]], axis=1)
        spread = w.spread_median_bp * np.exp(w.spread_between_assets * rng.standard_normal(n)[:, None] + w.spread_of_volatility * before + wide)
        pressure = _paths(rng, 1, SLOTS, w.imbalance_persistence, np.array([1.0]), 0.0, n=n)[0]
        shock = w.imbalance_tells * pressure + np.sqrt(1 - w.imbalance_tells**2) * rng.standard_normal((n, SLOTS))
        opened = np.exp(rng.uniform(np.log(20), np.log(200), n))
        # Arithmetic in bp of the open, as in Almgren and Chriss: a day is too short for the difference to matter.
        price = opened[:, None] * (1 + np.cumsum(np.concatenate([np.zeros((n, 1)), volatility * shock], axis=1), axis=1) / 1e4)
        return cls(base_volume, usual, volume, usual_volatility, volatility, spread, np.tanh(w.imbalance * pressure), price)


def _paths(rng: np.random.Generator, count: int, steps: int, persistence: Float | float, deviation: Float, together: float, n: int = 1) -> Float:
    """(count, n, steps) stationary first-order autoregressions; the shocks of the second correlate with those of the first."""
    shocks = rng.standard_normal((count, n, steps))
    if count == 2:
        shocks[1] = together * shocks[0] + np.sqrt(1 - together**2) * shocks[1]
    phi = np.broadcast_to(persistence, (count,))[:, None]
    path = np.empty_like(shocks)
    path[..., 0] = shocks[..., 0]
    for step in range(1, steps):
        path[..., step] = phi * path[..., step - 1] + np.sqrt(1 - phi**2) * shocks[..., step]
    return path * deviation[:, None, None]


def _frame(rng: np.random.Generator, m: _Market, w: World, start: NDArray[np.int64], length: NDArray[np.int64], day: NDArray[np.int64]) -> pd.DataFrame:
    n = len(start)
    row = np.repeat(np.arange(n), length + 1)
    interval = np.arange(len(row)) - np.repeat(np.cumsum(length + 1) - length - 1, length + 1)
    slot = start[row] + interval
    ahead, ended = np.minimum(slot, SLOTS - 1), interval == length[row]
    passed = np.concatenate([np.zeros((n, 1)), np.cumsum(m.usual, axis=1)], axis=1)
    rest = passed[row, start[row] + length[row]] - passed[row, slot]
    whole = passed[np.arange(n), start + length] - passed[np.arange(n), start]
    quantity = np.maximum(np.round(whole * np.exp(rng.uniform(*np.log(w.size), n))), 1.0)
    side = rng.choice([-1, 1], n)
    dates = pd.bdate_range(FIRST_DAY, periods=int(day.max()) + 1).to_numpy().astype("datetime64[us]")
    time = dates[day][row] + (OPEN_MINUTE + MINUTES * slot) * np.timedelta64(60_000_000, "us")
    expected = np.where(ended, 0.0, m.usual[row, ahead])
    return pd.DataFrame(
        {
            "entity": pd.array(np.array([f"O{i:06}" for i in range(n)], dtype=object)[row], dtype="str"),
            "time": time,
            "interval": interval,
            "intervals": length[row],
            "side": side[row],
            "quantity": quantity[row],
            # Worked like VWAP, in whole shares.
            "remaining": np.where(ended, 0.0, np.round(quantity[row] * rest / whole[row])),
            "arrival": m.price[np.arange(n), start][row],
            "price": m.price[row, slot],
            "spread_bp": m.spread[row, ahead],
            "imbalance": m.imbalance[row, ahead],
            "volatility_bp": m.volatility[row, slot - 1],
            "expected_volatility_bp": m.usual_volatility[row, ahead],
            "volume": m.volume[row, slot - 1],
            "usual_volume": m.usual[row, slot - 1],
            "expected_volume": expected,
            "expected_rest": np.where(ended, 0.0, np.maximum(rest, expected)),
            "daily_volume": m.daily_volume[row],
            "known_at": time,
        }
    )


def _optimum(frame: pd.DataFrame, length: NDArray[np.int64], rules: Rules) -> pd.DataFrame:
    """The closed form on each order's own path; right where nothing of the order's market changes."""
    first = np.cumsum(length + 1) - length - 1
    f = frame.iloc[first].reset_index(drop=True)
    volatility, side = f["expected_volatility_bp"].to_numpy(), f["side"].to_numpy()
    daily = volatility * np.sqrt(SLOTS)
    temporary = rules.temporary * daily * (f["quantity"] / f["expected_volume"]).to_numpy()
    permanent = rules.permanent * daily * (f["quantity"] / f["daily_volume"]).to_numpy()
    left = holdings(urgency(rules.risk_aversion, volatility**2, temporary, permanent), length, MOST)
    slices = -np.diff(left, axis=1)
    at = np.minimum(np.arange(MOST), length[:, None] - 1) + first[:, None]
    arrival = f["arrival"].to_numpy()
    drift = side[:, None] * (frame["price"].to_numpy()[at] / arrival[:, None] - 1) * 1e4
    cost = f["spread_bp"].to_numpy()[:, None] / 2 + permanent[:, None] * (1 - left[:, :-1]) + temporary[:, None] * slices
    shortfall = (slices * (drift + cost)).sum(axis=1)
    final = side * (frame["price"].to_numpy()[first + length] / arrival - 1) * 1e4 + permanent
    prices = {"average": arrival * (1 + side * shortfall / 1e4), "filled": 1.0, "final": arrival * (1 + side * final / 1e4), "shortfall": shortfall}
    return f[["entity", "time", "side", "arrival"]].assign(**prices)
