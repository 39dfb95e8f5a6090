"""Scores that rank cases of two classes: PR-AUC, AUC, Gini, KS, recall at a false alarm rate, precision at k, H measure."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from scipy import stats
from sklearn.metrics import average_precision_score, precision_score, roc_auc_score, roc_curve

from finml_models.evaluation.metrics.classification import h_measure, precision_at_k

from .metric_oracles import (
    WORKED,
    Checked,
    Draw,
    Figure,
    Inputs,
    Oracle,
    assert_agrees,
    assert_meets,
    cases,
    draws,
    lattice,
    named,
    positional,
    require,
    thorough,
)


def ranked(draw: Draw) -> Inputs:
    return {"target": draw.classes(draw.n), "score": draw.numbers(draw.n)}


def ranked_apart(draw: Draw) -> Inputs:
    given = ranked(draw)
    require(np.ptp(given["score"]) > 0)
    return given


def alerts(draw: Draw) -> Inputs:
    return {**ranked(draw), "times": draw.days(draw.n), "k": 1 + draw.seed % 5}


def alerts_in_order(draw: Draw) -> Inputs:
    """No two scores are equal, so that every day's k highest are known."""
    return {**alerts(draw), "score": draw.rng.permutation(draw.n) * 1.0}


def slow_curve(target: np.ndarray, score: np.ndarray) -> list[tuple[Fraction, Fraction, Fraction]]:
    """False positive rate, true positive rate and precision of flagging every case at or above each score, from the highest down."""
    rows = list(zip(score.tolist(), target.tolist(), strict=True))
    true = sum(y == 1 for _, y in rows)
    points = []
    for threshold in sorted({s for s, _ in rows}, reverse=True):
        flagged = [y for s, y in rows if s >= threshold]
        hits = sum(y == 1 for y in flagged)
        points.append((Fraction(len(flagged) - hits, len(rows) - true), Fraction(hits, true), Fraction(hits, len(flagged))))
    return points


def slow_average_precision(target: np.ndarray, score: np.ndarray) -> float:
    area, before = Fraction(0), Fraction(0)
    for _, recall, precision in slow_curve(target, score):
        area, before = area + (recall - before) * precision, recall
    return float(area)


def slow_auc(target: np.ndarray, score: np.ndarray) -> float:
    pairs = [(a, b) for a, x in zip(score, target, strict=True) for b, y in zip(score, target, strict=True) if x == 1 and y == 0]
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def slow_recall(target: np.ndarray, score: np.ndarray, rate: float) -> float:
    """Flag from the highest score down; of the group of equal scores that would go beyond the rate, take the part that just reaches it."""
    wanted, fpr, tpr = Fraction(rate).limit_denominator(1000), Fraction(0), Fraction(0)
    for false, true, _ in slow_curve(target, score):
        if false > wanted:
            return float(tpr + (true - tpr) * (wanted - fpr) / (false - fpr))
        fpr, tpr = false, true
    return float(tpr)


def recall_of_scikit_learn(target: np.ndarray, score: np.ndarray, rate: float) -> float:
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    return float(np.interp(rate, fpr, tpr))


def recall_oracles(**fixed: float) -> tuple[Oracle, ...]:
    return (
        Oracle("sklearn.metrics.roc_curve, interpolated", lambda target, score, rate=0.0: recall_of_scikit_learn(target, score, fixed.get("rate", rate))),
        Oracle("loop over thresholds", lambda target, score, rate=0.0: slow_recall(target, score, fixed.get("rate", rate))),
    )


def expected_alerts(target: np.ndarray, score: np.ndarray, times: np.ndarray, k: int) -> float:
    """A day's alerts with ties at the border drawn without replacement: the mean of a hypergeometric law."""
    found = flagged = 0.0
    for day in np.unique(times):
        y, s = target[times == day], score[times == day]
        size = min(k, len(s))
        border = np.sort(s)[-size]
        above, tied = s > border, s == border
        with np.errstate(divide="ignore", invalid="ignore"):  # scipy computes its kurtosis too
            found += y[above].sum() + float(stats.hypergeom.mean(tied.sum(), int(y[tied].sum()), size - above.sum()))
        flagged += size
    return found / flagged


def flagged_alerts(target: np.ndarray, score: np.ndarray, times: np.ndarray, k: int) -> float:
    flag = np.zeros(len(target))
    for day in np.unique(times):
        rows = np.flatnonzero(times == day)
        flag[rows[np.argsort(score[rows])[-k:]]] = 1
    return float(precision_score(target, flag))


def slow_h(target: np.ndarray, score: np.ndarray) -> float:
    """The least loss at every cost, threshold by threshold, integrated numerically over the law of the costs."""
    prior = target.mean()
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.linspace(0, 1, 2001)
    c = (edges[:-1, None] + np.diff(edges)[:, None] * (nodes + 1) / 2).ravel()
    density = stats.beta(1 + prior, 2 - prior).pdf(c) * np.tile(weights, 2000) / 4000
    losses = [c * (1 - prior) * float(fpr) + (1 - c) * prior * float(1 - tpr) for fpr, tpr, _ in [(0, 0, 0), *slow_curve(target, score)]]
    return float(1 - (density @ np.min(losses, axis=0)) / (density @ np.minimum(c * (1 - prior), (1 - c) * prior)))


