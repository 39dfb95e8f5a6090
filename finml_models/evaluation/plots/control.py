"""Plots of decisions: what came of the same episodes under two policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.evaluation.document import Report
from finml_models.evaluation.scores import Scores

from .figure import FORECAST, GRID, REALISED, SMALL, WORSE, Plot, figure, rounded

if TYPE_CHECKING:
    from pandas import DataFrame


def differences(report: Report, scores: Scores) -> Plot:
    """Ordered differences to the best baseline, an episode each."""
    measure = report.metrics[0]
    against = report.judgement.against if report.judgement.against in scores else report.entry
    gap = np.sort(scores[report.entry].rowwise(measure.id) - scores[against].rowwise(measure.id))
    share = np.linspace(0, 1, len(gap))
    low, high = np.quantile(gap, [0.01, 0.99])
    with figure(*SMALL) as (axes, text):
        axes.axvline(0, color=GRID, linewidth=0.8)
        axes.plot(gap, share, color=FORECAST)
        axes.axvline(float(gap.mean()), color=WORSE, linewidth=1.0, linestyle=(0, (4, 3)), label="mean")
        axes.set(xlim=(min(low, 0) - 1e-9, max(high, 0) + 1e-9), ylim=(0, 1), xlabel=f"{measure.label} minus {against}'s", ylabel="share of episodes below")
        axes.legend(loc="lower right")
    caption = f"{len(gap):,} episodes, each under both policies; the outermost hundredths are cut off. Left of zero the policy did better than {against}."
    return Plot("differences", f"The same episodes under {against}", caption, rounded(text.getvalue()))


def wealth(report: Report, predictions: Mapping[str, DataFrame]) -> Plot:
    """What an investment of 1 became, net of costs and at five times the costs, beside the best baseline."""
    against = report.judgement.against if report.judgement.against in predictions else report.entry
    with figure() as (axes, text):
        axes.margins(x=0.01)
        for name, colour in ((against, REALISED), (report.entry, FORECAST)):
            frame = predictions[name]
            own = frame[frame["seed"] == frame["seed"].min()].sort_values("time")
            for multiple, style in ((1.0, "-"), (5.0, ":")):
                value = np.cumprod(1 + own["gross"].to_numpy() - multiple * own["cost"].to_numpy())
                axes.plot(own["time"], value, color=colour, linestyle=style, linewidth=1.2, label=name if multiple == 1 else f"{name}, 5 × costs")
        axes.set(yscale="log", ylabel="value of 1 invested")
        axes.legend(loc="upper left")
    caption = f"Net of costs, and dotted at five times the costs: {report.entry} beside {against}, over the sessions that were scored. The first seed's."
    return Plot("wealth", f"Value beside {against}, net of costs", caption, rounded(text.getvalue()))
