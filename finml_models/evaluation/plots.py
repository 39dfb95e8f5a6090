"""The plots of a report as SVG: forecast against outcome, calibration, the race against the best baseline, learning.

Backgrounds are transparent and text is a mid grey, so that one picture reads on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from .document import Report
from .metrics import quantile_levels
from .scores import align
from .verdict import best

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

INK, GRID, FORECAST, REALISED, WORSE = "#7d8590", "#8b949e", "#3b82f6", "#a1a8b3", "#e0704f"
SHOWN = 400
"""Dates of the forecast plot: more would be a solid bar."""
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.hashsalt": "finml",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: `caption` says in a sentence what to look for."""

    id: str
    title: str
    caption: str
    svg: str


def draw(report: Report, predictions: Mapping[str, DataFrame]) -> tuple[Plot, ...]:
    """All plots of a report, from the frames that it was made of."""
    own = predictions[report.entry]
    own = own[own["seed"] == own["seed"].min()]
    plots = [_forecast(report, own), _calibration(own), _race(report, predictions)]
    if report.training.curve:
        plots.append(_learning(report))
    return tuple(plots)


@contextmanager
def _figure(width: float = 10.4, height: float = 3.2) -> Iterator[tuple[Axes, StringIO]]:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with mpl.rc_context(STYLE):
        figure: Figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure.subplots(), text
        # Without a date the same numbers give the same bytes.
        figure.savefig(text, format="svg", metadata={"Date": None})


def _forecast(report: Report, own: DataFrame) -> Plot:
    """The entity with the median loss stands for all: neither the best nor the worst of them."""
    slices = sorted((s for s in report.slices if s.by == "entity"), key=lambda s: s.value)
    entity = slices[len(slices) // 2].name
    horizon = int(own["horizon"].min())
    levels = quantile_levels(own)
    shown = own[(own["entity"].astype(str) == entity) & (own["horizon"] == horizon)].sort_values("time").tail(SHOWN)
    time = shown["time"].to_numpy()
    with _figure() as (axes, text):
        low, high = (shown[f"q{level:g}"].to_numpy() for level in (levels[0], levels[-1]))
        axes.fill_between(time, low, high, color=FORECAST, alpha=0.16, linewidth=0, label=f"{levels[-1] - levels[0]:.0%} interval")
        axes.plot(time, shown["target"].to_numpy(), ".", color=REALISED, markersize=3.2, label="realised")
        axes.plot(time, shown["point"].to_numpy(), color=FORECAST, label="forecast")
        axes.set_ylabel("target")
        axes.margins(x=0.01)
        axes.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.12), borderaxespad=0)
    caption = (
        f"{_plain(entity)}, {horizon} step{'s' if horizon > 1 else ''} ahead, the newest {len(shown)} scored dates: the entity whose loss is the median one."
    )
    return Plot("forecast", "Forecast and outcome", caption, text.getvalue())


def _calibration(own: DataFrame) -> Plot:
    levels = quantile_levels(own)
    with _figure(4.3, 3.7) as (axes, text):
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
        text.getvalue(),
    )


def _race(report: Report, predictions: Mapping[str, DataFrame]) -> Plot:
    measure = report.metrics[0]
    rivals = [name for name in predictions if name in {row.entry for row in report.table} and name != report.entry] or [report.entry]
    scores = align({name: predictions[name] for name in (report.entry, *rivals)}, [measure.id])
    against = report.judgement.against if report.judgement.against in rivals else best({name: scores.by_date(name, measure.id) for name in rivals})
    dates = scores.dates()
    total = np.cumsum(scores.by_date(report.entry, measure.id) - scores.by_date(against, measure.id))
    with _figure() as (axes, text):
        axes.axhline(0, color=GRID, linewidth=0.8)
        axes.fill_between(dates, total, 0, where=total <= 0, color=FORECAST, alpha=0.16, linewidth=0, interpolate=True)
        axes.fill_between(dates, total, 0, where=total >= 0, color=WORSE, alpha=0.16, linewidth=0, interpolate=True)
        axes.plot(dates, total, color=INK, linewidth=1.1)
        axes.set_ylabel(f"cumulative {measure.label}\ndifference")
        axes.margins(x=0.01)
    caption = f"Sum over dates of its {measure.label} minus that of {against}: falling is better. A single step downwards is luck, a slope is skill."
    return Plot("race", f"Against {against}, date by date", caption, text.getvalue())


def _learning(report: Report) -> Plot:
    from matplotlib.ticker import MaxNLocator

    epochs = [point.epoch for point in report.training.curve]
    with _figure(4.3, 3.7) as (axes, text):
        axes.plot(epochs, [point.loss for point in report.training.curve], "o-", markersize=3, color=FORECAST, label="training")
        measured = [(point.epoch, point.metric) for point in report.training.curve if point.metric is not None]
        if measured:
            axes.plot(*zip(*measured, strict=True), "o-", markersize=3, color=WORSE, label="validation")
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return Plot("learning", "Learning curve", "The newest fit. Validation decides when to stop and is never learned from.", text.getvalue())


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isprintable())
