"""Conformalised quantile regression: intervals are moved until they hold on the validation rows what they promise.

A network that was stopped early is sharper on what it learned from than on what comes after. The validation rows came after, so
what its intervals miss there is measured and given back. No guarantee follows, for markets are not exchangeable over time;
the gate's coverage guard still judges rows that nobody has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def offsets(quantiles: NDArray[np.float32], target: NDArray[np.float32], levels: Sequence[float]) -> NDArray[np.float32]:
    """What has to be added to each predicted quantile, (horizons, levels), from rows that were not learned from.

    Shapes: quantiles (n, horizons, levels), target (n, horizons). For each pair of levels α/2 and 1 - α/2 the score of a row is
    max(low - y, y - high), and its empirical quantile of order (1 - α)(1 + 1/n) moves both ends outwards, or inwards where it is
    negative (Romano, Patterson and Candès, Conformalized quantile regression, NeurIPS 2019, algorithm 1). A level without
    a mirror image, such as the median, stays where it is.
    """
    moved = np.zeros(quantiles.shape[1:], np.float32)
    for low, level in enumerate(levels):
        high = next((i for i in range(low + 1, len(levels)) if abs(level + levels[i] - 1) < 1e-9), None)
        if high is None:
            continue
        score = np.maximum(quantiles[:, :, low] - target, target - quantiles[:, :, high])
        order = min(1.0, (levels[high] - level) * (1 + 1 / len(score)))
        width = np.quantile(score, order, axis=0, method="higher")
        moved[:, low], moved[:, high] = -width, width
    return moved


def moved(quantiles: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantiles (n, horizons, levels) moved by `by` (horizons, levels) and put in order again.

    Sorting what crossed never worsens a quantile's expected loss (Chernozhukov, Fernández-Val and Galichon, Econometrica 78(3), 2010).
    """
    return np.sort(quantiles + by, axis=-1)
