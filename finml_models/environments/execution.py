"""Execution of orders against a recorded market: temporary and permanent impact, spread, participation under a cap, certain completion.

Prices are those that the market had without the order; what the order does to them is added by `Rules`. All costs are in
hundredths of a percent (bp) of the arrival price, with the sign of the order, so that a purchase and a sale count alike.

Before interval t a share x of the order is left, and the policy chooses how much of it is traded:
    pace          x · order / usual volume of the rest of the order's time: the participation that, held, ends on time
    action u      participation = pace · u / (1 - u), at most the cap: 0 is nothing, 1/2 the pace (VWAP), 1 the cap
    slice n       participation · usual volume of the interval / order; all that is left in the last interval
    cost          n · (half spread + permanent impact so far + temporary impact)                       [Almgren-Chriss 2000, eq. 1-6]
    temporary     η σ (n · order / volume of the interval)^β, σ in bp a day                             [Almgren et al. 2005, eq. 8]
    permanent     grows by γ σ n · order / daily volume                                                 [Almgren et al. 2005, eq. 6]
    what is left  x' = x - n bears the price's move over the interval, and the risk λ x'² · its variance
The reward of interval t is what slice n saved against the slice of VWAP, in cost, moves and risk, when VWAP does all the rest. It is the
change of a potential beside minus the cost (Ng, Harada and Russell, ICML 1999), so that the rewards of an episode sum to a constant
of the order, VWAP's own cost, less the policy's: no preference changes, and most of the noise of prices, which all policies share,
is gone (an input-dependent baseline: Mao et al., arXiv:1807.02264). It is known once the order is done, as an analysis of
transaction costs is; observations and outcomes know nothing that comes after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import Float as Float32
from finml_models.core.batches import Int, Table, Times, both
from finml_models.core.errors import DataError
from finml_models.core.market import Market, Step

Float = NDArray[np.float64]

REMAINING, PACE, DRIFT = "remaining", "pace", "drift_bp"
"""The observations that depend on what the policy did; the market does all others."""
SIGNED = ("imbalance", DRIFT)
"""The observations that have the order's sign."""
DONE = 1e-9
"""A share of an order that is nothing."""
(_SHARE, _CEILING, _SPREAD, _TEMPORARY, _PERMANENT, _MOVE, _RISK, _LINEAR, _POWER, _SQUARE, _LAST, _PACE) = range(12)


@dataclass(frozen=True, slots=True)
class Rules:
    """The impact of trades, the cap, and what risk is worth.

    η 0.142, β 0.6 and γ 0.314 are estimates for US stocks (Almgren, Thum, Hauptmann and Li, Direct estimation of equity market impact,
    2005, section 4). There γ is multiplied by (shares outstanding / daily volume)^¼; here by 200^¼, a stock that turns over in 200 days.
    The risk aversion is small: on the default orders it costs under 1 % of the mean shortfall.
    """

    temporary: float = 0.142
    exponent: float = 0.6
    permanent: float = 0.314 * 200**0.25
    cap: float = 0.4
    """Largest participation in the usual volume of an interval; the last interval alone may exceed it."""
    risk_aversion: float = 3e-4
    """λ: bp of mean cost that one bp² of variance is worth."""

    def scaled(self, impact: float) -> Rules:
        """The same with temporary and permanent impact multiplied: a scenario."""
        return replace(self, temporary=self.temporary * impact, permanent=self.permanent * impact)


LINEAR = Rules(temporary=0.44, exponent=1.0)
"""Linear temporary impact, as dear as the default at a participation of 6 %: with constant volume and volatility Almgren-Chriss is optimal."""


