"""Classes and their probabilities. target (n,) is 0 or 1, or a class number where that is said; a higher score means class 1."""

from __future__ import annotations

import numpy as np

from finml_models.core.errors import DataError

from .registry import Float, Names, Numbers, Times, check_finite, row_loss, score_of_set

CALIBRATED = "0 means that of the cases given 10 %, one in ten comes true."


@score_of_set(
    "PR-AUC",
    "Average precision: mean share of true cases among those ranked at least as high, over the true cases. A random score has the share of true cases.",
    lower_is_better=False,
)
def pr_auc(target: Numbers, score: Numbers) -> float:
    """Σ (recall_i - recall_{i-1}) precision_i over distinct scores: no interpolation, which would flatter (Davis and Goadrich, ICML 2006)."""
    false, true = _curve(target, score)
    precision = true[1:] / (true[1:] + false[1:])
    return float(np.diff(true) @ precision / true[-1])


@score_of_set(
    "AUC",
    "Chance that a true case is ranked above a false one; 0.5 is chance, 1 perfect.",
    lower_is_better=False,
)
def auc(target: Numbers, score: Numbers) -> float:
    """Area under the receiver operating characteristic, ties counting half (Hanley and McNeil, Radiology 143(1), 1982)."""
    false, true = _curve(target, score)
    return float(np.diff(false) @ (true[1:] + true[:-1]) / 2 / (true[-1] * false[-1]))


@score_of_set("Gini", "2 AUC - 1: how far the ranking is from chance (0) towards perfect (1); scorecards in use have 0.4 to 0.7.", lower_is_better=False)
def gini(target: Numbers, score: Numbers) -> float:
    """2 AUC - 1, Somers' D of the score given the class (Somers, American Sociological Review 27(6), 1962), also called accuracy ratio."""
    return 2 * auc(target, score) - 1


@score_of_set(
    "KS", "Largest lead of the true cases over the false ones among the highest scores: 0 is no separation, 1 a clean cut.", lower_is_better=False, unit="share"
)
def ks(target: Numbers, score: Numbers) -> float:
    """max (true positive rate - false positive rate), one-sided, so that a reversed score has 0.

    Smirnov, Table for estimating the goodness of fit of empirical distributions, Annals of Mathematical Statistics 19(2), 1948.
    """
    false, true = _curve(target, score)
    return float((true / true[-1] - false / false[-1]).max())


@score_of_set("Recall at 1 % false alarms", "Share of true cases found when one false case in a hundred is flagged too.", lower_is_better=False, unit="share")
def recall_at_1pct_fpr(target: Numbers, score: Numbers) -> float:
    """`recall_at` a false positive rate of 0.01 (Fawcett 2006)."""
    return recall_at(target, score, 0.01)


@score_of_set(
    "Recall at 5 % false alarms", "Share of true cases found when five false cases in a hundred are flagged too.", lower_is_better=False, unit="share"
)
def recall_at_5pct_fpr(target: Numbers, score: Numbers) -> float:
    """`recall_at` a false positive rate of 0.05 (Fawcett 2006)."""
    return recall_at(target, score, 0.05)


def recall_at(target: Numbers, score: Numbers, rate: float) -> float:
    """True positive rate at a false positive rate; within tied scores cases are drawn at random, so that a constant score has `rate`.

    The curve is joined by straight lines: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27(8), 2006.
    """
    false, true = _curve(target, score)
    fpr, tpr = false / false[-1], true / true[-1]
    last = int(np.searchsorted(fpr, rate, side="right")) - 1
    if last == len(fpr) - 1:
        return 1.0
    return float(tpr[last] + (tpr[last + 1] - tpr[last]) * (rate - fpr[last]) / (fpr[last + 1] - fpr[last]))


@score_of_set(
    "Precision at k",
    "Share of true cases among the 100 highest scores of each day, the alerts that a team of investigators can look at.",
    lower_is_better=False,
    unit="share",
)
def precision_at_k(target: Numbers, score: Numbers, times: Times, k: int = 100) -> float:
    """True cases among the k highest scores of each day, over all alerts; days with fewer rows alert on all. Ties at the border count in parts.

    Dal Pozzolo, Boracchi, Caelen, Alippi and Bontempi, Credit card fraud detection: a realistic modeling and a novel learning
    strategy, IEEE Transactions on Neural Networks and Learning Systems 29(8), 2018; ties as in McSherry and Najork, Computing
    information retrieval performance measures efficiently in the presence of tied scores, ECIR 2008.
    """
    y = _binary(target, score)
    _, day, counts = np.unique(times.astype("datetime64[D]"), return_inverse=True, return_counts=True)
    order = np.lexsort((-np.asarray(score), day))
    starts = np.cumsum(counts) - counts
    ranked, alerts = np.asarray(score)[order], np.minimum(counts, k)
    border = np.repeat(ranked[starts + alerts - 1], counts)
    above, tied = (ranked > border).astype(np.float64), (ranked == border).astype(np.float64)
    part = (alerts - np.add.reduceat(above, starts)) / np.add.reduceat(tied, starts)
    return float((above + tied * np.repeat(part, counts)) @ y[order] / alerts.sum())


