"""Long-only portfolios, rebalanced once a week: decided at a close, filled at the next one, paid for, and left to drift.

A row is a week, decided at the close of session t with what was known then:
    action        a (assets,) of 0 to 1; the wanted weights are a / Σ a over the assets that are held to be quoted, all alike where a is 0
    fill          at the close of t + 1, from the weights to which the old ones have drifted by then; never at the close that was seen
    cost          (fee + half-spread) · Σ |wanted - drifted|, a share of the value, taken from the return of t + 2
    earns         the sessions t + 2 to t + 6, drifting; the next decision falls at the close of t + 5 and is filled at that of t + 6
    reward        100 · Σ over those sessions (n - γ/2 n²), n the net return, less the same of equal weights before costs
Rows of consecutive weeks tile the sessions: each one's return is in exactly one row. The reward is the certainty equivalent's utility
(evaluation.metrics.returns) but for the square of the mean, and what is subtracted depends on no action, so that most of the
market's noise, which all policies share, is gone and no preference changes. Its last session lies behind the next decision's moment:
rewards say afterwards what a decision was worth, observations know nothing that comes after them.

What a portfolio holds before a week's trade is what the same policy would have held. So an episode begins `LEAD` weeks earlier, with
equal weights, and plays its way into the week; the weeks before are rewarded and not scored. All competitors start alike, none pays
every week for a portfolio that it would have had already, and a row depends on nothing but its own past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import Float as Float32
from finml_models.core.batches import Int, Table, Times, Windows, both
from finml_models.core.errors import DataError
from finml_models.core.market import Market, Step

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

EVERY = 5
"""Sessions from one decision to the next."""
LEAD = 11
"""Weeks that an episode plays before the one that is scored: with it a quarter, in which also a patient policy arrives."""
WINDOW = 120
"""Returns that every asset has behind it at each decision of an episode: what covariances may be estimated from."""
REACH = EVERY + 1
"""Sessions from a decision to the last return that it earns."""
ENTITY = "portfolio"
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Rules:
    """What trading costs, in hundredths of a percent of the value traded, and what risk is worth."""

    fee_bp: float = 5.0
    half_spread_bp: float = 5.0
    risk_aversion: float = 3.0
    """γ of the reward; that of the certainty equivalent."""

    @property
    def rate(self) -> float:
        """Cost of a unit of value traded."""
        return (self.fee_bp + self.half_spread_bp) * 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Assets on one calendar, all that a decision may be made of and all that comes of it.

    Shapes: times (d,), assets (a,) names, names (f,) of the features; returns (d, a) simple, from close to close, 0 where there is
    none; features (d, a, f), 0 where undefined; age (d, a): returns in a row up to the date, without a gap; held (d, a): weights that
    a request says are held at a date's close, NaN where nothing was said.
    """

    times: Times
    assets: tuple[str, ...]
    names: tuple[str, ...]
    returns: Float
    features: Float32
    age: NDArray[np.int64]
    held: Float

    def members(self, row: Int, lead: int = 0) -> Bool:
        """(n, a) whether an asset can be held: it has a whole window behind it on the row's date, and had one `lead` weeks before."""
        return np.asarray(self.age[row] >= WINDOW + lead * EVERY)

    def trailing(self, row: int, members: Bool) -> Float:
        """(WINDOW, m) returns of these assets up to and with a date."""
        return self.returns[row + 1 - WINDOW : row + 1, members]

    def weights_held(self, row: Int) -> Float:
        """(n, a) weights before a decision on these dates: those that a request gave, or equal ones."""
        given = self.held[row]
        return np.where(np.isfinite(given).any(axis=1, keepdims=True), np.nan_to_num(given), even(self.members(row)))

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of an observation: the features of every asset, asset by asset, then the weights."""
        return (*(f"{asset}: {name}" for asset in self.assets for name in self.names), *(f"{asset}: {WEIGHT}" for asset in self.assets))

    def observe(self, row: Int, members: Bool, weights: Float) -> Float32:
        """(n, a · f + a) observations on these dates; those of assets that cannot be held are 0."""
        seen = self.features[row] * members[:, :, None]
        return np.concatenate([seen.reshape(len(seen), seen.shape[1] * seen.shape[2]), weights.astype(np.float32)], axis=1)

    def of_assets(self, assets: tuple[str, ...]) -> History:
        """The same with these columns in this order; an asset that has no history here cannot be held. `DataError` for one that has one and no column."""
        if unknown := sorted(set(self.assets) - set(assets)):
            raise DataError(
                f"assets: {', '.join(unknown[:5])}: this version allocates among {', '.join(assets)} and has learned nothing of others; "
                "leave them out, or train on a dataset that holds them"
            )
        if assets == self.assets:
            return self
        at = np.array([self.assets.index(name) if name in self.assets else -1 for name in assets])

        def laid(values: NDArray[Any]) -> NDArray[Any]:
            wide = np.concatenate([values, np.zeros_like(values[:, :1])], axis=1)
            return wide[:, at]

        return replace(self, assets=assets, returns=laid(self.returns), features=laid(self.features), age=laid(self.age), held=laid(self.held))


WEIGHT = "weight"


@dataclass(frozen=True, kw_only=True)
class PortfolioStates(Table):
    """States to decide in, a date each: `values` are observations, row (n,) positions in `history`."""

    history: History
    row: Int

    @classmethod
    def of(cls, history: History, row: Int) -> PortfolioStates:
        """The states on these dates."""
        values = history.observe(row, history.members(row), history.weights_held(row))
        return cls(values=values, columns=history.observed, times=history.times[row], entities=np.full(len(row), ENTITY), history=history, row=row)

    @property
    def members(self) -> Bool:
        """(n, a) the assets among which a state is decided."""
        return self.history.members(self.row)

    def take(self, rows: Int) -> PortfolioStates:
        return replace(Table.take(self, rows), row=self.row[rows])

    def join(self, other: Table) -> PortfolioStates:
        if not isinstance(other, PortfolioStates) or other.history is not self.history:
            raise TypeError("batches: the two are not parts of one view")
        return replace(Table.join(self, other), row=np.concatenate([self.row, other.row]))

    def laid_out(self, actions: tuple[str, ...]) -> PortfolioStates:
        """The same states over the assets of a policy's actions; raises `DataError` for an asset that the policy does not know."""
        history = self.history.of_assets(actions)
        return self if history is self.history else PortfolioStates.of(history, self.row)


