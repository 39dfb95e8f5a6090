"""Does a served version still keep what its report promised? Realised quality against the interval of its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from finml_models.core.errors import DataError
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.scored import Scored, is_rowwise, score

from .documents import CoursePoint, Decay, Promise, Quality
from .sequential import FIRST_LOOK, blocks, confidence_sequence

if TYPE_CHECKING:
    from finml_models.core.task import Task
    from finml_models.evaluation.report import Report

ALPHA = 0.05
"""Chance that a version which keeps its promise is ever called decayed."""
CONFIDENCE = "confidence sequence of the mean, read at any time (Waudby-Smith et al. 2021)"
DOUBLING = "jackknife over units, read when their number has doubled, look k at level 6 α / (π k)²"


def promise(report: Report) -> Promise:
    """What a report promises of its version."""
    note = report.metrics[0]
    row = report.row(report.entry, note.id)
    return Promise(metric=note.id, value=row.value, low=row.low, high=row.high, level=report.interval_level, higher_is_better=note.lower_is_better is False)


def decay(task: type[Task], frame: pd.DataFrame, promised: Promise, *, alpha: float = ALPHA) -> Decay:
    """Test realised rows (`losses.long_form`) against a promise.

    A metric with a value a row is averaged by unit, where labels overlap in blocks as long as the longest horizon, and its
    confidence sequence may be read at any time. A metric of whole sets is read when the units are `FIRST_LOOK`, twice as many, and
    so on: look k spends 6 α / (π k)², so that all looks together err with probability α (their sum is α). Both are asymptotic.
    """
    if frame.empty:
        return _too_few(promised, 0, task.unit, CONFIDENCE, alpha, "no answer of this version has a known outcome yet; report outcomes")
    if is_rowwise(promised.metric):
        return _rowwise(task, score("served", frame, (promised.metric,), unit=task.unit), promised, alpha)
    return _of_sets(task, frame, promised, alpha)


def course(task: type[Task], frame: pd.DataFrame, measure: str, *, parts: int = 24) -> tuple[CoursePoint, ...]:
    """A metric over time: the units in order, in at most so many consecutive parts of nearly equal size."""
    if frame.empty:
        return ()
    ordered = frame.sort_values(["time", "entity"], kind="stable")
    place = pd.factorize(ordered["time"].dt.normalize() if task.unit == "date" else ordered["entity"])[0]
    part = place * min(parts, int(place.max()) + 1) // (int(place.max()) + 1)
    found = []
    for number in np.unique(part):
        own = ordered[part == number]
        try:
            value = score("served", own, (measure,), unit=task.unit).value(measure)
        except DataError:
            value = None
        times = own["time"]
        found.append(CoursePoint(first=f"{times.min():%Y-%m-%d}", last=f"{times.max():%Y-%m-%d}", units=len(np.unique(place[part == number])), value=value))
    return tuple(found)


def _rowwise(task: type[Task], served: Scored, promised: Promise, alpha: float) -> Decay:
    horizon = max(task.horizons, default=1) if task.unit == "date" else 1
    units = blocks(served.series(promised.metric), horizon)
    noun = f"blocks of {horizon} dates" if horizon > 1 else task.unit
    sequence = confidence_sequence(units, alpha=alpha, horizon=horizon)
    if not len(units) or np.isnan(sequence.low[-1]):
        return _too_few(promised, len(units), noun, CONFIDENCE, alpha, f"{len(units)} {noun}; the first look needs {FIRST_LOOK}, more where losses are skewed")
    return _judged(promised, float(sequence.mean[-1]), float(sequence.low[-1]), float(sequence.high[-1]), len(units), noun, CONFIDENCE, alpha)


def _of_sets(task: type[Task], frame: pd.DataFrame, promised: Promise, alpha: float) -> Decay:
    from scipy.special import stdtrit

    # In the order in which units came, so that a look reads the same units whenever it is taken.
    ordered = frame.sort_values(["time", "entity"], kind="stable")
    unit = ordered["time"].dt.normalize() if task.unit == "date" else ordered["entity"]
    place = pd.factorize(unit)[0]
    total = int(place.max()) + 1
    if total < FIRST_LOOK:
        return _too_few(promised, total, task.unit, DOUBLING, alpha, f"{total} units of {task.unit}; the first look needs {FIRST_LOOK}")
    look = int(np.log2(total / FIRST_LOOK)) + 1
    read = FIRST_LOOK * 2 ** (look - 1)
    spent = 6 * alpha / (np.pi * look) ** 2
    seen = score("served", ordered[place < read], (promised.metric,), unit=task.unit)
    try:
        value, pseudo = seen.value(promised.metric), seen.losses(promised.metric)
    except DataError as error:
        return _too_few(promised, total, task.unit, DOUBLING, alpha, f"the metric has no value on {read} units yet: {error}")
    half = float(stdtrit(len(pseudo) - 1, 1 - spent) * pseudo.std(ddof=1) / np.sqrt(len(pseudo)))
    return _judged(promised, value, value - half, value + half, read, task.unit, DOUBLING, alpha)


def _judged(promised: Promise, value: float, low: float, high: float, units: int, unit: str, test: str, alpha: float) -> Decay:
    lost = high < promised.low if promised.higher_is_better else low > promised.high
    label = metric(promised.metric).label
    said = f"{label} {value:.4g} [{low:.4g}, {high:.4g}] over {units} units, promised {promised.value:.4g} [{promised.low:.4g}, {promised.high:.4g}]"
    reason = f"{said}: {'all of it is worse than the promise' if lost else 'not shown to be worse than promised'}"
    state = Quality.DECAYED if lost else Quality.KEPT
    return Decay(state=state, promise=promised, value=value, low=low, high=high, units=units, unit=unit, test=test, alpha=alpha, reason=reason)


def _too_few(promised: Promise, units: int, unit: str, test: str, alpha: float, reason: str) -> Decay:
    return Decay(state=Quality.TOO_FEW, promise=promised, units=units, unit=unit, test=test, alpha=alpha, reason=reason)
