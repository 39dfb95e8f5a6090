"""When a score is an alarm: one rule for networks and baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def alarm_threshold(scores: NDArray[np.floating[Any]], rate: float) -> np.float32:
    """The least score of some known rows (n,) that a share `rate` of them, at most, exceeds: their quantile of order 1 - rate.

    Nobody says which rows are ordinary, so all of them are taken for that. Anomalies among them raise the threshold, and
    with it lower the number of false alarms: it falls short of `rate` by their share at most.
    """
    # The next score, not a point between two: a threshold in float32 must not fall below the score that it stands for.
    return np.float32(np.quantile(np.asarray(scores, np.float32), 1 - rate, method="higher"))