def slice_of(action: Float, remaining: Float, share: Float, ceiling: Float, last: NDArray[np.bool_] | Float) -> Float:
    """Share of the order that the next interval trades: `share` is the interval's part of the usual volume of the rest, `ceiling` what the
    cap admits, and `last`, 1 in the last interval and else 0, trades all that remains. Shapes: (n,)."""
    u = np.minimum(np.maximum(action, 0.0), 1.0)
    wanted = remaining * share * u / np.maximum(1 - u, 1e-12)
    sliced: Float = np.maximum(np.minimum(np.minimum(wanted, ceiling), remaining), remaining * last)
    return sliced


def action_of(participation: Float, pace: Float) -> Float:
    """The action that asks for a participation: u / (1 - u) = participation / pace."""
    return np.asarray(participation / np.maximum(participation + pace, 1e-12), np.float64)


@dataclass(frozen=True, kw_only=True)
class OrderStates(Table):
    """States of orders at work, with what an answer in shares needs: those of the order at arrival, those that are left, and the usual
    ones of the next interval. Shapes: (n,)."""

    quantity: Float
    left: Float
    expected_volume: Float

    def take(self, rows: Int) -> OrderStates:
        return replace(Table.take(self, rows), **{name: values[rows] for name, values in self._shares().items()})

    def join(self, other: Table) -> OrderStates:
        if not isinstance(other, OrderStates):
            raise TypeError("batches: the two are not parts of one view")
        return replace(Table.join(self, other), **{name: np.concatenate([values, getattr(other, name)]) for name, values in self._shares().items()})

    def _shares(self) -> dict[str, Float]:
        return {"quantity": self.quantity, "left": self.left, "expected_volume": self.expected_volume}


@dataclass(frozen=True, kw_only=True)
class ExecutionMarket(Market):
    """Orders as episodes. Shapes: n orders of at most t intervals; arrays beyond an order's end are padded with 0.

    names (f,) of the observations; observed (n, t + 1, f) those before each interval and at the end, with 0 for those that depend on
    the policy; entities, times, lengths, sides, arrivals, day_demand (n,). Of each interval, (n, t): `move` of the price against
    the order, `half_spread` and `volatility` in bp, `daily_volatility` the same brought to a day, `demand` the order / its volume,
    `usual` its usual volume / the order. rest (n, t + 1): the order / usual volume from there to its end. day_demand: the order /
    daily volume.
    """

    names: tuple[str, ...]
    entities: NDArray[np.str_]
    times: Times
    lengths: NDArray[np.int64]
    sides: Float
    arrivals: Float
    day_demand: Float
    observed: Float32
    move: Float
    half_spread: Float
    volatility: Float
    daily_volatility: Float
    demand: Float
    usual: Float
    rest: Float
    rules: Rules = Rules()
    target: Float32 | None = None
    until: Times | None = None

    def __len__(self) -> int:
        return len(self.entities)

    def take(self, rows: Int) -> ExecutionMarket:
        return replace(self, **{name: values[rows] for name, values in self._arrays().items()})

    def join(self, other: ExecutionMarket) -> ExecutionMarket:
        mine, others = self._arrays(), other._arrays()
        if self.names != other.names or self.move.shape[1] != other.move.shape[1] or self.rules != other.rules or mine.keys() != others.keys():
            raise TypeError("batches: the two are not parts of one view")
        return replace(self, **{name: both(values, others[name]) for name, values in mine.items()})

    def under(self, rules: Rules) -> ExecutionMarket:
        """The same orders under other rules."""
        return replace(self, rules=rules)

    def augmented(self) -> ExecutionMarket:
        """These orders, and each once more with the opposite side: the record is the same whoever trades in it.

        A rise that hurts the one helps the other, so that no policy can learn, or be chosen, by the luck of the sample's rises and falls.
        """
        flip = np.where(np.isin(self.names, SIGNED), -1, 1).astype(np.float32)
        return self.join(replace(self, sides=-self.sides, move=-self.move, observed=self.observed * flip))

    def environment(self, copies: int) -> ExecutionEnvironment:
        return ExecutionEnvironment(self, copies)

    @property
    def steps(self) -> int:
        return self.move.shape[1]

    @property
    def time(self) -> Times:
        return self.times

    @property
    def entity(self) -> NDArray[np.str_]:
        return self.entities

    @property
    def inputs(self) -> Float32:
        first = self.observed[:, 0].copy()
        first[:, self.names.index(REMAINING)] = 1.0
        first[:, self.names.index(PACE)] = self.rest[:, 0]
        return first

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), np.ndarray)}


