"""The strategy section of an allocation, from its out-of-sample sessions: each one's return before costs, and what was traded in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.errors import DataError

from .comparison import versus
from .costs import BP, CostModel, CostSeries
from .metrics.returns import YEAR
from .strategy import LONG_ONLY, figures_of
from .strategy_section import StrategySection, Tried

if TYPE_CHECKING:
    from pandas import DataFrame

    from .statistics.arrays import Float

LEVEL = 0.9
NEEDED = ("gross", "traded", "cost", "assets")


def strategy_of(
    frame: DataFrame, *, name: str, trial: str, costs: CostModel, tried: Tried, reference: tuple[str, DataFrame] | None = None, seed: int = 0
) -> StrategySection:
    """Figures at 0, 1, 2 and 5 times the costs of the first seed's predictions, and differences to those of a reference.

    The costs are those of the model, not the frame's word for them: a frame that says it paid another amount is refused, as is one
    that says nothing of its trades. Raises `DataError`.
    """
    own = _ordered(name, frame)
    gross, charged = _charged(name, own, costs)
    against = None
    if reference is not None and reference[0] != name:
        other = _ordered(reference[0], reference[1])
        if not np.array_equal(own["time"].to_numpy(), other["time"].to_numpy()):
            raise DataError(f"{name}: its sessions are not those of {reference[0]}; predict both on the same folds of the same data")
        theirs, paid = _charged(reference[0], other, costs)
        against = versus(
            lambda multiple: gross - multiple * charged.total, lambda multiple: theirs - multiple * paid.total, name=reference[0], level=LEVEL, seed=seed
        )
    times = own["time"].to_numpy("datetime64[us]")
    return figures_of(
        # The first return is of a session that begins at the close before it, when the first trade is filled.
        np.concatenate([times[:1], times]),
        gross,
        charged,
        turned=float(charged.traded[1:].mean()),
        assets=int(own["assets"].max()),
        costs=costs,
        limits=LONG_ONLY,
        tried=tried,
        periods=YEAR,
        name=name,
        trial=trial,
        against=against,
    )


def _ordered(name: str, frame: DataFrame) -> DataFrame:
    """The first seed's sessions, oldest first."""
    if missing := sorted(set(NEEDED) - set(frame.columns)):
        raise DataError(f"{name}: its predictions lack {', '.join(missing)}; a result without costs is none")
    first: DataFrame = frame[frame["seed"] == frame["seed"].min()]
    return first.sort_values("time", ignore_index=True)


def _charged(name: str, own: DataFrame, costs: CostModel) -> tuple[Float, CostSeries]:
    traded = own["traded"].to_numpy(np.float64)
    if costs.half_spread_bp is None or costs.impact or costs.borrow_rate:
        raise DataError(f"costs {costs.version}: sessions say how much was traded, not of which asset; give a fee and a half-spread alone")
    zero = np.zeros(len(traded))
    charged = CostSeries(traded=traded, fee=traded * costs.fee_bp * BP, spread=traded * costs.half_spread_bp * BP, impact=zero, borrow=zero)
    if traded.sum() <= 0 or not np.allclose(charged.total, own["cost"], rtol=1e-6, atol=1e-12):
        raise DataError(
            f"{name}: it says it paid {own['cost'].sum():.6g}, its trades cost {charged.total.sum():.6g} under {costs.version}; play it under these costs"
        )
    return own["gross"].to_numpy(np.float64), charged
