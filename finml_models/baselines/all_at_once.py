"""All at once: as much as the cap lets through, at once; what any schedule has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ._schedules import Schedule, ScheduleHyperparameters, card

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = card(
    "All at once",
    "Trades as much as the cap on participation lets through, from the first interval on, and is done as early as can be.",
    strengths=("bears the least price risk that is possible", "needs no forecast of volume"),
    weaknesses=("pays the most impact", "shows its hand to everybody"),
    best_for="the floor under every schedule, and orders that must be done now",
)


class AllAtOnce(Schedule[ScheduleHyperparameters]):
    """The share 1 of what is left, cut to the cap by the environment."""

    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.ones_like(state["remaining"])
