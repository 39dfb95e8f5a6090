"""Portfolio allocation: long-only weights, rebalanced weekly, judged after costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, Explainable, Gate, LeakAlarm, SeedGuard, Task, WalkForward

from ._portfolio import FEATURES, WEEK, AssetWeight, PortfolioRequest, PortfolioResponse, decided, features_of, history_of, raw_rows, return_ahead, weeks, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Prediction
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
    request = PortfolioRequest
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
        history = batch.history  # type: ignore[attr-defined]  # states and weeks alike
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

    def decide(self, batch: Batch, predict: Callable[[Batch], Prediction]) -> Prediction:
        """What a policy did, or what came of the weights that a convex program makes of forecasts."""
        from finml_models.environments.portfolio import PortfolioMarket

        weeks_of = self.scored(batch)
        if weeks_of is batch or not isinstance(weeks_of, PortfolioMarket):
            return predict(batch)
        from ._optimiser import play

        return play(weeks_of, predict)

    def answered(self, batch: Batch) -> Mapping[str, np.datetime64]:
        """The assets that are among those to choose from in the newest state."""
        if batch.kind is Kind.WINDOWS:
            return super().answered(batch)
        states: PortfolioStates = batch  # type: ignore[assignment]  # what the view holds without y
        return {name: states.time[-1] for name, member in zip(states.history.assets, states.members[-1], strict=True) if member} if len(states) else {}

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data, each asset with a whole history up to one session."""
        return raw_rows(request, history=self.history)

    def respond(
        self, batch: Batch, prediction: Prediction, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> PortfolioResponse:
        """Weights by asset from the next close on, and what moving there costs."""
        import numpy as np

        del explain

        from finml_models.core.predictions import Actions
        from finml_models.environments.portfolio import weights_of

        history = batch.history  # type: ignore[attr-defined]  # windows and states alike
        row = np.array([batch.row[0] if isinstance(prediction, Actions) else batch.end[0]])  # type: ignore[attr-defined]
        held, members = history.weights_held(row)[0], history.members(row)
        if isinstance(prediction, Actions):
            weights = weights_of(prediction.values[:1], members)[0]
        else:
            weights = self._optimal(batch, prediction, row, held)
        traded = float(np.abs(weights - held).sum())
        return PortfolioResponse(
            version=version,
            as_of=history.times[row[0]].astype("datetime64[D]").item(),
            weights=tuple(
                AssetWeight(entity=name, weight=float(weight), held=float(before))
                for name, weight, before, member in zip(history.assets, np.clip(weights, 0, 1), np.clip(held, 0, 1), members[0], strict=True)
                if member
            ),
            traded=min(traded, 2.0),
            expected_cost_bp=traded * self.rules().rate * 1e4,
            warnings=warnings,
        )

    def _optimal(self, batch: Batch, forecast: Prediction, row: NDArray[np.int64], held: NDArray[np.float64]) -> NDArray[np.float64]:
        """(a,) the weights that the forecasts of one date's windows lead to."""
        import numpy as np

        from ._optimiser import correlations, moments, optimal

        windows: PortfolioWindows = batch  # type: ignore[assignment]  # what the view holds
        history = windows.history
        mean, spread = np.zeros((1, len(history.assets))), np.zeros((1, len(history.assets)))
        mean[0, windows.series], spread[0, windows.series] = moments(history, windows.end, windows.series, forecast)
        found = optimal(mean, spread, correlations(history, row), held=held[None], members=history.members(row), rules=self.rules())
        return np.asarray(found[0])
