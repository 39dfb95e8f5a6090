"""Orders: what their execution cost against the price at arrival, one row an order."""

from __future__ import annotations

import numpy as np

from finml_models.core.errors import DataError

from .registry import Float, Numbers, check_finite, row_loss, score_of_set


@row_loss(
    "Implementation shortfall",
    "What an order cost against trading all of it at the price on arrival, in hundredths of a percent, what was left unfilled included.",
    lower_is_better=True,
    unit="bp",
)
def implementation_shortfall_bp(side: Numbers, arrival: Numbers, average: Numbers, filled: Numbers, final: Numbers) -> Float:
    """side · (filled · (average - arrival) + (1 - filled) · (final - arrival)) / arrival × 10⁴.

    Perold, The implementation shortfall: paper versus reality, Journal of Portfolio Management 14(3), 1988. `side` is 1 for a
    purchase and -1 for a sale, `average` the mean price of what was filled (any number where nothing was), `filled` a share
    of the order, `final` the price at the end of its horizon. One a row: orders are compared in pairs.
    """
    check_finite(side, arrival, average, filled, final)
    side, arrival, share = np.asarray(side), np.asarray(arrival, np.float64), np.asarray(filled, np.float64)
    if broken := int(np.count_nonzero((np.abs(side) != 1) | (arrival <= 0) | (share < 0) | (share > 1))):
        raise DataError(f"implementation_shortfall_bp: {broken} orders have a side other than 1 or -1, a price of 0 or less, or a filled share outside 0 to 1")
    paid = share * (np.asarray(average, np.float64) - arrival) + (1 - share) * (np.asarray(final, np.float64) - arrival)
    return np.asarray(side * paid / arrival * 1e4, np.float64)


@score_of_set("CVaR 95 %", "Mean cost of the worst twentieth of the orders: what a bad day costs.", lower_is_better=True, unit="bp")
def cvar_95(shortfall: Numbers) -> float:
    """`cvar` of the costs of orders at 0.95 (Rockafellar and Uryasev 2002)."""
    return cvar(shortfall, 0.95)


def cvar(losses: Numbers, level: float) -> float:
    """Mean of the worst 1 - `level` of the losses (n,), the loss at the border in part.

    Rockafellar and Uryasev, Conditional value-at-risk for general loss distributions, Journal of Banking & Finance 26(7), 2002.
    """
    check_finite(losses)
    worst = np.sort(np.asarray(losses, np.float64))[::-1]
    size = (1 - level) * len(worst)
    weights = np.clip(size - np.arange(len(worst)), 0.0, 1.0)
    return float(weights @ worst / size)


@row_loss("Completion", "Share of the order that was filled; an order that must be done needs 1.", lower_is_better=False, unit="share")
def completion(filled: Numbers) -> Float:
    """The filled share of each order; what it lacks to 1 is the unfilled part that Perold 1988 prices as an opportunity cost."""
    check_finite(filled)
    return np.asarray(filled, np.float64)
