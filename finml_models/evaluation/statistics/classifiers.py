"""Two classifiers on the same cases: areas under the ROC curve (DeLong) and decisions (McNemar)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Alternative, Float, events, normal_p, paired


@dataclass(frozen=True, slots=True)
class DeLongResult:
    """`difference` = `auc_a` - `auc_b`, `se` its standard error, `statistic` their ratio, standard normal under the null."""

    auc_a: float
    auc_b: float
    difference: float
    se: float
    statistic: float
    p: float
    positives: int
    negatives: int

    def interval(self, level: float) -> tuple[float, float]:
        """The central interval of `level` for the difference of the areas."""
        from scipy.special import ndtri

        half = float(ndtri((1 + level) / 2)) * self.se
        return self.difference - half, self.difference + half


def delong(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike, *, alternative: Alternative = "two-sided") -> DeLongResult:
    """Test that two scores, (n,) each, rank the same cases equally well. `alternative="greater"`: a has the larger area.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988, computed from midranks in O(n log n) by Sun and Xu, IEEE
    Signal Processing Letters 21(11), 2014. Cases must be independent: with several of one customer or event, take one.
    Raises `DataError` unless there are at least 2 cases of either label.
    """
    truth = events("delong labels", labels)
    a, b = paired("delong", scores_a, scores_b)
    if truth.shape != a.shape:
        raise DataError(f"delong: {len(truth)} labels for {len(a)} scores; pass one label a score")
    if min(truth.sum(), (~truth).sum()) < 2:
        raise DataError(f"delong: {int(truth.sum())} positives and {int((~truth).sum())} negatives; it needs at least 2 of each")
    scores = np.stack([a, b])
    areas, covariance = auc_covariances(scores[:, truth], scores[:, ~truth])
    difference = float(areas[0] - areas[1])
    se = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    certain = 0.0 if abs(difference) <= 1e-12 else float(np.copysign(np.inf, difference))
    statistic = certain if se <= 1e-12 else difference / se
    p = 1.0 if statistic == 0.0 else float(normal_p(statistic, alternative))
    return DeLongResult(float(areas[0]), float(areas[1]), difference, se, statistic, p, int(truth.sum()), int((~truth).sum()))


def auc_covariances(positives: Float, negatives: Float) -> tuple[Float, Float]:
    """Areas (..., k) and their covariances (..., k, k) of k scores of m positives (..., k, m) and n negatives (..., k, n), many samples at once."""
    from scipy.stats import rankdata

    m, n = positives.shape[-1], negatives.shape[-1]
    together = rankdata(np.concatenate([positives, negatives], axis=-1), axis=-1)
    # Share of the other side that each case outranks: the structural components V10 and V01.
    over = (together[..., :m] - rankdata(positives, axis=-1)) / n
    under = 1 - (together[..., m:] - rankdata(negatives, axis=-1)) / m
    areas = over.mean(axis=-1)
    return areas, _covariance(over) / m + _covariance(under) / n


def _covariance(values: Float) -> Float:
    e = values - values.mean(axis=-1, keepdims=True)
    return np.asarray(e @ np.swapaxes(e, -1, -2) / (values.shape[-1] - 1))


@dataclass(frozen=True, slots=True)
class McNemarResult:
    """`only_a` and `only_b` cases were right under one classifier alone; the rest says nothing."""

    only_a: int
    only_b: int
    p: float
    method: str
    n: int


def mcnemar(right_a: ArrayLike, right_b: ArrayLike, *, method: Literal["mid-p", "exact"] = "mid-p") -> McNemarResult:
    """Two-sided test that two classifiers are right equally often, from indicators (n,) of being right on the same cases.

    McNemar, Psychometrika 12(2), 1947: given the discordant cases, each goes either way with probability 1/2. `exact` adds
    up the binomial tail and so rejects less often than promised; `mid-p` counts the observed outcome half (Fagerland,
    Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013). Without discordant cases p = 1.
    """
    a, b = events("mcnemar", right_a), events("mcnemar", right_b)
    if a.shape != b.shape:
        raise DataError(f"mcnemar: {len(a)} and {len(b)} cases; both classifiers must decide the same ones")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return McNemarResult(only_a, only_b, float(discordant_p(only_a, only_b, method=method)), method, len(a))


def discordant_p(only_a: ArrayLike, only_b: ArrayLike, *, method: Literal["mid-p", "exact"] = "mid-p") -> Float:
    """p-values of many pairs of discordant counts at once."""
    from scipy.stats import binom

    x, y = np.asarray(only_a), np.asarray(only_b)
    smaller, total = np.minimum(x, y), x + y
    p = 2 * binom.cdf(smaller, total, 0.5)
    return np.asarray(np.minimum(1.0, p if method == "exact" else p - binom.pmf(smaller, total, 0.5)))
