"""Price forecasting: the distribution of the log return over the next 1, 5 and 20 sessions, never the level."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class PriceForecasting(Task):
    """Daily bars to the distribution of the coming log return."""

    name = "Price forecasting"
    description = (
        "Daily bars, the market's return, the calendar and static features of the asset in; the distribution of the log return over the "
        "next 1, 5 and 20 sessions out, never the level. Scored by the pinball loss over the quantiles. A point forecast of returns is "
        "expected to lose to zero; what can be forecast is the width. R² is on returns, against zero."
    )
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.WINDOWS, Kind.TABLE)
    horizons = (1, 5, 20)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    history = 120
    metrics = ("pinball", "crps", "rank_ic", "oos_r2", "coverage", "net_information_ratio", "break_even_cost")
    baselines = ("random_walk", "ewma_random_walk", "garch_quantiles", "ridge", "boosted_trees")
    gate = Gate(version="price_forecasting/1", naive=("random_walk",), margin=0.01)
