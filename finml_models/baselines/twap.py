"""TWAP: equal slices by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._schedules import Schedule, ScheduleHyperparameters, card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CARD = card(
    "TWAP",
    "Time-weighted: an equal part of what is left in each interval that is left, whatever the volume.",
    strengths=("the optimum of Almgren and Chriss without risk aversion, where volume is constant", "needs nothing but a clock"),
    weaknesses=("pays too much in thin intervals", "bears the price's risk to the end"),
    best_for="short orders in markets of even volume",
)


class TWAP(Schedule[ScheduleHyperparameters]):
    """1 / intervals left of what is left."""

    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return 1 / state["intervals_left"].clip(min=1)
