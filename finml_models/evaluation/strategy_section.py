"""The figures of a strategy as they stand in a report: at several multiples of its costs, and beside a reference."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from finml_models.core.spec import Frozen

from .costs import CostModel

MULTIPLES = (0.0, 1.0, 2.0, 5.0)
"""Costs that every result is shown at: none, those of the model, and errors of a factor 2 and 5 in them."""

RISK_AVERSION = 3.0


class Limits(Frozen):
    """What weights may be right after a trade; what they drift to afterwards is free."""

    gross: float = Field(1.0, gt=0, le=20, description="largest sum of absolute weights")
    long_only: bool = True


class Tried(Frozen):
    """Everything that was tried before this result, itself included: what the deflated Sharpe ratio pays for."""

    count: int = Field(ge=1, description="different configurations, of all models of the task")
    variance: float | None = Field(None, gt=0, description="between their Sharpe ratios a period; None: that of worthless ones, 1 / (dates - 1)")


class AtCost(Frozen):
    """Figures net of `multiple` times the costs. Annual, except for the drawdown."""

    multiple: float = Field(ge=0)
    mean: float
    volatility: float = Field(ge=0)
    sharpe: float
    certainty_equivalent: float = Field(description=f"mean - γ/2 variance, γ = {RISK_AVERSION:g}")
    drawdown: float = Field(ge=0, le=1, description="largest loss from a peak, as a share of it")


class CostSplit(Frozen):
    """What each component costs a year, as a share of the portfolio's value."""

    fee: float = Field(ge=0)
    spread: float = Field(ge=0)
    impact: float = Field(ge=0)
    borrow: float = Field(ge=0)

    @property
    def total(self) -> float:
        """All of them."""
        return self.fee + self.spread + self.impact + self.borrow


class BreakEven(Frozen):
    """Costs that leave nothing of the gross return; below 0 where it is negative before any costs."""

    multiple: float = Field(description="times the costs of the model, all components alike")
    bp: float = Field(description="hundredths of a percent of the value traded, in place of all costs")


class Difference(Frozen):
    """A figure of the strategy minus that of the reference; the lower end of the interval is the one-sided bound at `p` = (1 - level) / 2."""

    value: float
    low: float
    high: float
    p: float = Field(ge=0, le=1, description="one-sided: the strategy is better")


class VersusAtCost(Frozen):
    """Annual differences to the reference, both net of `multiple` times their costs."""

    multiple: float = Field(ge=0)
    mean: Difference
    sharpe: Difference
    certainty_equivalent: Difference
    information_ratio: float = Field(description="mean of the difference in units of its volatility, a year")


class Versus(Frozen):
    """The strategy beside another over the same dates at the same costs."""

    reference: str
    level: float = Field(gt=0, lt=1)
    at: tuple[VersusAtCost, ...]

    @model_validator(mode="after")
    def _at_every_multiple(self) -> Self:
        _check_multiples(self.at)
        return self


class StrategySection(Frozen):
    """All figures of a strategy, made by `strategy.section` from a result that was counted and has paid."""

    name: str = Field(min_length=1)
    trial: str = Field(min_length=1, description="under which it was counted")
    costs: CostModel
    limits: Limits
    first: str = Field(description="ISO date of the first fill")
    last: str = Field(description="ISO date of the last return")
    dates: int = Field(ge=1)
    assets: int = Field(ge=1)
    periods: int = Field(gt=0, description="dates a year")
    at: tuple[AtCost, ...]
    turnover: float = Field(ge=0, description="mean share of the value bought and sold on a date, the first purchase left out")
    split: CostSplit
    break_even: BreakEven
    versus: Versus | None = None
    tried: Tried
    probabilistic_sharpe: float = Field(ge=0, le=1, description="probability that the true net Sharpe ratio exceeds 0")
    deflated_sharpe: float = Field(ge=0, le=1, description="probability that it exceeds what the best of as many worthless trials would show")
    deflated_benchmark: float = Field(ge=0, description="that Sharpe ratio, annual")
    minimum_track_record: float | None = Field(description="dates after which the net Sharpe ratio would exceed 0 with 95 %; None where it does not")

    @model_validator(mode="after")
    def _net_of_its_costs(self) -> Self:
        _check_multiples(self.at)
        total, gross = self.split.total, self.at[0].mean
        if self.split.fee + self.split.spread + self.split.impact <= 0:
            raise ValueError(f"strategy {self.name}: its trades cost nothing; a result without costs is none")
        for figures in self.at:
            if abs(gross - figures.multiple * total - figures.mean) > 1e-9 * max(1.0, abs(gross), figures.multiple * total):
                raise ValueError(f"strategy {self.name}: the mean at {figures.multiple:g} × costs is {figures.mean:g}, not {gross:g} less the costs")
        return self

    def net(self, multiple: float = 1.0) -> AtCost:
        """The figures at a multiple of the costs; raises `KeyError` for one that is not shown."""
        found = [figures for figures in self.at if figures.multiple == multiple]
        if not found:
            raise KeyError(multiple)
        return found[0]


def _check_multiples(at: tuple[AtCost, ...] | tuple[VersusAtCost, ...]) -> None:
    if (multiples := tuple(figures.multiple for figures in at)) != MULTIPLES:
        raise ValueError(f"strategy: figures at {multiples} times the costs; give them at {MULTIPLES}")
