"""Portfolio allocation: long-only weights, rebalanced weekly, judged after costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, Explainable, Gate, LeakAlarm, SeedGuard, Task, WalkForward

from ._portfolio import (
    FEATURES,
    SURVIVORS,
    WEEK,
    PortfolioRequest,
    PortfolioResponse,
    answer_of,
    decided,
    features_of,
    history_of,
    raw_rows,
    return_ahead,
    weeks,
    windows,
)

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Actions, Forecast, Prediction
    from finml_models.environments.portfolio import PortfolioMarket, PortfolioStates, PortfolioWindows, Rules


class PortfolioAllocation(Task):
    """Trailing features of 3 to 100 assets to long-only weights.

    A row of the `market` is a week as `finml_models.environments.portfolio` plays it, and its sessions are what is scored. A row of
    the `windows` is an asset in such a week: its return is forecast, and a convex program makes weights of the forecasts, which are
    played in the same weeks. In a request, which has no weeks, the `market` view holds states: every date at which there is a choice.
    """

    name = "Portfolio allocation"
    description = (
        "Trailing features of the assets, 10 to 100 of them, and the weights held in; long-only weights, rebalanced weekly at 10 basis points "
        "of the value traded, out. Decided at one close and filled at the next. Scored by the certainty equivalent net of costs, with the "
        "Sharpe ratio deflated by the real number of trials, and reported at none, one, two and five times the costs. Equal weight is hard "
        "to beat out of sample."
    )
    dataset = "market"
    objective = Objective.CONTROL
    kinds = (Kind.MARKET, Kind.WINDOWS)
    cross_section = True
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    # The returns of `environments.portfolio.WINDOW`, and the close before the first one.
    history = 121
    split = WalkForward(folds=3)
    costs: ClassVar[Mapping[str, float]] = {"fee_bp": 5.0, "half_spread_bp": 5.0}
    metrics = ("certainty_equivalent", "sharpe", "sharpe_difference", "traded_share", "drawdown")
    baselines = ("equal_weight", "minimum_variance", "hierarchical_risk_parity", "risk_parity", "mean_variance")
    gate = Gate(
        version="portfolio_allocation/2",
        naive=("equal_weight",),
        margin=0.02,
        coverage=None,
        # A year's certainty equivalent is near 0 or below it as often as not, and no share of it means anything.
        worst_slice=None,
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        leak_alarm=LeakAlarm(net_sharpe=3.0),
    )
    notes = (SURVIVORS,)
    request = PortfolioRequest
    unscored = "an answer is one weight vector, and its worth depends on what was held before it; judge the whole path in the backtest"
    response = PortfolioResponse
    include: ClassVar[Mapping[str, str]] = {"tft": "its return quantiles feed a convex optimiser, so that a forecast competes with learned policies"}
    exclude: ClassVar[Mapping[str, str]] = {
        "sac": "weights on a simplex are no box: renormalising squashed actions breaks the entropy that its temperature tunes"
    }

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """All assets that have the newest date: a portfolio is of all of them."""
        del entities
        last = raw.groupby("entity")["time"].transform("max")
        return raw[last == last.max()].groupby("entity").tail(self.history)

    def features(self, raw: DataFrame) -> DataFrame:
        """Returns over a day, a week, a month and a quarter in units of the month's volatility, that volatility, and what episodes are built from."""
        return features_of(raw)

    def target(self, raw: DataFrame) -> DataFrame:
        """The return over the week that a decision earns, in units of the month's volatility."""
        return return_ahead(raw)

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """With `y` the `market` or the `windows` of the weeks that are over; without, the states or windows of all dates."""
        return {Kind.MARKET: self.market, Kind.WINDOWS: self.windows}[kind](x, y)

    def market(self, x: DataFrame, y: DataFrame | None = None) -> PortfolioMarket | PortfolioStates:
        """Weeks under the task's costs, or states."""
        from finml_models.environments.portfolio import PortfolioStates

        history = history_of(x)
        return PortfolioStates.of(history, decided(history)) if y is None else weeks(history).under(self.rules())

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> PortfolioWindows:
        """The last quarter of each asset's features."""
        return windows(history_of(x), x, y, self.rules())

    def rules(self) -> Rules:
        """The task's costs as the environment charges them."""
        from finml_models.environments.portfolio import Rules

        return Rules(**self.costs)

    def signature(self, batch: Batch) -> Signature:
        """Of windows a forecast of one asset; of a market or states a weight an asset, by name."""
        if batch.kind is Kind.WINDOWS:
            return Signature(
                kind=Kind.WINDOWS,
                objective=Objective.FORECAST,
                feature_names=FEATURES,
                horizons=(WEEK,),
                levels=self.levels,
                length=getattr(batch, "length", 0),
            )
        from finml_models.environments.portfolio import PortfolioMarket, PortfolioStates

        if not isinstance(batch, PortfolioMarket | PortfolioStates):
            raise TypeError(f"batch: expected weeks or states of portfolios, got {type(batch).__name__}")
        history = batch.history
        return Signature(kind=Kind.MARKET, objective=self.objective, feature_names=history.observed, actions=history.assets)

    def scored(self, batch: Batch) -> Batch:
        """The weeks: those in which a row of the windows is decided."""
        from finml_models.environments.portfolio import PortfolioWindows

        if not isinstance(batch, PortfolioWindows):
            return batch
        import numpy as np

        if batch.market is None:
            raise ValueError("windows: they were built without y, so there are no weeks to be scored on")
        return batch.market.take(np.flatnonzero(np.isin(batch.market.row, batch.end)))

    def decide(self, batch: Batch, predict: Callable[[Batch], Any]) -> Prediction:
        """What a policy did, or what came of the weights that a convex program makes of forecasts."""
        from finml_models.environments.portfolio import PortfolioMarket

        weeks_of = self.scored(batch)
        if weeks_of is batch or not isinstance(weeks_of, PortfolioMarket):
            return predict(batch)
        from ._optimiser import play

        return play(weeks_of, predict)

    def answered(self, batch: Batch) -> Mapping[str, np.datetime64]:
        """The assets that are among those to choose from in the newest state."""
        from finml_models.environments.portfolio import PortfolioStates

        if not isinstance(batch, PortfolioStates):
            return super().answered(batch)
        return {name: batch.time[-1] for name, member in zip(batch.history.assets, batch.members[-1], strict=True) if member} if len(batch) else {}

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data, each asset with a whole history up to one session."""
        return raw_rows(request, history=self.history)

    def respond(
        self, batch: Batch, prediction: Actions | Forecast, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> PortfolioResponse:
        """Weights by asset from the next close on, and what moving there costs."""
        import numpy as np

        from finml_models.environments.portfolio import PortfolioStates, PortfolioWindows, weights_of

        del explain

        if isinstance(batch, PortfolioStates):
            history, row = batch.history, batch.row[:1]
            weights = weights_of(np.stack(list(prediction.columns().values()), axis=1)[:1], batch.members[:1])[0]
        elif isinstance(batch, PortfolioWindows):
            from ._optimiser import weights_now

            history, row = batch.history, batch.end[:1]
            weights = weights_now(batch, prediction, self.rules())
        else:
            raise TypeError(f"batch: expected states or windows of portfolios, got {type(batch).__name__}")
        return answer_of(history, int(row[0]), weights, rate=self.rules().rate, version=version, warnings=warnings)
