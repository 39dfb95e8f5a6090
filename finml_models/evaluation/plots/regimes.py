"""Plots of regimes: their probabilities over time above the returns that came, and whether the density held what it promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.evaluation.metrics import inputs

from .figure import FORECAST, GRID, INK, REALISED, SMALL, WORSE, Plot, figure, figures, rounded

if TYPE_CHECKING:
    from pandas import DataFrame

BINS = 10
MOST_DATES = 1_500
"""Dates of a picture: more than that are narrower than its pixels, and its file would be theirs."""


def over_time(own: DataFrame) -> Plot:
    """Filtered probabilities, calmest regime at the bottom, and each day's return inside the 95 % band of the mixture's deviation."""
    from matplotlib.colors import LinearSegmentedColormap

    shown = own.sort_values("time").iloc[:: -(-len(own) // MOST_DATES)]
    given = inputs(shown)
    p, mean, std = given["probabilities"], given["means"], given["deviations"]
    expected = (p * mean).sum(axis=1)
    spread = np.sqrt((p * (std**2 + mean**2)).sum(axis=1) - expected**2)
    time, colours = shown["time"].to_numpy(), LinearSegmentedColormap.from_list("regimes", [FORECAST, GRID, WORSE])(np.linspace(0, 1, p.shape[1]))
    with figures(2, 10.4, 4.6) as ((above, below), text):
        above.stackplot(time, p.T, colors=colours, alpha=0.6, linewidth=0)
        above.set(ylim=(0, 1), ylabel="probability")
        below.fill_between(time, expected - 1.96 * spread, expected + 1.96 * spread, color=INK, alpha=0.22, linewidth=0)
        below.plot(time, given["target"], ".", markersize=2, color=REALISED)
        below.set_ylabel("next return")
        for axes in (above, below):
            axes.margins(x=0.01)
        for boundary in own.groupby("fold")["time"].min().to_numpy()[1:]:
            above.axvline(boundary, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    caption = (
        f"Above, the probability of each of up to {p.shape[1]} regimes given the past alone, calmest at the bottom in blue, most turbulent on top "
        "in red; dashed lines are refits, after which a regime keeps its place by its volatility. Below, the next return and the band of 1.96 "
        "predicted deviations."
    )
    return Plot("regimes", "Filtered probabilities over time", caption, rounded(text.getvalue()))


def pit(own: DataFrame) -> Plot:
    """Where the returns fell in the predicted mixture."""
    from scipy.special import ndtr

    given = inputs(own)
    z = (given["target"][:, None] - given["means"]) / given["deviations"]
    share = (given["probabilities"] * ndtr(z)).sum(axis=1)
    heights, edges = np.histogram(share, bins=BINS, range=(0, 1))
    with figure(*SMALL) as (axes, text):
        axes.axhline(1, color=GRID, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.stairs(heights / len(share) * BINS, edges, color=FORECAST, linewidth=1.3)
        axes.set(xlim=(0, 1), ylim=(0, None), xlabel="predicted probability of a lower return", ylabel="density of returns")
    caption = (
        "PIT: where the returns fell in the predicted density, 1 everywhere when it is right. A hill: too wide; high ends: tails too thin; a slope: shifted."
    )
    return Plot("pit", "Where the returns fell", caption, rounded(text.getvalue()))
