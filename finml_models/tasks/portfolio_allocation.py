"""Portfolio allocation: long-only weights, judged after costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class PortfolioAllocation(Task):
    """Trailing features of 10 to 100 assets to long-only weights."""

    name = "Portfolio allocation"
    description = (
        "Trailing features of 10 to 100 assets in; long-only weights, rebalanced daily or weekly at 5 to 20 basis points, out. Scored by "
        "the certainty equivalent net of costs, with the Sharpe ratio deflated by the real number of trials, and reported at none, one, "
        "two and five times the costs. Equal weight is hard to beat out of sample."
    )
    dataset = "market"
    objective = Objective.CONTROL
    kinds = (Kind.MARKET, Kind.WINDOWS)
    horizons = (1, 5)
    history = 120
    metrics = ("certainty_equivalent", "sharpe_difference", "deflated_sharpe", "turnover", "drawdown")
    baselines = ("equal_weight", "minimum_variance", "hierarchical_risk_parity", "risk_parity", "mean_variance")
    gate = Gate(version="portfolio_allocation/1", naive=("equal_weight",), margin=0.02, coverage=None)
    include: ClassVar[Mapping[str, str]] = {"tft": "its return quantiles feed a convex optimiser, so that a forecast competes with learned policies"}
    exclude: ClassVar[Mapping[str, str]] = {
        "sac": "weights on a simplex are no box: renormalising squashed actions breaks the entropy that its temperature tunes"
    }