@dataclass(frozen=True, kw_only=True)
class PortfolioWindows(Windows):
    """Windows of single assets whose forecasts are to become weights: `market` holds the weeks that they are decided in, None in a request."""

    history: History
    market: PortfolioMarket | None


@dataclass(frozen=True, kw_only=True)
class PortfolioMarket(Market):
    """Weeks as episodes. row (n,): position in `history` of the session at whose close a week is decided; target (n, EVERY): the
    return of equal weights before costs on each session that the week earns, what any allocation is seen against."""

    history: History
    row: Int
    rules: Rules = Rules()
    target: Float32 | None = None
    until: Times | None = None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: Int) -> PortfolioMarket:
        return replace(
            self, row=self.row[rows], target=None if self.target is None else self.target[rows], until=None if self.until is None else self.until[rows]
        )

    def join(self, other: PortfolioMarket) -> PortfolioMarket:
        if other.history is not self.history or other.rules != self.rules:
            raise TypeError("batches: the two are not parts of one view")
        return replace(self, row=np.concatenate([self.row, other.row]), target=both(self.target, other.target), until=both(self.until, other.until))

    def environment(self, copies: int) -> PortfolioEnvironment:
        return PortfolioEnvironment(self, copies)

    def under(self, rules: Rules) -> PortfolioMarket:
        """The same weeks at other costs."""
        return replace(self, rules=rules)

    @property
    def steps(self) -> int:
        return LEAD + 1

    @property
    def time(self) -> Times:
        return self.history.times[self.row]

    @property
    def entity(self) -> NDArray[np.str_]:
        return np.full(len(self), ENTITY)

    @property
    def sessions(self) -> Times:
        """(n, EVERY) the sessions whose returns each week earns."""
        return self.history.times[self.row[:, None] + np.arange(2, REACH + 1)]

    @property
    def members(self) -> Bool:
        """(n, a) the assets that can be held all through an episode, from its first decision to its last one."""
        return self.history.members(self.row, LEAD)

    @property
    def inputs(self) -> Float32:
        members = self.members
        return self.history.observe(self.row - LEAD * EVERY, members, even(members))


def even(members: Bool) -> Float:
    """(n, a) equal weights of the members."""
    return members / np.maximum(members.sum(axis=1, keepdims=True), 1)


def weights_of(actions: NDArray[np.floating], members: Bool) -> Float:
    """(n, a) long-only weights that sum to 1: the actions, cut to 0 to 1, as shares of their sum; equal ones where nothing is asked for."""
    asked = np.clip(actions.astype(np.float64), 0.0, 1.0) * members
    total = asked.sum(axis=1, keepdims=True)
    return np.where(total > EDGE, asked / np.maximum(total, EDGE), even(members))


