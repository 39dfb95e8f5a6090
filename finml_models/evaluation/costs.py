"""What trading costs: fee, half-spread, square-root impact and borrow, as shares of the portfolio's value, one row a period.

Row t of `weights` earns row t of `asset_returns`. It was reached at the beginning of that period by a trade from the weights
to which row t - 1 had drifted, and that trade and the holding of row t are what row t pays for. `holdings` makes such rows
from decisions. Why so: `docs/decisions/0006-costs.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen

from .metrics.returns import YEAR
from .statistics.arrays import Float, finite

BP = 1e-4


class CostModel(Frozen):
    """What a task charges a strategy; data, so that a report can show it. One that charges nothing for trading cannot be made.

    The returns before costs are the 0 × column of every result: no model is needed for them.
    """

    version: str = Field(min_length=1, description="such as portfolio_allocation/1; changes with any figure below")
    fee_bp: float = Field(0.0, ge=0, le=500, description="commission, fees and taxes, in hundredths of a percent of the value traded")
    half_spread_bp: float | None = Field(
        0.0, ge=0, le=1000, description="half the quoted spread in hundredths of a percent of the value traded; None: given for every asset at evaluation"
    )
    impact: float = Field(0.0, ge=0, le=10, description="Y of the square-root law, about 1: cost of a trade = Y × daily volatility × sqrt(participation)")
    capital: float | None = Field(
        None, gt=0, le=1e13, description="value of the portfolio in the currency of the traded volumes; impact depends on it, the other costs do not"
    )
    participation_limit: float = Field(
        0.1, gt=0, le=1, description="largest trade as a share of an average day's value traded, behind which the law is a guess"
    )
    borrow_rate: float = Field(0.0, ge=0, le=1, description="fee a year for borrowed securities, as a share of the value of short positions")

    @model_validator(mode="after")
    def _trading_is_not_free(self) -> Self:
        if self.fee_bp == 0 and self.half_spread_bp == 0 and self.impact == 0:
            raise ValueError(f"costs {self.version}: fee_bp, half_spread_bp and impact are all 0, so trading is free; give what it costs")
        if self.impact > 0 and self.capital is None:
            raise ValueError(f"costs {self.version}: impact is {self.impact:g} and depends on the size of trades; give capital")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class CostSeries:
    """What was traded and what each component cost, (t,) each, in shares of the portfolio's value before the row's trade."""

    traded: Float
    fee: Float
    spread: Float
    impact: Float
    borrow: Float

    @property
    def trading(self) -> Float:
        """(t,) what the trades cost: all but borrow."""
        return self.fee + self.spread + self.impact

    @property
    def total(self) -> Float:
        """(t,) all costs."""
        return self.trading + self.borrow


def cost_series(
    model: CostModel,
    weights: ArrayLike,
    asset_returns: ArrayLike,
    *,
    initial: ArrayLike | None = None,
    half_spread_bp: ArrayLike | None = None,
    volatility: ArrayLike | None = None,
    adv: ArrayLike | None = None,
    periods: int = YEAR,
) -> CostSeries:
    """Costs of holding `weights` (t, assets) while assets return `asset_returns` (t, assets), simple returns.

    fee + half-spread: bp × value traded; impact: value traded × Y σ sqrt(Q / V), σ being the daily `volatility`, Q the value
    traded and V the average value traded a day, `adv` (Tóth et al., Physical Review X 1, 021006, 2011); borrow: short value ×
    rate / `periods`. `half_spread_bp`, `volatility` and `adv` are (assets,) or (t, assets) and must have been known when the row
    was traded. `initial` (assets,) are the weights before the first row, cash by default: the first purchase is paid for, the
    sale of what is held at the end is not. What the weights lack to 1 is cash.

    Raises `DataError` for shapes that do not fit, values that are not finite, a portfolio that loses everything, an input that
    the model needs and does not get, or trades beyond its participation limit.
    """
    w, r = held_and_earned(weights, asset_returns)
    traded = trades(w, r, initial)
    spread_bp = _spread(model, half_spread_bp, traded.shape)
    return CostSeries(
        traded=traded.sum(axis=1),
        fee=traded.sum(axis=1) * (model.fee_bp * BP),
        spread=(traded * spread_bp).sum(axis=1) * BP,
        impact=(traded * _impact(model, traded, volatility, adv)).sum(axis=1),
        borrow=np.maximum(-w, 0.0).sum(axis=1) * (model.borrow_rate / periods),
    )


def held_and_earned(weights: ArrayLike, asset_returns: ArrayLike) -> tuple[Float, Float]:
    """Both (t, assets) as float64, or a `DataError` for other shapes or values that are not finite."""
    w, r = finite("costs: weights", weights, ndim=2), finite("costs: asset_returns", asset_returns, ndim=2)
    if w.shape != r.shape:
        raise DataError(
            f"costs: weights of shape {w.shape} for returns of shape {r.shape}; give both (t, assets), "
            "row t of the weights held while row t of the returns was earned"
        )
    return w, r


def trades(weights: Float, asset_returns: Float, initial: ArrayLike | None = None) -> Float:
    """(t, assets) absolute value traded into each row of weights, as a share of the portfolio's value then."""
    start = np.zeros(weights.shape[1]) if initial is None else finite("costs: initial", initial)
    if start.shape != weights.shape[1:]:
        raise DataError(f"costs: initial has {len(start)} weights for {weights.shape[1]} assets; give one an asset")
    before = np.concatenate([start[None], drifted(weights, asset_returns)[:-1]])
    return np.asarray(np.abs(weights - before))


