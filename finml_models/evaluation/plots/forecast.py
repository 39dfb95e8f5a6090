"""Plots of a forecast: forecast and outcome, calibration, and where the outcomes fell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.evaluation.document import Report
from finml_models.evaluation.metrics import quantile_levels
from finml_models.evaluation.statistics import bootstrap_means, by_date

from .figure import FORECAST, GRID, REALISED, SMALL, Plot, figure, plain, rounded

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 400
"""Dates of the forecast plot: more would be a solid bar."""


def outcome(report: Report, own: DataFrame) -> Plot:
    """The entity with the median loss stands for all: neither the best nor the worst of them."""
    slices = sorted((s for s in report.slices if s.by == "entity"), key=lambda s: s.value)
    entity = slices[len(slices) // 2].name
    horizon = int(own["horizon"].min())
    levels = quantile_levels(own)
    shown = own[(own["entity"].astype(str) == entity) & (own["horizon"] == horizon)].sort_values("time").tail(SHOWN)
    time = shown["time"].to_numpy()
    with figure() as (axes, text):
        low, high = (shown[f"q{level:g}"].to_numpy() for level in (levels[0], levels[-1]))
        axes.fill_between(time, low, high, color=FORECAST, alpha=0.16, linewidth=0, label=f"{levels[-1] - levels[0]:.0%} interval")
        axes.plot(time, shown["target"].to_numpy(), ".", color=REALISED, markersize=3.2, label="realised")
        axes.plot(time, shown["point"].to_numpy(), color=FORECAST, label="forecast")
        axes.set_ylabel("target")
        axes.margins(x=0.01)
        axes.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.12), borderaxespad=0)
    caption = (
        f"{plain(entity)}, {horizon} step{'s' if horizon > 1 else ''} ahead, the newest {len(shown)} scored dates: the entity whose loss is the median one."
    )
    return Plot("forecast", "Forecast and outcome", caption, rounded(text.getvalue()))


def calibration(own: DataFrame) -> Plot:
    """Observed share below each quantile against its level."""
    levels = quantile_levels(own)
    with figure(*SMALL) as (axes, text):
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=0.8, linestyle=(0, (4, 3)))
        horizons = np.unique(own["horizon"])
        for horizon, strength in zip(horizons, np.linspace(1, 0.4, len(horizons)), strict=True):
            rows = own[own["horizon"] == horizon]
            observed = [float((rows["target"] <= rows[f"q{level:g}"]).mean()) for level in levels]
            axes.plot(levels, observed, "o-", color=FORECAST, alpha=strength, markersize=4, label=f"{horizon} ahead")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal level of the quantile", ylabel="observed share below")
        axes.set_aspect("equal")
        axes.legend(loc="upper left")
    return Plot(
        "calibration",
        "Calibration",
        "On the dashed line the quantiles hold what they promise. Flatter than it: the intervals are too narrow; steeper: too wide.",
        rounded(text.getvalue()),
    )


def pit(own: DataFrame) -> Plot:
    """The intervals of the bars resample dates in blocks of twice the label's length, for labels overlap and entities move together."""
    levels = quantile_levels(own)
    edges = np.array([0.0, *levels, 1.0])
    with figure(*SMALL) as (axes, text):
        axes.axhline(1, color=GRID, linewidth=0.8, linestyle=(0, (4, 3)))
        horizons = np.unique(own["horizon"])
        for place, (horizon, strength) in enumerate(zip(horizons, np.linspace(1, 0.4, len(horizons)), strict=True)):
            rows = own[own["horizon"] == horizon]
            above = rows["target"].to_numpy()[:, None] > rows[[f"q{level:g}" for level in levels]].to_numpy()
            cell = np.eye(len(levels) + 1)[above.sum(axis=1)]
            daily = by_date(rows["time"].to_numpy(), cell)[1] / np.diff(edges)
            low, high = np.quantile(bootstrap_means(daily, block=2 * int(horizon), seed=0), [0.025, 0.975], axis=0)
            axes.stairs(daily.mean(axis=0), edges, color=FORECAST, alpha=strength, linewidth=1.3, label=f"{horizon} ahead")
            at = edges[:-1] + np.diff(edges) * (place + 1) / (len(horizons) + 1)
            axes.vlines(at, low, high, color=FORECAST, alpha=strength, linewidth=1.0)
        axes.set(xlim=(0, 1), ylim=(0, None), xticks=edges, xlabel="predicted probability of a lower outcome", ylabel="density of outcomes")
        axes.set_xticklabels([f"{edge:g}" for edge in edges], fontsize=8)
        axes.legend(loc="lower center", ncols=len(horizons), columnspacing=1.0)
    caption = (
        "PIT: where the outcomes fell among the predicted quantiles, 1 everywhere when the distribution is right. A valley: too wide; "
        "high ends: too narrow; a slope: shifted. Bars are 95% intervals by bootstrap of dates."
    )
    return Plot("pit", "Where the outcomes fell", caption, rounded(text.getvalue()))
