"""The plots of a report as SVG, by what its predictions are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from finml_models.evaluation.document import Report
from finml_models.evaluation.scores import Scores, is_rowwise

from .figure import Plot

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Plot", "draw"]


def draw(report: Report, predictions: Mapping[str, DataFrame], scores: Scores) -> tuple[Plot, ...]:
    """All plots of a report, from the frames that it was made of and what they scored; what is drawn follows from the columns of the predictions."""
    from . import classify, control, forecast, regimes, score, shared

    own = predictions[report.entry]
    own = own[own["seed"] == own["seed"].min()]
    over_time = (shared.race if is_rowwise(report.metrics[0].id) else shared.periods)(report, scores)
    if "point" in own:
        plots = [forecast.outcome(report, own), over_time, forecast.calibration(own), forecast.pit(own)]
    elif "mean0" in own:
        plots = [regimes.over_time(own), over_time, regimes.pit(own)]
    elif "p0" in own:
        plots = [over_time, classify.reliability(own), classify.separation(own)]
    elif "threshold" in own:
        plots = [over_time, score.precision_recall(report, predictions), score.by_kind(own)]
    elif "gross" in own:
        plots = [control.wealth(report, predictions), over_time]
    else:
        plots = [over_time, control.differences(report, scores)]
    return (*plots, shared.learning(report)) if report.training.curve else tuple(plots)
