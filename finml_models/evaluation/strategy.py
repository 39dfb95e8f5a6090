"""Strategies: nothing is a result that has not been counted and has not paid its costs.

`evaluate` is the only maker of a `StrategyResult`, takes a `CostModel`, which cannot be free, and scores an open trial of
`evaluation.trials` with the net returns. The document of it is a `StrategySection`:

    held = fill_at_next_close(decisions, returns, dates)
    with trials.open(fold=None, seed=0) as trial:
        result = evaluate(held, costs=COSTS, trial=trial, tried=Tried(count=12, variance=0.001))
    section(result).net(1.0).sharpe
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from finml_models.core.errors import DataError

from .comparison import versus
from .costs import CostModel, CostSeries, cost_series, trades
from .holdings import Holdings, Times
from .metrics.returns import YEAR, break_even_cost, certainty_equivalent, drawdown, sharpe, turnover
from .statistics import deflated_sharpe, minimum_track_record, probabilistic_sharpe
from .statistics.arrays import Float
from .strategy_section import MULTIPLES, RISK_AVERSION, AtCost, BreakEven, CostSplit, Limits, StrategySection, Tried, Versus
from .trials import Trial

__all__ = ["Limits", "StrategyResult", "StrategySection", "Tried", "evaluate", "section"]

LONG_ONLY = Limits()
"""No short positions and no leverage."""

_SEAL = object()
_DUST = 1e-9
"""Weights and trades smaller than this are rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class StrategyResult:
    """What a strategy earned before (`gross`) and after (`net`) what was `charged`, (t,) each, read-only; row i from times[i] to times[i + 1]."""

    seal: InitVar[object]
    costs: CostModel
    times: Times
    gross: Float
    charged: CostSeries
    figures: StrategySection

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("StrategyResult: only `evaluate(holdings, costs=..., trial=..., tried=...)` makes one, since a result has paid its costs")
        for array in (self.times, self.gross, *(getattr(self.charged, name) for name in CostSeries.__slots__)):
            array.setflags(write=False)

    @property
    def net(self) -> Float:
        """(t,) returns after the costs of the model."""
        return self.net_at(1.0)

    def net_at(self, multiple: float) -> Float:
        """(t,) returns after `multiple` times the costs."""
        return np.asarray(self.gross - multiple * self.charged.total)


def evaluate(
    holdings: Holdings,
    *,
    costs: CostModel,
    trial: Trial,
    tried: Tried,
    name: str = "strategy",
    limits: Limits = LONG_ONLY,
    periods: int = YEAR,
    initial: ArrayLike | None = None,
    half_spread_bp: ArrayLike | None = None,
    volatility: ArrayLike | None = None,
    adv: ArrayLike | None = None,
    reference: StrategyResult | None = None,
    level: float = 0.9,
    seed: int = 0,
    replicates: int = 1000,
) -> StrategyResult:
    """What the holdings earn at 0, 1, 2 and 5 times what they cost, and what that is worth after `tried` attempts.

    `trial` must be open and not scored: it is scored here, with the Sharpe ratio a period net of costs (`period_sharpe`), so that
    the trials' variance of that metric is the one for `tried`. `initial` to `adv` are those of `costs.cost_series`, `periods`
    the dates a year. With a `reference`, a result over the same dates at the same costs, differences come with intervals of
    `level` and one-sided p-values.

    Raises `DataError` for holdings that break `limits`, trade nothing, trade for nothing or lose everything, and for a
    reference that cannot be paired; `Conflict` for a trial that has ended or has been scored.
    """
    if not isinstance(trial, Trial):
        raise TypeError(f"{name}: trial is {trial!r}; open one with `with trials.open(fold, seed) as trial:`, since nothing is scored that was not counted")
    costs = _charging(costs)
    w, r = holdings.weights, holdings.asset_returns
    _check_limits(name, limits, w, trades(w, r, initial).sum(axis=1))
    charged = cost_series(costs, w, r, initial=initial, half_spread_bp=half_spread_bp, volatility=volatility, adv=adv, periods=periods)
    gross = np.asarray((w * r).sum(axis=1))
    _check_paid(name, costs, charged, gross)
    if reference is not None:
        _check_reference(name, costs, holdings.times, periods, reference)
    against = None if reference is None else _against(gross, charged, reference, periods=periods, level=level, seed=seed, replicates=replicates)
    figures = figures_of(
        holdings.times,
        gross,
        charged,
        turned=turnover(w, r),
        assets=w.shape[1],
        costs=costs,
        limits=limits,
        tried=tried,
        periods=periods,
        name=name,
        trial=trial.id,
        against=against,
    )
    _score(trial, holdings.times, gross - charged.total)
    return StrategyResult(_SEAL, costs, holdings.times, gross, charged, figures)


def section(result: StrategyResult) -> StrategySection:
    """The document of a result, for a report."""
    return result.figures


