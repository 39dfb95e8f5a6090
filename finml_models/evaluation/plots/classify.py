"""Plots of class probabilities: do they hold what they promise, and do they tell the classes apart?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.evaluation.metrics import inputs

from .figure import FORECAST, GRID, REALISED, SMALL, WORSE, Plot, figure, rounded

if TYPE_CHECKING:
    from pandas import DataFrame

GROUPS = 10
COLOURS = (REALISED, WORSE, FORECAST)


def reliability(own: DataFrame) -> Plot:
    """Frequency against probability in groups of equal size, with Wilson's 95 % intervals."""
    given = inputs(own)
    target, probabilities = given["target"], given["probabilities"]
    two = probabilities.shape[1] == 2
    said = probabilities[:, 1] if two else probabilities.max(axis=1)
    true = (target == 1) if two else (target == given["predicted"])
    groups = np.array_split(np.argsort(said, kind="stable"), min(GROUPS, max(1, len(said) // 20)))
    mean, share, n = (np.array(column, float) for column in zip(*((said[g].mean(), true[g].mean(), len(g)) for g in groups), strict=True))
    z = 1.959964
    middle, half = (share + z * z / (2 * n)) / (1 + z * z / n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    top = max(1e-3, float(max(mean.max(), (middle + half).max()))) * 1.05
    low = 0.0 if two else min(float(mean.min()), float((middle - half).min())) * 0.95
    with figure(*SMALL) as (axes, text):
        axes.plot([low, top], [low, top], color=GRID, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.vlines(mean, middle - half, middle + half, color=FORECAST, linewidth=1.0)
        axes.plot(mean, share, "o-", color=FORECAST, markersize=4)
        axes.set(xlim=(low, top), ylim=(low, top), xlabel="predicted probability" if two else "confidence in the class named", ylabel="observed frequency")
        axes.set_aspect("equal")
    caption = f"{len(groups)} groups of equal size with 95% intervals. On the dashed line a probability of 10% comes true once in ten; above it, more often."
    return Plot("calibration", "Reliability", caption, rounded(text.getvalue()))


def separation(own: DataFrame) -> Plot:
    """How the probabilities of each class's rows are spread."""
    given = inputs(own)
    target, probabilities = given["target"], given["probabilities"]
    two = probabilities.shape[1] == 2
    with figure(*SMALL) as (axes, text):
        for number in range(probabilities.shape[1]):
            shown = probabilities[target == number, 1 if two else number]
            if len(shown):
                axes.plot(np.sort(shown), np.linspace(0, 1, len(shown)), color=COLOURS[number % 3], linewidth=1.5, label=f"class {number}")
        axes.set(ylim=(0, 1), xlabel="probability of class 1" if two else "probability of the row's own class", ylabel="share of rows below")
        axes.legend(loc="lower right")
    caption = (
        "The wider the curves lie apart, the better the classes are told apart." if two else "The farther to the right, the surer the model is of what is true."
    )
    return Plot("separation", "Separation of the classes", caption, rounded(text.getvalue()))
