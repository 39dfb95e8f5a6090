"""POV: a share of the volume that is there, whatever the clock says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ._schedules import Schedule, ScheduleHyperparameters, card

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "POV",
    "Percentage of volume: the participation that would end on time if volume came as usual, in the volume that the market is trading now. "
    "What is left at the end goes then.",
    strengths=("trades where the market trades", "its impact stays even when volume surprises"),
    weaknesses=("the volume that just traded is a noisy forecast of the next", "follows volume that its own trades may have drawn"),
    best_for="orders without a fixed end, in markets whose volume surprises",
)


class POV(Schedule[ScheduleHyperparameters]):
    """The interval's part of the usual volume to come, times the last volume over its own usual one."""

    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return state["volume_share"] * np.exp(state["volume_surprise"])
