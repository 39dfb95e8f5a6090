"""What forecasts of returns would earn: a task's `TradingRule` made into holdings, series of returns, and a strategy that has paid.

Everything is read from the long-form frame of out-of-sample predictions: the return that a position earns from one session to the
next is the target of the shortest horizon, one session, of the next row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import TradingRule

from .costs import CostModel, cost_series
from .holdings import Holdings, fill_at_next_close
from .metrics import quantile_levels
from .statistics.arrays import Float
from .strategy import Limits, StrategySection, Tried, evaluate, section
from .trials import Scored, Trials

if TYPE_CHECKING:
    from pandas import DataFrame

METRICS = frozenset({"net_information_ratio", "break_even_cost"})
"""Metrics of a strategy among those of a task: functions of series of returns, not of rows of predictions."""
MARKET_NEUTRAL = Limits(gross=1.0, long_only=False)


@dataclass(frozen=True, slots=True, eq=False)
class Earned:
    """Series (t,) in date order by the names of the strategy metrics' inputs; of a strategy that never trades all are 0."""

    returns: Float
    reference: Float
    gross_returns: Float
    traded: Float

    def inputs(self, kept: NDArray[np.bool_] | None = None) -> dict[str, Float]:
        """All four, or the dates of a mask (t,)."""
        return {name: getattr(self, name) if kept is None else getattr(self, name)[kept] for name in self.__slots__}


def costs_of(rule: TradingRule) -> CostModel:
    """The rule's cost model."""
    return CostModel(version=rule.version, fee_bp=rule.fee_bp, half_spread_bp=rule.half_spread_bp, borrow_rate=rule.borrow_rate)


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """What the rule holds of one seed's predictions. Shapes: dates (d,), returns (d, assets) up to each date, held[horizon] (d, assets)."""

    dates: NDArray[np.datetime64]
    returns: Float
    held: Mapping[int, Float]

    @classmethod
    def of(cls, frame: DataFrame) -> Self:
        """An asset without a row on a date is not ranked there, and earns nothing until its next row.

        Raises `DataError` for predictions without one-session returns.
        """
        horizons = sorted(int(h) for h in frame["horizon"].unique())
        if horizons[0] != 1:
            raise DataError(f"trading: horizons {horizons}; a position is valued session by session, so predict horizon 1 too")
        ahead = _wide(frame[frame["horizon"] == 1], "target")
        # Row i of the targets is earned from date i to the next one: it is the return up to that date.
        earned = np.vstack([np.zeros(len(ahead.columns)), np.nan_to_num(np.expm1(ahead.to_numpy()))[:-1]])
        return cls(ahead.index.to_numpy(), earned, {h: _held(_ranks(frame[frame["horizon"] == h]), h) for h in horizons})

    def holdings(self, horizon: int | None = None) -> Holdings:
        """By the forecasts of one horizon, or of all in equal shares; `DataError` for fewer than 3 dates."""
        weights = np.mean(list(self.held.values()), axis=0) if horizon is None else self.held[horizon]
        return fill_at_next_close(weights, self.returns, self.dates)

    def earned(self, rule: TradingRule, horizon: int | None = None) -> Earned:
        """The series of the strategy, net of its costs, beside a reference of cash: half is long, half short."""
        own = self.holdings(horizon)
        charged = cost_series(costs_of(rule), own.weights, own.asset_returns)
        gross = np.asarray((own.weights * own.asset_returns).sum(axis=1))
        return Earned(returns=gross - charged.total, reference=np.zeros(len(gross)), gross_returns=gross, traded=charged.traded)


def traded(frame: DataFrame, rule: TradingRule, *, name: str, tried: int) -> StrategySection | None:
    """The document of the rule's strategy over all horizons, by the first seed's forecasts; None where it never trades.

    The rule was declared and the fits were counted before, so that the strategy is no look of its own: it is counted under `name`.
    """
    held = Book.of(frame[frame["seed"] == frame["seed"].min()]).holdings()
    if not np.abs(held.weights).sum():
        return None
    with _Declared(name).open(None, 0) as trial:
        return section(evaluate(held, costs=costs_of(rule), trial=trial, tried=Tried(count=tried), name=name, limits=MARKET_NEUTRAL))