def drifted(weights: Float, asset_returns: Float) -> Float:
    """(..., assets) weights at the end of a period that began with `weights`, when nothing is traded."""
    if asset_returns.min(initial=0.0) < -1:
        raise DataError(f"costs: an asset returns {asset_returns.min():g}, less than -1; give simple returns, not log returns or percentages")
    growth = 1 + (weights * asset_returns).sum(axis=-1, keepdims=True)
    if growth.min(initial=1.0) <= 0:
        raise DataError(f"costs: the portfolio loses everything, it returns {growth.min() - 1:g} in row {int(growth.argmin())}; lower its leverage")
    return np.asarray(weights * (1 + asset_returns) / growth)


def _spread(model: CostModel, given: ArrayLike | None, shape: tuple[int, ...]) -> Float | float:
    if model.half_spread_bp is not None and given is None:
        return model.half_spread_bp
    if model.half_spread_bp is not None:
        raise DataError(
            f"costs {model.version}: half_spread_bp is {model.half_spread_bp:g} in the model and given an asset as well; "
            "set the model's to None, or leave out the array"
        )
    return _an_asset(model, "half_spread_bp", given, shape)


def _impact(model: CostModel, traded: Float, volatility: ArrayLike | None, adv: ArrayLike | None) -> Float | float:
    """(t, assets) cost of impact as a share of the value traded."""
    if model.impact == 0 or model.capital is None:
        return 0.0
    day = _an_asset(model, "adv", adv, traded.shape)
    if day.min() <= 0:
        raise DataError(f"costs {model.version}: adv is {day.min():g}; give an average over days of which some have volume, or leave out the asset")
    participation = traded * model.capital / day
    if (worst := float(participation.max())) > model.participation_limit:
        row, asset = np.unravel_index(int(participation.argmax()), participation.shape)
        raise DataError(
            f"costs {model.version}: row {row} trades {worst:.3g} of an average day of asset {asset}, the limit is {model.participation_limit:g}; "
            f"lower capital below {model.capital * model.participation_limit / worst:.3g}, trade over several rows, or leave out the asset"
        )
    return np.asarray(model.impact * _an_asset(model, "volatility", volatility, traded.shape) * np.sqrt(participation))


def _an_asset(model: CostModel, name: str, given: ArrayLike | None, shape: tuple[int, ...]) -> Float:
    """(t, assets) of a required input that is none below 0."""
    if given is None:
        raise DataError(f"costs {model.version}: {name} is needed and not given; pass (assets,) or (t, assets), known before each row was traded")
    values = np.asarray(given, np.float64)
    finite(f"costs: {name}", values, ndim=max(values.ndim, 1))
    if values.shape not in {shape, shape[1:]}:
        raise DataError(f"costs {model.version}: {name} has shape {values.shape}; pass {shape[1:]} or {shape}")
    if values.min() < 0:
        raise DataError(f"costs {model.version}: {name} is {values.min():g}; it cannot lie below 0")
    return np.broadcast_to(values, shape)