def of_roc(measure: Callable[[np.ndarray, np.ndarray], float]) -> Callable[..., float]:
    return lambda target, score: measure(*roc_curve(target, score, drop_intermediate=False)[:2])


TRUTH = np.array([0.0, 0.0, 1.0, 1.0])
RIGHT, WRONG = {"target": TRUTH, "score": np.arange(4.0)}, {"target": TRUTH, "score": -np.arange(4.0)}
DAY = {"times": np.repeat(np.datetime64("2024-01-01"), 4), "k": 2}

ORACLES = {
    "pr_auc": Checked(
        ranked,
        (
            Oracle("sklearn.metrics.average_precision_score", positional(average_precision_score)),
            Oracle("loop over thresholds", slow_average_precision),
        ),
        RIGHT,
        WRONG,
    ),
    "auc": Checked(
        ranked,
        (
            Oracle("sklearn.metrics.roc_auc_score", positional(roc_auc_score)),
            Oracle(
                "scipy.stats.mannwhitneyu / pairs",
                lambda target, score: stats.mannwhitneyu(score[target == 1], score[target == 0]).statistic / (target == 1).sum() / (target == 0).sum(),
            ),
            Oracle("loop over pairs", slow_auc),
        ),
        RIGHT,
        WRONG,
    ),
    "gini": Checked(
        ranked,
        (Oracle("scipy.stats.somersd of the score given the class", lambda target, score: stats.somersd(target, score).statistic, ranked_apart),),
        RIGHT,
        WRONG,
    ),
    "ks": Checked(
        ranked,
        (
            Oracle(
                "scipy.stats.ks_2samp, one-sided",
                lambda target, score: stats.ks_2samp(score[target == 0], score[target == 1], alternative="greater", method="asymp").statistic,
            ),
            Oracle("sklearn.metrics.roc_curve, largest distance", of_roc(lambda fpr, tpr: float(np.max(tpr - fpr)))),
        ),
        RIGHT,
        WRONG,
    ),
    "recall_at_1pct_fpr": Checked(ranked, recall_oracles(rate=0.01), RIGHT, WRONG),
    "recall_at_5pct_fpr": Checked(ranked, recall_oracles(rate=0.05), RIGHT, WRONG),
    "recall_at": Checked(lambda draw: {**ranked(draw), "rate": draw.seed % 11 / 10}, recall_oracles()),
    "precision_at_k": Checked(
        alerts,
        (Oracle("scipy.stats.hypergeom, mean", expected_alerts), Oracle("sklearn.metrics.precision_score", flagged_alerts, alerts_in_order)),
        {**RIGHT, **DAY},
        {**WRONG, **DAY},
    ),
    "h_measure": Checked(ranked, (Oracle("loop over thresholds, scipy.stats.beta integrated", slow_h, rtol=1e-5),), RIGHT, WRONG),
}

CLASSES = (np.arange(1, 41) * 7 % 5 == 0) * 1.0
DISTINCT, TIED = (lattice(40, 37, 41) + 0.3 * CLASSES) / 1.3, (np.arange(1, 41) * 3 % 7 + 2 * CLASSES) / 8
H = "hmeasure 0.1.6: h_score(severity_ratio=-1), the Beta of Hand and Anagnostopoulos 2014"

FIGURES = (
    Figure("h_measure", H, {"target": CLASSES, "score": DISTINCT}, 0.11807041347970071),
    Figure("h_measure", H + ", ties", {"target": CLASSES, "score": TIED}, 0.2515397986664807),
    Figure("h_measure", H + ", reversed", {"target": CLASSES, "score": 1 - DISTINCT}, 0.035937184819980095),
    Figure("pr_auc", WORKED, {"target": TRUTH, "score": np.array([0.1, 0.4, 0.35, 0.8])}, (1 + 2 / 3) / 2),
    Figure("auc", WORKED, {"target": TRUTH, "score": np.array([0.1, 0.4, 0.35, 0.8])}, 0.75),
    Figure("gini", WORKED, RIGHT, 1.0),
    Figure("gini", WORKED + ", reversed", WRONG, -1.0),
    Figure("ks", WORKED + ", reversed", WRONG, 0.0),
    Figure("recall_at_1pct_fpr", WORKED + ", constant", {"target": TRUTH, "score": np.ones(4)}, 0.01),
    Figure("recall_at_5pct_fpr", WORKED + ", constant", {"target": TRUTH, "score": np.ones(4)}, 0.05),
    Figure("precision_at_k", WORKED, {**RIGHT, **DAY, "k": 3}, 2 / 3),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_ranked_classes_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_ranked_classes_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@given(draw=draws)
@thorough
def test_the_h_measure_sees_only_the_order_and_lies_between_0_and_1(draw: Draw) -> None:
    inputs = ranked(draw)
    h = h_measure(**inputs)
    assert -1e-12 <= h <= 1 + 1e-12
    assert h_measure(inputs["target"], np.arctan(inputs["score"])) == pytest.approx(h, abs=1e-12)


def test_a_constant_score_finds_the_share_of_true_cases_and_saves_nothing() -> None:
    target, constant = CLASSES, np.ones(40)
    assert h_measure(target, constant) == pytest.approx(0, abs=1e-12)
    assert precision_at_k(target, constant, np.repeat(np.datetime64("2024-01-01"), 40), 7) == pytest.approx(target.mean())
