"""Trading execution: how much of an order to trade now."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class TradingExecution(Task):
    """The state of an order and its market to a participation rate."""

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
    metrics = ("implementation_shortfall_bp", "cvar_95", "completion")
    baselines = ("all_at_once", "twap", "vwap", "pov", "almgren_chriss")
    gate = Gate(version="trading_execution/1", naive=("all_at_once",), margin=0.05, coverage=None)
