"""Plots that any objective has: the race against the best baseline over time, and the learning curve."""

from __future__ import annotations

import numpy as np

from finml_models.evaluation.document import Report
from finml_models.evaluation.rolling import rolling_mean
from finml_models.evaluation.scores import Scores

from .figure import FORECAST, GRID, INK, REALISED, SMALL, WORSE, Plot, figure, figures, rounded

PERIODS = 12


def race(report: Report, scores: Scores) -> Plot:
    """Cumulated and rolling loss differences by date, of a row-wise primary metric."""
    measure, against = report.metrics[0], _against(report, scores)
    own, theirs = (scores[name].per("date") for name in (report.entry, against))
    dates = own.rows.dates()
    difference = own.losses(measure.id) - theirs.losses(measure.id)
    total = np.cumsum(difference)
    window = rolling_mean(difference, horizon=max((int(row.horizon) for row in report.table if row.horizon != "all"), default=1))
    with figures(2, 10.4, 4.6) as ((above, below), text):
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
        f"Its loss in {measure.label} minus that of {against}: below zero is better. Above, the sum over dates: a single step down is luck, a slope is skill. "
        f"Below, the mean over the newest {window.length} dates with its pointwise 95% band (Newey-West); blue where the band lies below zero, red above."
    )
    return Plot("race", f"Loss against {against}, over time", caption, rounded(text.getvalue()))


def periods(report: Report, scores: Scores) -> Plot:
    """The primary metric of whole sets in equal stretches of the scored time, beside the best baseline's."""
    measure, against = report.metrics[0], _against(report, scores)
    time = scores.rows.frame["time"].to_numpy()
    parts = np.array_split(scores.rows.dates(), min(PERIODS, len(scores.rows.dates())))
    with figure() as (axes, text):
        for name, colour in ((against, REALISED), (report.entry, FORECAST)):
            found = [(part[len(part) // 2], scores[name].value_of(measure.id, (time >= part[0]) & (time <= part[-1]))) for part in parts]
            shown = [(when, value) for when, value in found if value is not None]
            if shown:
                axes.plot(*zip(*shown, strict=True), "o-", markersize=4, color=colour, label=name)
        axes.set_ylabel(measure.label)
        axes.margins(x=0.02)
        axes.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, 1.14), borderaxespad=0)
    caption = f"{measure.label} in {len(parts)} stretches of the scored time, each on its own rows; a lead that one stretch makes alone is luck."
    return Plot("race", f"{measure.label} beside {against}, over time", caption, rounded(text.getvalue()))


def learning(report: Report) -> Plot:
    """Training and validation loss by epoch of the newest fit."""
    from matplotlib.ticker import MaxNLocator

    epochs = [point.epoch for point in report.training.curve]
    with figure(*SMALL) as (axes, text):
        axes.plot(epochs, [point.loss for point in report.training.curve], "o-", markersize=3, color=FORECAST, label="training")
        measured = [(point.epoch, point.metric) for point in report.training.curve if point.metric is not None]
        if measured:
            axes.plot(*zip(*measured, strict=True), "o-", markersize=3, color=WORSE, label="validation")
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return Plot("learning", "Learning curve", "The newest fit. Validation decides when to stop and is never learned from.", rounded(text.getvalue()))


def _against(report: Report, scores: Scores) -> str:
    """The baseline that the judgement compares with, or the entry itself where it stands alone."""
    return report.judgement.against if report.judgement.against in scores else report.entry