def figures_of(
    times: Times,
    gross: Float,
    charged: CostSeries,
    *,
    turned: float,
    assets: int,
    costs: CostModel,
    limits: Limits,
    tried: Tried,
    periods: int,
    name: str,
    trial: str,
    against: Versus | None,
) -> StrategySection:
    """The section of returns before costs (t,) and what they were charged; `times` (t + 1,) begin with the first fill, `turned` is the mean turnover."""
    net = gross - charged.total
    likely = probabilistic_sharpe(net)
    deflated = deflated_sharpe(net, trials=tried.count, variance=1 / (len(net) - 1) if tried.variance is None else tried.variance)
    needed = minimum_track_record(likely.sharpe, skewness=likely.skewness, kurtosis=likely.kurtosis)
    return StrategySection(
        name=name,
        trial=trial,
        costs=costs,
        limits=limits,
        first=str(times[0].astype("datetime64[D]")),
        last=str(times[-1].astype("datetime64[D]")),
        dates=len(net),
        assets=assets,
        periods=periods,
        at=tuple(_at_cost(gross - multiple * charged.total, multiple, periods) for multiple in MULTIPLES),
        turnover=turned,
        split=CostSplit(**{part: float(getattr(charged, part).mean()) * periods for part in CostSplit.model_fields}),
        break_even=BreakEven(multiple=float(gross.sum() / charged.total.sum()), bp=break_even_cost(gross, charged.traded)),
        versus=against,
        tried=tried,
        probabilistic_sharpe=likely.probability,
        deflated_sharpe=deflated.probability,
        deflated_benchmark=deflated.benchmark * float(np.sqrt(periods)),
        minimum_track_record=needed if np.isfinite(needed) else None,
    )


def _at_cost(net: Float, multiple: float, periods: int) -> AtCost:
    return AtCost(
        multiple=multiple,
        mean=float(net.mean()) * periods,
        volatility=float(net.std(ddof=1) * np.sqrt(periods)),
        sharpe=sharpe(net, periods),
        certainty_equivalent=certainty_equivalent(net, RISK_AVERSION, periods),
        # Five times the costs may take more than everything; a ruined portfolio stays at 0.
        drawdown=drawdown(np.maximum(net, -1.0)),
    )


def _against(gross: Float, charged: CostSeries, reference: StrategyResult, *, periods: int, level: float, seed: int, replicates: int) -> Versus:
    return versus(
        lambda multiple: gross - multiple * charged.total,
        reference.net_at,
        name=reference.figures.name,
        periods=periods,
        level=level,
        seed=seed,
        replicates=replicates,
    )


def _score(trial: Trial, times: Times, net: Float) -> None:
    from pandas import DataFrame

    trial.score(DataFrame({"time": times[1:], "net": net}), "period_sharpe")


def _charging(costs: CostModel) -> CostModel:
    """The model, validated again: `model_copy` and `model_construct` make models that no validator has seen."""
    if not isinstance(costs, CostModel):
        raise TypeError(f"strategy: costs are {costs!r}; give a CostModel, since a result without costs is none")
    try:
        return CostModel.model_validate(costs.model_dump())
    except ValidationError as error:
        raise DataError(f"strategy: these costs charge nothing or are not valid: {error}") from error


def _check_limits(name: str, limits: Limits, weights: Float, traded: Float) -> None:
    """Weights are held to the limits where something is traded; what they drift to is nobody's choice."""
    chosen = traded > _DUST
    total, least = np.where(chosen, np.abs(weights).sum(axis=1), 0.0), np.where(chosen, weights.min(axis=1), 0.0)
    if total.max() > limits.gross + 1e-6:
        row = int(total.argmax())
        raise DataError(f"{name}: the absolute weights of row {row} sum to {total[row]:.6g}, over limits.gross of {limits.gross:g}; scale them, or state more")
    if limits.long_only and least.min() < -_DUST:
        row = int(least.argmin())
        raise DataError(
            f"{name}: row {row} holds {least[row]:.3g} of asset {int(weights[row].argmin())}; clip short positions, or set limits.long_only to False"
        )


def _check_paid(name: str, costs: CostModel, charged: CostSeries, gross: Float) -> None:
    traded = float(charged.traded.sum())
    if traded <= _DUST:
        raise DataError(f"{name}: nothing is traded in {len(gross)} rows, so there is no strategy; report that it never traded")
    if charged.trading.sum() <= 0:
        raise DataError(f"{name}: {traded:.3g} × the value is traded for nothing under {costs.version}; give spreads and volatilities above 0")
    net = gross - charged.total
    if net.min() <= -1:
        raise DataError(f"{name}: row {int(net.argmin())} returns {net.min():.3g} net of costs, more than everything; lower leverage or turnover")


def _check_reference(name: str, costs: CostModel, times: Times, periods: int, reference: StrategyResult) -> None:
    other = reference.figures
    if not np.array_equal(times, reference.times) or periods != other.periods:
        raise DataError(
            f"{name}: {len(times) - 1} rows from {times[0]} to {times[-1]}, its reference {other.name} has {other.dates} from {other.first} to {other.last}; "
            "evaluate both over the same dates"
        )
    if costs != reference.costs:
        raise DataError(
            f"{name}: pays {costs.version}, its reference {other.name} {other.costs.version} or other figures of it; evaluate both at the same costs"
        )