def actions_of(weights: Float) -> Float32:
    """(n, a) actions that ask for these weights: the largest is 1."""
    return np.asarray(weights / np.maximum(weights.max(axis=1, keepdims=True), EDGE), np.float32)


def grown(weights: Float, returns: Float) -> tuple[Float, Float]:
    """What untouched weights (n, a) become over sessions (n, k, a): the portfolio's return on each (n, k), the weights after each (n, k, a)."""
    worth = weights[:, None] * np.cumprod(1 + returns, axis=1)
    value = worth.sum(axis=-1)
    before = np.concatenate([np.ones((len(value), 1)), value[:, :-1]], axis=1)
    return value / before - 1, worth / value[:, :, None]


class PortfolioEnvironment:
    """Copies of a portfolio, stepped together, a week a step. Every episode ends after `LEAD` + 1 weeks; begin it again after that."""

    def __init__(self, market: PortfolioMarket, copies: int) -> None:
        if not len(market) or copies < 1:
            raise DataError(f"environment: {copies} copies over {len(market)} weeks; give at least one of each")
        self.copies, self._history, self._rules = copies, market.history, market.rules
        self._first, self._all = market.row - LEAD * EVERY, market.members
        self._shared, self._even_net = _shared(market)
        self._episode = np.zeros(copies, np.int64)
        self._week = np.zeros(copies, np.int64)
        self._weights = np.zeros((copies, len(market.history.assets)))
        self._members = np.zeros(self._weights.shape, np.bool_)
        self._gross = np.zeros((copies, EVERY))
        self._traded = np.zeros(copies)
        self._never = np.zeros(copies, np.bool_)

    def begin(self, copies: Int, episodes: Int) -> Float32:
        self._episode[copies], self._week[copies] = episodes, 0
        self._members[copies] = members = self._all[episodes]
        self._weights[copies] = weights = even(members)
        return self._history.observe(self._first[episodes], members, weights)

    def step(self, actions: Float32) -> Step:
        now = self._now()
        wanted = weights_of(actions, self._members)
        returns = self._history.returns[now[:, None] + np.arange(1, REACH + 1)]
        drifted = grown(self._weights, returns[:, :1])[1][:, 0]
        self._traded = np.abs(wanted - drifted).sum(axis=1)
        self._gross, after = grown(wanted, returns[:, 1:])
        self._weights = after[:, -2]
        reward = 100 * utility(self._net(), self._rules) - self._shared[self._episode, np.minimum(self._week, LEAD)]
        self._week += 1
        observation = self._history.observe(self._now(), self._members, self._weights)
        return Step(observation, reward.astype(np.float32), self._never, self._week > LEAD)

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        """Of the newest week's sessions, (copies, EVERY) each: gross, cost, net `returns`, share of the value `traded`, the number of
        assets, and net returns of equal weights as `reference`. At m times the costs the net return is gross - m · cost."""
        first = np.zeros((self.copies, EVERY))
        first[:, 0] = self._traded
        count = np.repeat(self._members.sum(axis=1, keepdims=True), EVERY, axis=1).astype(np.float64)
        return {
            "gross": self._gross.copy(),
            "cost": first * self._rules.rate,
            "returns": self._net(),
            "traded": first,
            "assets": count,
            "reference": self._even_net[self._episode],
        }

    def _now(self) -> Int:
        return np.asarray(self._first[self._episode] + EVERY * self._week, np.int64)

    def _net(self) -> Float:
        net = self._gross.copy()
        net[:, 0] -= self._rules.rate * self._traded
        return net


def utility(net: Float, rules: Rules) -> Float:
    """(n,) mean-variance utility of the sessions' net returns (n, k)."""
    return np.asarray((net - rules.risk_aversion / 2 * np.square(net)).sum(axis=1))


def even_returns(history: History, row: Int, members: Bool) -> Float:
    """(n, EVERY) returns before costs of weeks that begin with equal weights."""
    return grown(even(members), history.returns[row[:, None] + np.arange(2, REACH + 1)])[0]


def _shared(market: PortfolioMarket) -> tuple[Float, Float]:
    """(n, LEAD + 1) 100 × the utility of equal weights before costs, week by week, and (n, EVERY) their net returns in the last one."""
    history, members = market.history, market.members
    weeks = [even_returns(history, market.row - EVERY * back, members) for back in range(LEAD, -1, -1)]
    net = weeks[-1].copy()
    before = grown(even(members), history.returns[market.row[:, None] + np.arange(2 - EVERY, 2)])[1][:, -1]
    net[:, 0] -= market.rules.rate * np.abs(even(members) - before).sum(axis=1)
    return 100 * np.stack([utility(gross, market.rules) for gross in weeks], axis=1), net
