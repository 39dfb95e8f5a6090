"""Trading execution: how much of an order to trade now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, Explainable, Gate, LeakAlarm, SeedGuard, Task, WalkForward, WorstSliceGuard

from ._orders import FEATURES, ExecutionRequest, ExecutionResponse, OrderDecision, episodes, features_of, request_frame, states, whole_orders

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Actions
    from finml_models.environments.execution import ExecutionMarket, OrderStates


class TradingExecution(Task):
    """The state of an order and its market to a participation rate.

    An episode is an order from arrival to end, played against the market as it was recorded; the rules of impact are those of
    `finml_models.environments.execution`. With targets the view holds episodes, to learn and be scored on. Without, as in a
    request, it holds states: every row at which something is left to decide, with what was left when the row was recorded.
    """

    name = "Trading execution"
    description = (
        "Remaining quantity and time, spread, imbalance, volatility and recent volume in; the participation rate of the next interval, "
        "between nothing and a cap, out. Scored by implementation shortfall in basis points against the arrival price, on the same "
        "orders for all. Where Almgren-Chriss is optimal a policy comes near it and cannot beat it: beating it there is a fault of the "
        "simulator."
    )
    dataset = "orders"
    objective = Objective.CONTROL
    kinds = (Kind.MARKET,)
    split = WalkForward(folds=3)
    metrics = ("implementation_shortfall_bp", "cvar_95", "completion")
    baselines = ("all_at_once", "twap", "vwap", "pov", "almgren_chriss")
    gate = Gate(
        version="trading_execution/2",
        naive=("all_at_once",),
        margin=0.05,
        coverage=None,
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        # Half of an expert's cost cannot be saved by timing: a policy that seems to knows the future.
        leak_alarm=LeakAlarm(improvement=0.5),
    )
    request = ExecutionRequest
    unscored = "an answer is one step of an order, and what it cost depends on the steps that followed; judge whole orders in the backtest"
    response = ExecutionResponse

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """The newest orders half way through their time: at its end nothing is left to decide."""
        half = raw[raw["interval"] == raw["intervals"] // 2]
        return half.sort_values(["time", "entity"]).tail(entities)

    def features(self, raw: DataFrame) -> DataFrame:
        """What is known at each moment: the order's state, its market's, and the recorded columns that an episode is built from."""
        return features_of(raw)

    def target(self, raw: DataFrame) -> DataFrame:
        """The arrival price, against which an order is judged once it is done: `until` is its end, for all of its rows."""
        import numpy as np

        first, rows, whole = whole_orders(raw)
        time = raw["time"].to_numpy()
        frame = raw[["entity", "time"]].reset_index(drop=True)
        frame["until"] = np.repeat(np.where(whole, time[first + rows - 1], np.datetime64("NaT", "us")), rows)
        frame["arrival_price"] = raw["arrival"].to_numpy(np.float64)
        frame.loc[frame["until"].isna(), "arrival_price"] = np.nan
        return frame

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """With `y` the `market` of the orders that are done; without, the states of all orders as a table."""
        if kind is not Kind.MARKET:
            raise ValueError(f"kind: trading execution has no view {kind.value!r}; use 'market'")
        return states(x) if y is None else self.market(x, y)

    def market(self, x: DataFrame, y: DataFrame) -> ExecutionMarket:
        """The orders that are done, as episodes under the default rules of impact."""
        from finml_models.environments.execution import Rules

        return episodes(x, y, Rules())

    def signature(self, batch: Batch) -> Signature:  # noqa: ARG002 - one signature for states and episodes
        """Names of the observations, and the one action: a participation as `environments.execution` spells it."""
        return Signature(kind=Kind.MARKET, objective=self.objective, feature_names=FEATURES, actions=("participation",))

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request as recorded orders; their price holds the order's own impact, as the policies' observations do."""
        return request_frame(request)

    def respond(
        self, batch: OrderStates, prediction: Actions, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> ExecutionResponse:
        """Participation and shares of the next interval, an order."""
        import numpy as np

        del explain

        from finml_models.environments.execution import Rules, slice_of

        cap = Rules().cap
        state = {name: batch.inputs[:, i].astype(np.float64) for i, name in enumerate(FEATURES)}
        final = state["intervals_left"] <= 1
        ceiling = cap * batch.expected_volume / batch.quantity
        part = slice_of(prediction.columns()["participation"].astype(np.float64), state["remaining"], state["volume_share"], ceiling, final)
        # Whole shares, but for the fraction that an order itself may have.
        left = np.round(batch.left, 6)
        shares = np.where(final, left, np.minimum(np.round(part * batch.quantity), left))
        orders = tuple(
            OrderDecision(
                entity=str(batch.entity[i]),
                as_of=batch.time[i].astype("datetime64[us]").item(),
                participation=float(shares[i] / batch.expected_volume[i]),
                shares=float(shares[i]),
                remaining_after=float(left[i] - shares[i]),
                pace=float(state["pace"][i]),
                final=bool(final[i]),
            )
            for i in range(len(batch))
        )
        return ExecutionResponse(version=version, cap=cap, orders=orders, warnings=warnings)
