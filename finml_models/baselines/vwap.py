"""VWAP: slices by the usual volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._schedules import Schedule, ScheduleHyperparameters, card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CARD = card(
    "VWAP",
    "Volume-weighted: each interval gets the part of the order that it usually has of the volume, so that participation is even.",
    strengths=("least impact where volume comes as usual", "the benchmark that many orders are measured by"),
    weaknesses=("deaf to what volume, spread and volatility do today", "bears the price's risk to the end"),
    best_for="orders of some hours without urgency",
)


class VWAP(Schedule[ScheduleHyperparameters]):
    """The interval's part of the usual volume to come, of what is left."""

    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return state["volume_share"]