@score_of_set(
    "H measure",
    "Share of the expected cost of misclassification that the score saves, over a stated distribution of the costs (Hand 2009), so that models are "
    "compared under the same costs, which AUC does not do; 0 is useless, 1 perfect.",
    lower_is_better=False,
)
def h_measure(target: Numbers, score: Numbers) -> float:
    """1 - L/L_ref, L the mean over cost ratios c ~ Beta(1 + π₁, 1 + π₀) of the least loss c·(false positives) + (1 - c)·(misses).

    Hand, Measuring classifier performance: a coherent alternative to the area under the ROC curve, Machine Learning 77, 2009;
    the Beta is that of Hand and Anagnostopoulos, A better Beta for the H measure, Pattern Recognition Letters 40, 2014.

    The least loss for all c at once lies on the convex hull of the ROC curve, which is the isotonic regression p of the
    class on the score (a case is flagged when p > c), so the integral is a mean of incomplete beta functions.
    """
    from scipy.optimize import isotonic_regression
    from scipy.special import betainc

    y = _binary(target, score)
    _, place, sizes = np.unique(score, return_inverse=True, return_counts=True)
    p = np.clip(isotonic_regression(np.bincount(place, weights=y) / sizes, weights=sizes).x, 0.0, 1.0)
    prior = float(y.mean())
    a, b = 1 + prior, 2 - prior

    def expected_loss(rate: Float) -> Float:
        flagged = (1 - rate) * a / (a + b) * betainc(a + 1, b, rate)
        missed = rate * b / (a + b) * (1 - betainc(a, b + 1, rate))
        return np.asarray(flagged + missed, np.float64)

    return 1 - float(sizes @ expected_loss(p) / len(y) / expected_loss(np.asarray(prior)))


@row_loss(
    "Brier score",
    "Mean squared error of the probability; lower is better, and always saying the share of true cases gives that share × (1 - share).",
    lower_is_better=True,
)
def brier(target: Numbers, probability: Numbers) -> Float:
    """(probability - target)² (Brier, Monthly Weather Review 78(1), 1950), one a row: fit for tests of equal forecasts."""
    y = _zero_one(target, _probability(probability))
    return np.asarray(np.square(np.asarray(probability, np.float64) - y), np.float64)


@row_loss(
    "Log loss", "Mean surprise at what came true; one certain and wrong prediction costs as much as dozens of doubtful ones.", lower_is_better=True, unit="nats"
)
def log_loss(target: Numbers, probability: Numbers) -> Float:
    """-log of the probability of what came true, probabilities kept 1e-15 away from 0 and 1 (Good, JRSS B 14(1), 1952)."""
    y = _zero_one(target, _probability(probability))
    p = np.clip(np.asarray(probability, np.float64), 1e-15, 1 - 1e-15)
    return np.asarray(-np.where(y == 1, np.log(p), np.log1p(-p)), np.float64)


@score_of_set(
    "Calibration error",
    f"Mean gap between probability and frequency over groups of cases with similar probabilities; {CALIBRATED}",
    lower_is_better=True,
    unit="share",
)
def ece(target: Numbers, probability: Numbers, bins: int = 15) -> float:
    """Expected calibration error over `bins` groups of equal size; equal probabilities are never parted.

    probability (n,) of class 1; or (n, classes), of which the largest is taken as the confidence that the class it names
    (target (n,) holds class numbers) is right. Naeini, Cooper and Hauskrecht, AAAI 2015; groups of equal size (Nguyen and
    O'Connor, EMNLP 2015) rather than of equal width, since default and fraud live in the lowest tenth of the scale.
    """
    p = _probability(probability)
    if p.ndim == 2:
        check_finite(target)
        hit, p = (p.argmax(axis=1) == np.asarray(target)).astype(np.float64), p.max(axis=1)
    else:
        hit = _zero_one(target, p)
    values, place, sizes = np.unique(p, return_inverse=True, return_counts=True)
    middle = np.cumsum(sizes) - (sizes + 1) / 2
    group = (middle * bins / len(p)).astype(np.int64)[place]
    return float(np.abs(np.bincount(group, weights=values[place] - hit)).sum() / len(p))


