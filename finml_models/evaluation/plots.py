"""The plots of a report as SVG: forecast and outcome, the race against the best baseline, calibration, PIT, learning.

Backgrounds are transparent and text is a mid grey, so that one picture reads on light and on dark pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from .document import Report
from .metrics import quantile_levels
from .rolling import rolling_mean
from .scores import align
from .statistics import bootstrap_means, by_date
from .verdict import best

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

INK, GRID, FORECAST, REALISED, WORSE = "#7d8590", "#8b949e", "#3b82f6", "#a1a8b3", "#e0704f"
SHOWN = 400
"""Dates of the forecast plot: more would be a solid bar."""
SMALL = (4.3, 3.7)
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
    plots = [_forecast(report, own), _race(report, predictions), _calibration(own), _pit(own)]
    if report.training.curve:
        plots.append(_learning(report))
    return tuple(plots)


def _rounded(svg: str) -> str:
    """Coordinates with two decimals: a hundredth of a point cannot be seen, and half of the file is digits."""
    return re.sub(r'(?<=[ "])(?:d|x|y)="[^"]*"', lambda found: re.sub(r"\d+\.\d{3,}", lambda digits: f"{float(digits[0]):.2f}", found[0]), svg)


@contextmanager
def _figure(width: float = 10.4, height: float = 3.2) -> Iterator[tuple[Axes, StringIO]]:
    with _figures(1, width, height) as (axes, text):
        yield axes[0], text


@contextmanager
def _figures(rows: int, width: float, height: float) -> Iterator[tuple[list[Axes], StringIO]]:
    """Panels above one another with one time axis."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with mpl.rc_context(STYLE):
        figure: Figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield list(figure.subplots(rows, sharex=True, squeeze=False)[:, 0]), text
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
    return Plot("forecast", "Forecast and outcome", caption, _rounded(text.getvalue()))


def _calibration(own: DataFrame) -> Plot:
    levels = quantile_levels(own)
    with _figure(*SMALL) as (axes, text):
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
        _rounded(text.getvalue()),
    )


def _race(report: Report, predictions: Mapping[str, DataFrame]) -> Plot:
    measure = report.metrics[0]
    rivals = [name for name in predictions if name in {row.entry for row in report.table} and name != report.entry] or [report.entry]
    scores = align({name: predictions[name] for name in (report.entry, *rivals)}, [measure.id])
    against = report.judgement.against if report.judgement.against in rivals else best({name: scores.by_date(name, measure.id) for name in rivals})
    dates = scores.dates()
    difference = scores.by_date(report.entry, measure.id) - scores.by_date(against, measure.id)
    total = np.cumsum(difference)
    window = rolling_mean(difference, horizon=max((int(row.horizon) for row in report.table if row.horizon != "all"), default=1))
    with _figures(2, 10.4, 4.6) as ((above, below), text):
        for axes in (above, below):
            axes.axhline(0, color=GRID, linewidth=0.8)
            axes.margins(x=0.01)
        shown = dates[window.last]
        below.fill_between(shown, window.low, window.high, color=INK, alpha=0.18, linewidth=0)
        below.plot(shown, window.mean, color=INK, linewidth=1.1)
        for where, color in ((window.high < 0, FORECAST), (window.low > 0, WORSE)):
            below.plot(shown, np.where(where, window.mean, np.nan), color=color, linewidth=2.4)
        below.set_ylabel(f"mean over {window.length} dates")
        above.fill_between(dates, total, 0, where=total <= 0, color=FORECAST, alpha=0.16, linewidth=0, interpolate=True)
        above.fill_between(dates, total, 0, where=total >= 0, color=WORSE, alpha=0.16, linewidth=0, interpolate=True)
        above.plot(dates, total, color=INK, linewidth=1.1)
        above.set_ylabel("running sum")
    caption = (
        f"Its {measure.label} minus that of {against}: below zero is better. Above, the sum over dates: a single step down is luck, a slope is skill. "
        f"Below, the mean over the newest {window.length} dates with its pointwise 95% band (Newey-West); blue where the band lies below zero, red above."
    )
    return Plot("race", f"Loss against {against}, over time", caption, _rounded(text.getvalue()))


def _pit(own: DataFrame) -> Plot:
    """The intervals of the bars resample dates in blocks of twice the label's length, for labels overlap and entities move together."""
    levels = quantile_levels(own)
    edges = np.array([0.0, *levels, 1.0])
    with _figure(*SMALL) as (axes, text):
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
    return Plot("pit", "Where the outcomes fell", caption, _rounded(text.getvalue()))


def _learning(report: Report) -> Plot:
    from matplotlib.ticker import MaxNLocator

    epochs = [point.epoch for point in report.training.curve]
    with _figure(*SMALL) as (axes, text):
        axes.plot(epochs, [point.loss for point in report.training.curve], "o-", markersize=3, color=FORECAST, label="training")
        measured = [(point.epoch, point.metric) for point in report.training.curve if point.metric is not None]
        if measured:
            axes.plot(*zip(*measured, strict=True), "o-", markersize=3, color=WORSE, label="validation")
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return Plot("learning", "Learning curve", "The newest fit. Validation decides when to stop and is never learned from.", _rounded(text.getvalue()))


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isprintable())