def said(found: StrategySection | None, r2: Mapping[int, float]) -> tuple[str, ...]:
    """In plain words: how the point forecasts compare with zero, horizon by horizon, and whether trading them pays."""
    sentences = [_against_zero(r2)] if r2 else []
    if found is None:
        return (*sentences, "Its forecasts never rank one asset above another, so there is nothing to trade and no strategy.")
    net, gross = found.net(1.0), found.net(0.0)
    earns = f"Traded by the declared rule it {'earns' if net.mean > 0 else 'loses'} {abs(net.mean):.1%} a year after costs"
    left = f"nothing is left at {found.break_even.bp:.2g} bp a unit traded" if gross.mean > 0 else "it loses before any costs"
    return (*sentences, f"{earns} (net Sharpe ratio {net.sharpe:.2f}, before costs {gross.sharpe:.2f}); {left}.")


def _against_zero(r2: Mapping[int, float]) -> str:
    values = ", ".join(f"{value:+.2%} at {horizon}" for horizon, value in sorted(r2.items()))
    worse, equal = [h for h, value in r2.items() if value < 0], all(value == 0 for value in r2.values())
    if equal:
        return "Its point forecast is zero, which is what point forecasts of returns are expected to lose to; what it forecasts is the width."
    lead = (
        "As expected of point forecasts of returns, this one loses to a forecast of zero"
        if len(worse) == len(r2)
        else "Point forecasts of returns are expected to lose to a forecast of zero; this one does so at some horizons"
        if worse
        else "Point forecasts of returns are expected to lose to a forecast of zero; this one did not in this sample, by amounts that chance makes too"
    )
    return f"{lead} (out-of-sample R² {values} sessions). What can be forecast is the width, and the pinball loss judges it."


def _wide(frame: DataFrame, column: str) -> DataFrame:
    """Dates by assets, NaN where an asset has no row."""
    wide: DataFrame = frame.pivot_table(index="time", columns="entity", values=column, aggfunc="first", observed=True)
    return wide


def _ranks(frame: DataFrame) -> Float:
    """(dates, assets) weights of a horizon's forecasts: ranks of point / width about their middle, absolute sum 1, or 0 where all are equal."""
    levels = quantile_levels(frame)
    width = frame[f"q{levels[-1]:g}"] - frame[f"q{levels[0]:g}"]
    signal = _wide(frame.assign(signal=np.where(width > 0, frame["point"] / width.where(width > 0), 0.0)), "signal")
    ranks = signal.rank(axis=1)
    centred = ranks.sub(ranks.mean(axis=1), axis=0).fillna(0.0).to_numpy()
    total = np.abs(centred).sum(axis=1, keepdims=True)
    return np.asarray(np.divide(centred, total, out=np.zeros_like(centred), where=total > 0), np.float64)


def _held(weights: Float, sessions: int) -> Float:
    """Overlapping portfolios (Jegadeesh and Titman, Journal of Finance 48(1), 1993): each date's weights are held for so many dates in equal parts."""
    total = np.cumsum(weights, axis=0)
    total[sessions:] -= total[:-sessions].copy()
    return np.asarray(total / sessions)


class _Declared(Trials):
    """Names a strategy that a declared rule makes of predictions whose fits were counted."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _start(self, fold: int | None, seed: int) -> str:
        del fold, seed
        return self._name

    def _finish(self, trial: str, result: Scored | None, seconds: float) -> None:
        """The report keeps it."""

    def _fail(self, trial: str, error: BaseException) -> None:
        """The report fails with it."""


def all_earned(repeats: Sequence[DataFrame], rule: TradingRule) -> dict[int | None, list[Earned]]:
    """By horizon, and None for all of them: the series of each seed."""
    books = [Book.of(repeat) for repeat in repeats]
    return {horizon: [book.earned(rule, horizon) for book in books] for horizon in (None, *books[0].held)}
