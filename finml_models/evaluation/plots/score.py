"""Plots of anomaly scores: how many alarms are right, and which kinds of anomaly raise one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.evaluation.document import Report
from finml_models.evaluation.metrics import inputs

from .figure import FORECAST, GRID, INK, REALISED, SMALL, Plot, figure, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame


def precision_recall(report: Report, predictions: Mapping[str, DataFrame]) -> Plot:
    """Precision against recall over all thresholds, beside the best baseline's."""
    against = report.judgement.against if report.judgement.against in predictions else report.entry
    with figure(*SMALL) as (axes, text):
        for name, colour in {against: REALISED, report.entry: FORECAST}.items():
            frame = predictions[name]
            given = inputs(frame[frame["seed"] == frame["seed"].min()])
            recall, precision = curve(given["target"], given["score"])
            axes.plot(recall, precision, color=colour, label=name)
        share = float(np.mean(given["target"]))
        axes.axhline(share, color=GRID, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of anomalous rows found", ylabel="share of alarms that are right")
        axes.legend(loc="upper right")
    caption = f"Every threshold is a point; nothing is adjusted for neighbours. A score that knows nothing stays on the dashed line, at {share:.2%}."
    return Plot("precision_recall", "Precision and recall", caption, rounded(text.getvalue()))


def by_kind(own: DataFrame) -> Plot:
    """Share of rows, and of events, of each kind of anomaly that raised an alarm, and of ordinary rows that did."""
    from finml_models.datasets.market.faults import Fault

    kind, alarm = own["target"].to_numpy().astype(np.int64), inputs(own)["alarm"]
    there = [Fault(int(number)) for number in np.unique(kind[kind > 0])]
    rows = [float(alarm[kind == fault].mean()) for fault in there]
    hit = [found(own[["entity", "time"]].assign(inside=kind == fault, alarm=alarm)) for fault in there]
    names = [f"{fault.name.lower().replace('_', ' ')} ({len(one)})" for fault, one in zip(there, hit, strict=True)]
    place = np.arange(len(there))
    with figure(*SMALL) as (axes, text):
        axes.barh(place - 0.2, [float(one.mean()) for one in hit], height=0.36, color=FORECAST, label="events with an alarm")
        axes.barh(place + 0.2, rows, height=0.36, color=REALISED, label="rows with an alarm")
        axes.axvline(float(alarm[kind == 0].mean()), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), yticks=place, yticklabels=names)
        axes.invert_yaxis()
        axes.legend(loc="lower right")
    caption = (
        f"At the threshold set on training rows, with the number of events. {alarm[kind == 0].mean():.2%} of the ordinary rows raise an alarm (dashed). "
        "The first row of a fault that shows only over several rows cannot be known for one."
    )
    return Plot("by_kind", "What is found", caption, rounded(text.getvalue()))


def curve(target: NDArray[np.float64], score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision at each threshold that finds another true row, from the highest on. Shape: (n,) -> (true rows,) each."""
    descending = np.argsort(-score, kind="stable")
    true = np.cumsum(target[descending] > 0)
    at = np.flatnonzero(target[descending] > 0)
    return true[at] / true[-1], true[at] / (at + 1)


def found(rows: DataFrame) -> NDArray[np.bool_]:
    """Whether each event, a run of rows of one entity that are `inside`, has an alarm. Shape: (events,)."""
    ordered = rows.sort_values(["entity", "time"])
    inside, alarm = ordered["inside"].to_numpy(), ordered["alarm"].to_numpy()
    entity = ordered["entity"].to_numpy()
    start = inside & ~np.append(False, inside[:-1] & (entity[1:] == entity[:-1]))
    run = np.cumsum(start)[inside] - 1
    return np.bincount(run, weights=alarm[inside]) > 0
