"""Anomaly scores over series: VUS-PR, event recall, detection delay, false alarms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import ndimage
from sklearn.metrics import average_precision_score, confusion_matrix, roc_curve

from finml_models.evaluation.metrics.anomaly import vus_pr

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, thorough


def series(draw: Draw) -> Inputs:
    """Up to three series of unequal length, their rows in any order."""
    entities = draw.rng.permutation(np.sort(draw.rng.integers(0, 1 + draw.seed % 3, draw.n)))
    dates = np.datetime64("2024-01-01") + pd.Series(entities).groupby(entities).cumcount().to_numpy()
    shuffle = draw.rng.permutation(draw.n)
    given = {"target": draw.classes(draw.n), "score": draw.numbers(draw.n), "entities": entities, "times": dates}
    return {name: values[shuffle] for name, values in given.items()}


def surface(draw: Draw) -> Inputs:
    return {**series(draw), "window": draw.seed % 12}


def one_event(draw: Draw) -> Inputs:
    """One event and no tolerance: what is left of range-PR-AUC is average precision."""
    begin, length = draw.seed % draw.n, 1 + draw.seed % 7
    target = np.zeros(draw.n)
    target[begin : min(begin + length, max(draw.n - 1, begin + 1))] = 1
    return single(target, draw.numbers(draw.n), 0)


def single(target: np.ndarray, score: np.ndarray, window: int) -> Inputs:
    dates = np.datetime64("2024-01-01") + np.arange(len(target))
    return {"target": target, "score": score, "entities": np.zeros(len(target)), "times": dates, "window": window}


def alarms(draw: Draw) -> Inputs:
    given = series(draw)
    return {"target": given["target"], "alarm": (given["score"] > 0) * 1.0, "times": given["times"]}


def by_entity(target: np.ndarray, entities: np.ndarray, times: np.ndarray) -> Iterator[np.ndarray]:
    for entity in np.unique(entities):
        rows = np.flatnonzero(entities == entity)
        yield rows[np.argsort(times[rows])]


def slow_surface(target: np.ndarray, score: np.ndarray, entities: np.ndarray, times: np.ndarray, window: int) -> float:
    return sum(slow_range_pr_auc(target, score, list(by_entity(target, entities, times)), length) for length in range(window + 1)) / (window + 1)


def slow_range_pr_auc(target: np.ndarray, score: np.ndarray, groups: list[np.ndarray], length: int) -> float:
    label = target.tolist()
    for rows in groups:
        for i, row in enumerate(rows):
            for step, edge in ((-1, i == 0 or not target[rows[i - 1]]), (1, i == len(rows) - 1 or not target[rows[i + 1]])):
                for d in range(1, length // 2 + 1):
                    if target[row] and edge and 0 <= i + step * d < len(rows):
                        label[rows[i + step * d]] += math.sqrt(1 - d / length)
    label = [min(1.0, x) for x in label]
    buffered: list[list[int]] = []
    for rows in groups:
        inside = False
        for row in rows:
            if label[row] > 0:
                buffered = buffered if inside else [*buffered, []]
                buffered[-1].append(row)
            inside = label[row] > 0
    area = before = 0.0
    for threshold in sorted(set(score), reverse=True):
        flagged = score >= threshold
        hits = sum(x for x, flag in zip(label, flagged, strict=True) if flag)
        found = sum(any(flagged[row] for row in rows) for rows in buffered) / len(buffered)
        recall = min(hits / ((target.sum() + sum(label)) / 2), 1.0) * found
        area, before = area + (recall - before) * hits / flagged.sum(), recall
    return float(area)


def flags(target: np.ndarray, score: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The alarms of the lowest threshold of scikit-learn's curve with no more false alarms than one in five dates."""
    fpr, _, thresholds = roc_curve(target, score, drop_intermediate=False)
    allowed = len(np.unique(times)) // 5
    return score >= thresholds[np.flatnonzero(np.rint(fpr * (target == 0).sum()) <= allowed)[-1]]


def slow_flags(target: np.ndarray, score: np.ndarray, times: np.ndarray) -> np.ndarray:
    best = np.zeros(len(score), bool)
    for threshold in sorted(set(score), reverse=True):
        if sum(s >= threshold and y == 0 for s, y in zip(score, target, strict=True)) <= len(set(times)) // 5:
            best = score >= threshold
    return best