class ExecutionEnvironment:
    """Copies of an order book's clerk, stepped together. An episode ends when nothing is left, at the latest with its last interval;
    a copy whose episode has ended stays as it is, with a reward of 0, until it begins another one."""

    def __init__(self, market: ExecutionMarket, copies: int) -> None:
        if not len(market) or copies < 1:
            raise DataError(f"environment: {copies} copies over {len(market)} orders; give at least one of each")
        self.copies, self._market, self._rules = copies, market, market.rules
        self._length = market.steps + 1
        self._path = _path(market)
        self._observed = market.observed.reshape(-1, len(market.names))
        self._remaining, self._pace, self._drift = (market.names.index(name) for name in (REMAINING, PACE, DRIFT))
        self._episode = np.zeros(copies, np.int64)
        self._interval = np.zeros(copies, np.int64)
        self._left = np.zeros(copies)
        self._pressure = np.zeros(copies)
        self._value = np.zeros(copies)
        self._slices = np.zeros((copies, self._length))
        self._every = np.arange(copies)
        self._never = np.zeros(copies, np.bool_)
        self._row = self._path[:1].repeat(copies, axis=0)

    def begin(self, copies: Int, episodes: Int) -> Float32:
        self._episode[copies], self._interval[copies] = episodes, 0
        self._left[copies], self._pressure[copies], self._slices[copies] = 1.0, 0.0, 0.0
        at = np.asarray(episodes) * self._length
        row = self._path.take(at, axis=0)
        self._row[copies], self._value[copies] = row, self._reference(row, 1.0, 0.0)
        return self._observe(at, 1.0, row[:, _PACE], 0.0)

    def step(self, actions: Float32) -> Step:
        share, ceiling, spread, temporary, permanent, move, risk, *_, last, _ = self._row.T
        expected = self._value
        traded = slice_of(actions[:, 0].astype(np.float64), self._left, share, ceiling, last)
        left = self._left - traded
        done = left <= DONE
        left *= ~done
        cost = traded * (spread + self._pressure + temporary * traded**self._rules.exponent) + left * (move + risk * left)
        self._slices[self._every, self._interval] += traded
        self._left, self._pressure = left, self._pressure + permanent * traded
        self._interval = np.minimum(self._interval + 1, self._length - 1)
        at = self._episode * self._length + self._interval
        self._row = self._path.take(at, axis=0)
        self._value = self._reference(self._row, left, self._pressure)
        observation = self._observe(at, left, left * self._row[:, _PACE], self._pressure)
        return Step(observation, (expected - cost - self._value).astype(np.float32), done, self._never)

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        """side, arrival, average price of what was filled, filled share, final price; shortfall in bp and its parts, all (copies,).

        `risk_bp` is λ Σ x'² · variance and `reference_bp` the shortfall and risk of VWAP on the same order. The rewards of an
        episode sum to reference_bp - shortfall - risk_bp.
        """
        e, n = self._episode, self._slices[:, :-1]
        path = self._path.reshape(-1, self._length, self._path.shape[1])[e, :-1]
        past = np.arange(n.shape[1]) < self._interval[:, None]
        left = 1 - np.cumsum(n, axis=1)
        drift = np.cumsum(path[..., _MOVE] * past, axis=1)
        pressure = np.cumsum(path[..., _PERMANENT] * n, axis=1)
        parts = {
            "spread_bp": (n * path[..., _SPREAD]).sum(axis=1),
            "temporary_bp": (n ** (1 + self._rules.exponent) * path[..., _TEMPORARY]).sum(axis=1),
            "permanent_bp": (n[:, 1:] * pressure[:, :-1]).sum(axis=1),
            "timing_bp": (n[:, 1:] * drift[:, :-1]).sum(axis=1),
        }
        shortfall = np.sum(list(parts.values()), axis=0)
        filled = np.where(self._left == 0, 1.0, n.sum(axis=1))
        side, arrival = self._market.sides[e], self._market.arrivals[e]
        return {
            "side": side,
            "arrival": arrival,
            "average": arrival * (1 + side * shortfall / np.maximum(filled, DONE) / 1e4),
            "filled": filled,
            "final": arrival * (1 + side * (drift[:, -1] + pressure[:, -1]) / 1e4),
            "shortfall": shortfall,
            **parts,
            "risk_bp": (path[..., _RISK] * left**2 * past).sum(axis=1),
            "reference_bp": self._reference(path[:, 0], 1.0, 0.0),
        }

    def _reference(self, row: Float, left: Float | float, pressure: Float | float) -> Float:
        """Cost, moves and risk to come where VWAP does what is left."""
        value: Float = left * (row[:, _LINEAR] + pressure + left * row[:, _SQUARE]) + left ** (1 + self._rules.exponent) * row[:, _POWER]
        return value

    def _observe(self, at: Int, left: Float | float, pace: Float, pressure: Float | float) -> Float32:
        observation = self._observed.take(at, axis=0)
        observation[:, self._remaining] = left
        observation[:, self._pace] = pace
        # A trader sees the mid with the own impact in it.
        observation[:, self._drift] += pressure
        return observation


