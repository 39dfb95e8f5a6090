"""Anomaly scores over series, judged without point adjustment: one hit inside an event does not turn its other rows into hits.

target (n,) is 1 inside an event; an event is a run of such rows of one entity in the order of time; a higher score means more anomalous.
PR-AUC is in `classification`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

from .registry import Float, Names, Numbers, Times, check_finite, score_of_set

WEEK = 5
"""Sessions of a week."""


@score_of_set(
    "VUS-PR",
    "Volume under the precision-recall surface: PR-AUC averaged over tolerances of 0 to 20 rows around each event, rewarding events that are found at all.",
    lower_is_better=False,
)
def vus_pr(target: Numbers, score: Numbers, entities: Names, times: Times, window: int = 20) -> float:
    """Mean of the range-PR-AUC over buffers ℓ = 0 ... `window`.

    Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin, Volume under the surface: a new accuracy evaluation measure for
    time-series anomaly detection, PVLDB 15(11), 2022. For each ℓ a label falls off as √(1 - d/ℓ) over the ℓ/2 rows on either
    side of an event (overlaps add up to at most 1); with P the rows of events, recall is TP / ((P + Σ labels)/2), at most 1, times
    the share of buffered events with a flagged row; precision is TP over the flagged rows; the area is summed in steps, as in `pr_auc`.
    The authors' faster version (`version="opt"` of their package `vus`) counts of the labels around an event only those of flagged rows
    in the denominator of recall, so that its values differ from the paper's definition, mostly upwards: do not compare with it.
    """
    series = _series(target, entities, times)
    check_finite(score)
    s = np.asarray(score, np.float64)[series.order]
    # Series lie one behind the other, far enough apart that no buffer reaches the next one.
    place = np.arange(len(s)) + series.code * (window + 1)
    padded = np.full(place[-1] + 1 + window, -np.inf)
    padded[place] = s
    begins, ends = place[series.rows[series.offsets]], place[series.rows[series.offsets] + series.lengths - 1]
    ascending = np.sort(s)
    return float(np.mean([_range_pr_auc(begins, ends, padded, ascending, length) for length in range(window + 1)]))


@score_of_set(
    "Event recall",
    "Share of events with at least one alarm, at the threshold that raises one false alarm a week over all series.",
    lower_is_better=False,
    unit="share",
)
def event_recall(target: Numbers, score: Numbers, entities: Names, times: Times) -> float:
    """Events with an alarm over all events; the threshold is the lowest that keeps false alarms to one in five dates.

    The event-wise recall of Garg, Zhang, Samaran, Savitha and Foo, An evaluation of anomaly detection and diagnosis in
    multivariate time series, IEEE Transactions on Neural Networks and Learning Systems 33(6), 2022, at a fixed rate of false alarms.
    """
    series = _series(target, entities, times)
    found = np.logical_or.reduceat(_alarms(series, score, times)[series.rows], series.offsets)
    return float(found.mean())


@score_of_set(
    "Detection delay",
    "Mean number of rows from the beginning of an event to its first alarm, at one false alarm a week over all series; an event without alarm counts in full.",
    lower_is_better=True,
    unit="rows",
)
def detection_delay(target: Numbers, score: Numbers, entities: Names, times: Times) -> float:
    """Rows before the first alarm of each event, the whole length of a missed one; the threshold is that of `event_recall`.

    Delay at a fixed rate of false alarms is how change detectors are compared: Lorden, Procedures for reacting to a change in
    distribution, Annals of Mathematical Statistics 42(6), 1971.
    """
    series = _series(target, entities, times)
    alarms = _alarms(series, score, times)[series.rows]
    since = np.arange(len(alarms)) - np.repeat(series.offsets, series.lengths)
    delay = np.minimum.reduceat(np.where(alarms, since, np.repeat(series.lengths, series.lengths)), series.offsets)
    return float(delay.mean())


@score_of_set(
    "False alarms against plan",
    "False alarms at the threshold that was set on training data, as a multiple of the one a week that it promised; best at 1, and 2 or 0.5 at worst.",
    lower_is_better=None,
    unit="×",
)
def false_alarm_ratio(target: Numbers, alarm: Numbers, times: Times) -> float:
    """Rows outside events with `alarm` (0 or 1) over one in five dates.

    The reciprocal of the average run length between false alarms (Page, Continuous inspection schemes, Biometrika 41, 1954),
    in units of the one that was promised.
    """
    check_finite(target, alarm)
    return float(np.count_nonzero((np.asarray(alarm) > 0) & (np.asarray(target) == 0)) / (_dates(times) / WEEK))


@dataclass(frozen=True, slots=True)
class _Series:
    """Rows by entity and time: `order` sorts them, `inside` (n,) and `code` (n,) are in that order, `rows` are those of events, in runs."""

    order: NDArray[np.intp]
    inside: NDArray[np.bool_]
    code: NDArray[np.intp]
    rows: NDArray[np.intp]
    offsets: NDArray[np.intp]
    lengths: NDArray[np.intp]


def _series(target: Numbers, entities: Names, times: Times) -> _Series:
    check_finite(target)
    _, code = np.unique(entities, return_inverse=True)
    if bool((times[1:] >= times[:-1]).all()) and code.max(initial=0) < 2**15:
        # Scored rows come by date: what is left to do is to bring each entity's together, for which short integers have a radix sort.
        order = np.argsort(code.astype(np.int16), kind="stable")
    else:
        order = np.lexsort((times, code))
    inside, code = np.asarray(target)[order] > 0, code[order]
    rows = np.flatnonzero(inside)
    if not 0 < len(rows) < len(inside):
        raise DataError(f"metrics: {len(rows)} of {len(inside)} rows belong to events; score series with both events and normal rows")
    first = np.append(True, (np.diff(rows) > 1) | (np.diff(code[rows]) > 0))
    offsets = np.flatnonzero(first)
    return _Series(order, inside, code, rows, offsets, np.diff(np.append(offsets, len(rows))))


def _alarms(series: _Series, score: Numbers, times: Times) -> NDArray[np.bool_]:
    """(n,) in the order of the series: scores above the highest normal one that is over the false alarms allowed."""
    check_finite(score)
    s = np.asarray(score, np.float64)[series.order]
    normal = s[~series.inside]
    allowed = _dates(times) // WEEK
    return s > (np.partition(normal, -1 - allowed)[-1 - allowed] if allowed < len(normal) else -np.inf)


def _dates(times: Times) -> int:
    """Distinct times; of those in order, without sorting them again."""
    later = times[1:] > times[:-1]
    return 1 + int(later.sum()) if bool((later | (times[1:] == times[:-1])).all()) else len(np.unique(times))


def _range_pr_auc(begins: NDArray[np.intp], ends: NDArray[np.intp], score: Float, ascending: Float, length: int) -> float:
    """Area at one buffer. `begins` and `ends` (events,) are first and last places of events in `score`, which is -inf between series;
    `ascending` holds all scores. Recall moves only where a row of a buffered event is flagged, so no other row is visited."""
    reach = length // 2 if length > 1 else 0
    fall = np.sqrt(1 - np.arange(1, reach + 1) / length) if reach else np.zeros(0)
    sizes = ends - begins + 1
    inside = np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    steps = np.arange(1, reach + 1)
    around = np.concatenate([(ends[:, None] + steps).ravel(), (begins[:, None] - steps).ravel()])
    there = around >= 0
    weights = np.concatenate([np.ones(len(inside)), np.tile(fall, 2 * len(begins))[np.append(np.ones(0, bool), there)]])
    places, owner = np.unique(np.concatenate([inside, around[there]]), return_inverse=True)
    real = np.minimum(1.0, np.bincount(owner, weights=weights))
    held = np.isfinite(score[places])
    places, real = places[held], real[held]
    s = score[places]
    # The highest score of each buffered event says from which threshold on it is found.
    runs = np.sort(np.maximum.reduceat(s, np.flatnonzero(np.append(True, np.diff(places) > 1))))
    descending = np.argsort(-s)
    last = np.append(np.flatnonzero(np.diff(s[descending])), len(s) - 1)
    threshold = s[descending][last]
    found = 1 - np.searchsorted(runs, threshold, side="left") / len(runs)
    hits = np.cumsum(real[descending])[last]
    flagged = len(ascending) - np.searchsorted(ascending, threshold, side="left")
    recall = np.minimum(hits / ((len(inside) + real.sum()) / 2), 1.0) * found
    return float(np.diff(recall, prepend=0.0) @ (hits / flagged))