def events_of_scipy(target: np.ndarray, score: np.ndarray, entities: np.ndarray, times: np.ndarray) -> Iterator[np.ndarray]:
    alarm = flags(target, score, times)
    for rows in by_entity(target, entities, times):
        for (place,) in ndimage.find_objects(ndimage.label(target[rows])[0]):
            yield alarm[rows][place]


def slow_events(target: np.ndarray, score: np.ndarray, entities: np.ndarray, times: np.ndarray) -> list[list[bool]]:
    alarm, events = slow_flags(target, score, times), []
    for rows in by_entity(target, entities, times):
        before = 0.0
        for row in rows:
            if target[row] and not before:
                events.append([])
            if target[row]:
                events[-1].append(bool(alarm[row]))
            before = target[row]
    return events


def slow_delay(**inputs: np.ndarray) -> float:
    waited = [event.index(True) if True in event else len(event) for event in slow_events(**inputs)]
    return sum(waited) / len(waited)


def excess_of_scikit_learn(target: np.ndarray, alarm: np.ndarray, times: np.ndarray) -> float:
    return float(confusion_matrix(target, alarm, labels=[0, 1])[0, 1] / (pd.Series(times).nunique() / 5))


WEEKS = np.isin(np.arange(30), [7, 8, 9, 20, 21]) * 1.0
EARLY, LATE = (single(WEEKS, np.isin(np.arange(30), rows) * 1.0, 6) for rows in ([7, 8, 20], [0, 3, 4, 9, 12, 13, 15]))
JUDGED, MISJUDGED = ({name: values for name, values in given.items() if name != "window"} for given in (EARLY, LATE))

ORACLES = {
    "vus_pr": Checked(
        surface,
        (
            Oracle("loop over tolerances, events and thresholds", slow_surface),
            Oracle("sklearn.metrics.average_precision_score of one event", lambda target, score, **_: average_precision_score(target, score), one_event),
        ),
        EARLY,
        LATE,
    ),
    "event_recall": Checked(
        series,
        (
            Oracle("sklearn.metrics.roc_curve, scipy.ndimage.label", lambda **given: np.mean([e.any() for e in events_of_scipy(**given)])),
            Oracle("loop over rows", lambda **given: np.mean([any(e) for e in slow_events(**given)])),
        ),
        JUDGED,
        MISJUDGED,
    ),
    "detection_delay": Checked(
        series,
        (
            Oracle(
                "sklearn.metrics.roc_curve, scipy.ndimage.label",
                lambda **given: np.mean([e.argmax() if e.any() else len(e) for e in events_of_scipy(**given)]),
            ),
            Oracle("loop over rows", slow_delay),
        ),
        JUDGED,
        MISJUDGED,
    ),
    "false_alarm_ratio": Checked(alarms, (Oracle("sklearn.metrics.confusion_matrix, pandas nunique", excess_of_scikit_learn),)),
}

MARKED = np.isin(np.arange(60), [9, 10, 11, 12, 30, 31, 55, 59]) * 1.0
LAGGED = lattice(60, 37, 61) + 0.5 * np.roll(MARKED, 2)
PROMPT = lattice(60, 37, 61) + 0.5 * MARKED
VUS = "vus 0.0.6: RangeAUC(plot_ROC=True), precision summed in steps"

FIGURES = (
    Figure("vus_pr", VUS, single(MARKED, LAGGED, 20), 0.6311027225433721),
    Figure("vus_pr", VUS + ", at once", single(MARKED, PROMPT, 20), 0.7398782026645583),
    Figure("vus_pr", VUS + ", ties", single(MARKED, np.round(LAGGED * 5) / 5, 20), 0.5720095448901185),
    Figure("event_recall", WORKED, JUDGED, 1.0),
    Figure("event_recall", WORKED + ", seven false alarms where six are allowed", {**MISJUDGED, "score": np.ones(30)}, 0.0),
    Figure("detection_delay", WORKED, {**JUDGED, "score": np.isin(np.arange(30), [8]) * 1.0}, (1 + 2) / 2),
    Figure(
        "false_alarm_ratio", WORKED, {"target": np.zeros(10), "alarm": np.repeat([1.0, 0.0], 5), "times": single(np.zeros(10), np.zeros(10), 0)["times"]}, 2.5
    ),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_anomaly_scores_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_anomaly_scores_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


def test_an_event_that_is_found_first_in_the_last_row_of_all_is_found() -> None:
    found = single(np.array([0.0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.3, 0.4]), 0)
    # Half of the recall at a precision of 1/2, the rest at 2/3.
    assert vus_pr(**found) == pytest.approx((1 / 2 + 2 / 3) / 2)