@score_of_set(
    "Population stability",
    "How far the scores have moved from those of the training period: below 0.1 is stable, above 0.25 the model sees another population.",
    lower_is_better=True,
)
def psi(reference: Numbers, score: Numbers, bins: int = 10) -> float:
    """Σ (a - e) ln(a/e) over the tenths of the reference scores, e and a the shares of reference and new scores, at least 1e-4 each.

    The symmetric divergence of Kullback and Leibler between two binned populations, as credit scoring uses it (Siddiqi, Credit Risk Scorecards, 2006).
    """
    check_finite(reference, score)
    edges = np.unique(np.quantile(reference, np.arange(1, bins) / bins))
    e, a = (np.maximum(np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1) / len(x), 1e-4) for x in (reference, score))
    return float((a - e) @ np.log(a / e))


@score_of_set(
    "Cost saved",
    "Share of the losses of the better of doing nothing and checking everything that is saved by checking each case whose expected loss exceeds its cost.",
    lower_is_better=False,
    unit="share",
)
def cost_saved(target: Numbers, probability: Numbers, amount: Numbers, check_cost: float = 10.0) -> float:
    """1 - cost / min(cost of no check, cost of checking all), a check costing `check_cost` and a missed fraud its amount.

    A case is checked when probability × amount > `check_cost`, so only calibrated probabilities save: Bahnsen, Stojanovic, Aouada
    and Ottersten, Improving credit card fraud detection with calibrated probabilities, SIAM Data Mining 2014.
    """
    y = _zero_one(target, _probability(probability))
    check_finite(amount)
    checked = np.asarray(probability, np.float64) * amount > check_cost
    cost = check_cost * float(checked.sum()) + float((y * amount)[~checked].sum())
    trivial = min(float(y @ amount), check_cost * len(y))
    if trivial <= 0:
        raise DataError(
            f"cost_saved: there is nothing to save, with {int(y.sum())} true cases of {len(y)} and a check at {check_cost:g}; score rows with frauds"
        )
    return 1 - cost / trivial


@score_of_set(
    "Macro F1",
    "Mean over the classes of the harmonic mean of precision and recall: a class that is rare counts as much as one that is common.",
    lower_is_better=False,
)
def macro_f1(target: Names, predicted: Names) -> float:
    """Mean F1 = 2 hits / (cases + predictions) over the classes that occur in either; a class never rightly predicted has 0.

    The mean of the classes' F1, not the F1 of mean precision and recall: Opitz and Burst, Macro F1 and macro F1, arXiv:1911.03347, 2019.
    """
    if not len(target) or len(target) != len(predicted):
        raise DataError(f"macro_f1: {len(target)} targets and {len(predicted)} predictions; give the same number of both, at least one")
    classes, code = np.unique(np.concatenate([target, predicted]), return_inverse=True)
    true, said = np.split(code, 2)
    cases, predictions, hits = (np.bincount(x, minlength=len(classes)) for x in (true, said, true[true == said]))
    return float((2 * hits / (cases + predictions)).mean())


@score_of_set(
    "Macro F1, long documents",
    "Macro F1 on the documents that do not fit into 512 tokens, where a model that cuts them off there has to guess the rest.",
    lower_is_better=False,
)
def macro_f1_long_documents(target: Names, predicted: Names, tokens: Numbers) -> float:
    """`macro_f1` (Opitz and Burst 2019) of the rows with more than 512 tokens; raises `DataError` when there is none."""
    long = np.asarray(tokens) > 512
    return macro_f1(np.asarray(target)[long], np.asarray(predicted)[long])


def _curve(target: Numbers, score: Numbers) -> tuple[Float, Float]:
    """False and true positives when everything from a distinct score up is flagged, from none to all. Shape: (distinct + 1,) each."""
    y = _binary(target, score)
    order = np.argsort(-np.asarray(score, np.float64))
    ranked = np.asarray(score)[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(y) - 1)
    true = np.cumsum(y[order])[last]
    return np.concatenate([[0.0], last + 1 - true]), np.concatenate([[0.0], true])


def _binary(target: Numbers, score: Numbers) -> Float:
    y = _zero_one(target, score)
    if not 0 < y.sum() < len(y):
        raise DataError(f"metrics: {int(y.sum())} of {len(y)} rows are of class 1; a ranking is scored on rows of both classes")
    return y


def _zero_one(target: Numbers, score: Numbers) -> Float:
    check_finite(target, score)
    y = np.asarray(target, np.float64)
    if y.shape != np.shape(score):
        raise DataError(f"metrics: targets of shape {y.shape} and predictions of shape {np.shape(score)}; give one prediction a target")
    if broken := int(np.count_nonzero((y != 0) & (y != 1))):
        raise DataError(f"metrics: {broken} of {y.size} targets are neither 0 nor 1; give the class as 0 or 1")
    return y


def _probability(values: Numbers) -> Float:
    check_finite(values)
    p = np.asarray(values, np.float64)
    if broken := int(np.count_nonzero((p < 0) | (p > 1))):
        raise DataError(f"metrics: {broken} of {p.size} probabilities lie outside 0 to 1; calibrate the score first")
    return p