def _path(market: ExecutionMarket) -> Float:
    """(n · (t + 1), 12) everything that a step needs of its interval, and a last row in which nothing happens."""
    r, (n, t) = market.rules, market.move.shape
    usual, rest = market.usual, market.rest
    temporary = r.temporary * market.daily_volatility * market.demand**r.exponent
    permanent = r.permanent * market.daily_volatility * market.day_demand[:, None]
    risk = r.risk_aversion * market.volatility**2
    # VWAP from interval t on: slices usual_s · rest_t, and after slice s the share rest_t / rest_(s + 1) is left.
    later = np.divide(1.0, rest[:, 1:], out=np.zeros_like(usual), where=rest[:, 1:] > 0)
    pressed = np.cumsum(permanent * usual, axis=1) - permanent * usual
    columns = {
        _SHARE: usual * rest[:, :-1],
        _CEILING: r.cap * usual,
        _SPREAD: market.half_spread,
        _TEMPORARY: temporary,
        _PERMANENT: permanent,
        _MOVE: market.move,
        _RISK: risk,
        _LINEAR: usual * market.half_spread + later * market.move,
        _POWER: temporary * usual ** (1 + r.exponent),
        _SQUARE: risk * later**2 + usual * pressed,
    }
    path = np.zeros((n, t + 1, 12))
    inside = np.arange(t) < market.lengths[:, None]
    for column, values in columns.items():
        path[:, :-1, column] = np.where(inside, values, 0.0)
    # What is to come: from each interval to the end, for what is left then.
    path[:, ::-1, _LINEAR : _SQUARE + 1] = path[:, ::-1, _LINEAR : _SQUARE + 1].cumsum(axis=1)
    path[:, :-1, _SQUARE] -= np.where(inside, pressed * np.divide(1.0, rest[:, :-1], out=np.zeros_like(usual), where=rest[:, :-1] > 0), 0.0)
    path[:, :, _LINEAR] *= rest
    path[:, :, _POWER] *= rest ** (1 + r.exponent)
    path[:, :, _SQUARE] *= rest**2
    path[:, :, _LAST] = np.arange(t + 1) >= market.lengths[:, None] - 1
    path[:, :, _PACE] = rest
    return path.reshape(n * (t + 1), 12)
