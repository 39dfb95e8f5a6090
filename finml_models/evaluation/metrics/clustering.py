"""Regimes and other groupings whose names mean nothing: labels (n,) of any type, rows in the order of time."""

from __future__ import annotations

import numpy as np

from finml_models.core.errors import DataError

from .registry import Float, Names, Numbers, check_finite, score_of_set

AGREEMENT = "1 is the same grouping whatever the groups are called, 0 what chance would give."


@score_of_set("ARI", f"Agreement of the groups found with the true ones; {AGREEMENT}", lower_is_better=False)
def ari(target: Names, predicted: Names) -> float:
    """Adjusted Rand index (Hubert and Arabie, Journal of Classification 2, 1985); 1 for two groupings that are both trivial in the same way."""
    table = _contingency(target, predicted)
    pairs, of_rows, of_columns, all_ = (float((x * (x - 1) / 2).sum()) for x in (table, table.sum(axis=1), table.sum(axis=0), table.sum()))
    expected = of_rows * of_columns / all_ if all_ else 0.0
    largest = (of_rows + of_columns) / 2
    return 1.0 if largest == expected else (pairs - expected) / (largest - expected)


@score_of_set("ARI between refits", f"Agreement of the regimes that one fit and the next one give to the same days; {AGREEMENT}", lower_is_better=False)
def refit_ari(before: Names, after: Names) -> float:
    """`ari` of the labels of the same rows by two fits: stability (Lange, Roth, Braun and Buhmann, Neural Computation 16(6), 2004).

    Rows that no earlier fit labelled, those of the first fold, are NaN in `before` and left out.
    """
    before, after = np.asarray(before), np.asarray(after)
    known = before == before  # noqa: PLR0124  (labels may be of any type, and NaN alone differs from itself)
    return ari(before[known], after[known])


@score_of_set(
    "Mean duration",
    "Mean length of an unbroken stay in a regime; a description rather than a score, since a single regime lasts for ever.",
    lower_is_better=None,
    unit="rows",
)
def mean_duration(labels: Names, entities: Names) -> float:
    """Rows over runs of one label within an entity; rows are by entity, each in the order of time.

    What a Markov chain puts at 1 / (1 - probability of staying): Hamilton, Econometrica 57(2), 1989.
    """
    if not len(labels) or len(labels) != len(entities):
        raise DataError(f"mean_duration: {len(labels)} labels and {len(entities)} entities; give the same number of both, at least one")
    labels, entities = np.asarray(labels), np.asarray(entities)
    return len(labels) / (1 + int(np.count_nonzero((labels[1:] != labels[:-1]) | (entities[1:] != entities[:-1]))))


@score_of_set(
    "Separation of volatility",
    "Share of the differences in the next month's log volatility that the regimes explain; 0 says that a regime tells nothing about the month ahead.",
    lower_is_better=False,
    unit="share",
)
def next_month_volatility_separation(labels: Names, next_volatility: Numbers) -> float:
    """Sum of squares of log volatility between the regimes over the total one, the R² of a one-way analysis of variance.

    The correlation ratio η² of Pearson, On the general theory of skew correlation and non-linear regression, 1905.
    Every additional regime raises it by chance by about 1/n: compare with the same number of regimes on shuffled labels.
    Rows whose next month is not over yet are NaN in `next_volatility` and left out.
    """
    over = ~np.isnan(np.asarray(next_volatility, np.float64))
    labels, volatility = np.asarray(labels)[over], np.asarray(next_volatility, np.float64)[over]
    check_finite(volatility)
    if volatility.min() <= 0:
        raise DataError(f"next_month_volatility_separation: a volatility of {volatility.min():g} has no logarithm; leave out rows without movement")
    y = np.log(volatility)
    _, code, counts = np.unique(labels, return_inverse=True, return_counts=True)
    total = float(np.square(y - y.mean()).sum())
    # The mean of equal numbers can differ from them by a rounding.
    if total <= 1e-24 * len(y) * max(float(np.square(y).max()), 1.0):
        raise DataError(f"next_month_volatility_separation: all {len(y)} volatilities are equal; score rows on which they differ")
    means: Float = np.bincount(code, weights=y) / counts
    return float(counts @ np.square(means - y.mean())) / total


def _contingency(a: Names, b: Names) -> Float:
    if not len(a) or len(a) != len(b):
        raise DataError(f"ari: {len(a)} and {len(b)} labels; give the same number of both, at least one")
    (first, i), (second, j) = (np.unique(x, return_inverse=True) for x in (a, b))
    return np.bincount(i * len(second) + j, minlength=len(first) * len(second)).reshape(len(first), len(second)).astype(np.float64)
