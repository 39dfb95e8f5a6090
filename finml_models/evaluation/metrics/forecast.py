"""Forecasts of a number or its distribution. Everywhere: target and point (...), quantiles (..., levels), one value a row out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finml_models.core.errors import DataError

from .registry import Float, Numbers, check_finite, row_loss, score_of_set

LINEAR_BEYOND = 300.0
"""Error in log variance from which QLIKE continues along its tangent: exp(300) can still be squared and summed in float64."""


@row_loss(
    "QLIKE",
    "Loss of a variance forecast that still ranks forecasts rightly when realised variance is a noisy proxy, and that punishes too little variance more "
    "than too much (Patton 2011); 0 is perfect.",
    lower_is_better=True,
)
def qlike(target: Numbers, point: Numbers) -> Float:
    """exp(d) - d - 1 with d = log realised minus log forecast variance, linear beyond `LINEAR_BEYOND` (still rising, still convex).

    Patton, Volatility forecast comparison using imperfect volatility proxies, Journal of Econometrics 160(1), 2011.
    """
    check_finite(target, point)
    d = np.asarray(target, np.float64) - np.asarray(point, np.float64)
    capped = np.minimum(d, LINEAR_BEYOND)
    # expm1 keeps the digits of nearly perfect forecasts; what rounding leaves below zero is zero.
    return np.asarray(np.maximum(np.expm1(capped) - capped + (d - capped) * np.expm1(LINEAR_BEYOND), 0.0), np.float64)


@row_loss(
    "MSE of log variance",
    "Mean squared error of log variance; 0.25 means that a typical forecast is off by a factor of about 1.65 in variance.",
    lower_is_better=True,
    unit="log²",
)
def log_variance_mse(target: Numbers, point: Numbers) -> Float:
    """(target - point)² on the scale of log variance (Pagan and Schwert, Journal of Econometrics 45, 1990).

    Not robust to a noisy proxy of the variance, unlike `qlike` (Patton 2011): compare forecasts of the same proxy.
    """
    check_finite(target, point)
    return np.asarray(np.square(np.asarray(target, np.float64) - np.asarray(point, np.float64)), np.float64)


@row_loss(
    "Pinball loss",
    "Mean loss over the predicted quantiles, each of which is minimised in expectation by the true quantile; in units of the target.",
    lower_is_better=True,
    unit="log",
)
def pinball(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    """Mean over the levels q of max(q e, (q - 1) e), e = target - quantile (Koenker and Bassett, Econometrica 46(1), 1978)."""
    return np.asarray(_pinballs(target, quantiles, levels).mean(axis=-1), np.float64)


@row_loss(
    "CRPS",
    "Distance between the predicted distribution and the outcome, in units of the target; for a forecast without any width it is the absolute error.",
    lower_is_better=True,
    unit="log",
)
def crps(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    """Continuous ranked probability score as twice the integral of the pinball loss over the levels.

    Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102(477), 2007. Each level stands for
    the probabilities nearer to it than to its neighbours, so that the sum is minimised by the true quantiles whatever the
    levels are. For a calibrated normal it is 3 % low with the 5 levels 0.05 to 0.95, in the mean, and exact in the limit.
    """
    edges = np.concatenate([[0.0], (np.asarray(levels[1:]) + np.asarray(levels[:-1])) / 2, [1.0]])
    return np.asarray(2 * _pinballs(target, quantiles, levels) @ np.diff(edges), np.float64)


def crps_of_samples(target: Numbers, samples: Numbers) -> Float:
    """CRPS from m draws of the predicted distribution, unbiased in their number. Shapes: target (...), samples (..., m ≥ 2).

    mean |x - y| - ½ mean |x - x'| over pairs of different draws (Gneiting and Raftery 2007, equation 21; Ferro, Fair scores for
    ensemble forecasts, Quarterly Journal of the Royal Meteorological Society 140, 2014), by sorting: O(m log m) a row.
    """
    check_finite(target, samples)
    x = np.sort(np.asarray(samples, np.float64), axis=-1)
    m = x.shape[-1]
    if m < 2:
        raise DataError(f"crps: {m} draw a row has no spread; give at least 2 samples")
    apart = x @ (2 * np.arange(m) - m + 1) / (m * (m - 1))
    return np.asarray(np.abs(x - np.asarray(target, np.float64)[..., None]).mean(axis=-1) - apart, np.float64)


@row_loss(
    "Coverage", "Share of outcomes inside the widest predicted interval; best when it equals the interval's nominal share.", lower_is_better=None, unit="share"
)
def coverage(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    """1 where the target lies in the closed interval between the outermost quantiles, else 0.

    Christoffersen, Evaluating interval forecasts, International Economic Review 39(4), 1998.
    """
    return inside(target, quantiles, levels, nominal_coverage(levels))


@row_loss(
    "Interval score",
    "Width of the widest predicted interval plus a penalty for outcomes outside it, in units of the target: narrow is good only while it still covers.",
    lower_is_better=True,
    unit="log",
)
def interval_score(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    """(u - l) + 2/α (l - y)⁺ + 2/α (y - u)⁺ for the outermost quantiles (Winkler, JASA 67(337), 1972; Gneiting and Raftery 2007, equation 43)."""
    alpha = 1 - nominal_coverage(levels)
    check_finite(target, quantiles)
    low, high, y = quantiles[..., 0], quantiles[..., -1], np.asarray(target, np.float64)
    return np.asarray((high - low) + 2 / alpha * (np.maximum(low - y, 0) + np.maximum(y - high, 0)), np.float64)


@score_of_set(
    "Calibration gap",
    "Largest difference between a quantile's level and the share of outcomes below that quantile; 0 is perfectly calibrated.",
    lower_is_better=True,
    unit="share",
)
def pit_deviation(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> float:
    """max over the levels q of |share(target ≤ quantile) - q|: the distance of the PIT from uniform, where the forecast says it.

    Diebold, Gunther and Tay, Evaluating density forecasts, International Economic Review 39(4), 1998.
    """
    check_finite(target, quantiles)
    below = (np.asarray(target)[..., None] <= quantiles).reshape(-1, len(levels)).mean(axis=0)
    return float(np.abs(below - np.asarray(levels)).max())


def pit(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    """Probability integral transform: the predicted probability of an outcome no larger than the target, one a row.

    Dawid, Statistical theory: the prequential approach, JRSS A 147(2), 1984. Linear between the predicted quantiles; where
    several are equal, an outcome at their place has the highest of their levels. Beyond them only the interval is known, so its
    middle stands for it: with levels from 0.05 to 0.95 a target below all quantiles gives 0.025. Uniform for a calibrated
    forecast, up to that.
    """
    check_finite(target, quantiles)
    q, y = np.asarray(quantiles, np.float64), np.asarray(target, np.float64)
    at = np.concatenate([[0.0], np.asarray(levels, np.float64), [1.0]])
    place = (y[..., None] >= q).sum(axis=-1)
    low, high = (np.take_along_axis(q, np.clip(place + k, 0, len(levels) - 1)[..., None], axis=-1)[..., 0] for k in (-1, 0))
    share = np.divide(y - low, high - low, out=np.zeros_like(y), where=high > low)
    outer = (y < q[..., 0]) | (y > q[..., -1])
    return np.asarray(at[place] + np.where(outer, 0.5, share) * (at[place + 1] - at[place]), np.float64)


def exceedances(target: Numbers, quantiles: Numbers, levels: Sequence[float], wanted: Sequence[float]) -> Float:
    """1 where the target falls below the quantile of a wanted level, else 0: the hits of a value at risk. Shape: (..., wanted).

    For returns whose quantiles were predicted; of variance forecasts take `value_at_risk` and compare.
    Raises `DataError` for a level that was not predicted.
    """
    check_finite(target, quantiles)
    columns = [_column(levels, level, "value at risk") for level in wanted]
    return (np.asarray(target)[..., None] < np.asarray(quantiles)[..., columns]).astype(np.float64)


def value_at_risk(log_variance: Numbers, wanted: Sequence[float], *, degrees: float | None = None) -> Float:
    """(..., wanted) return below which the next one falls with a wanted probability, given a forecast of its log variance.

    Normal, or Student's t with so many `degrees` of freedom (more than 2) scaled to the same variance; mean 0.
    """
    from scipy.special import ndtri, stdtrit

    check_finite(log_variance)
    p = np.asarray(wanted, np.float64)
    if degrees is not None and degrees <= 2:
        raise DataError(f"value at risk: {degrees:g} degrees of freedom have no variance; give more than 2")
    z = ndtri(p) if degrees is None else stdtrit(degrees, p) * np.sqrt((degrees - 2) / degrees)
    return np.asarray(np.exp(np.asarray(log_variance, np.float64) / 2)[..., None] * z, np.float64)


@score_of_set(
    "R² against zero",
    "Share of the squared returns that the forecast explains out of sample; a forecast of zero has 0, and more than 0.02 for daily returns suggests a leak.",
    lower_is_better=False,
    unit="share",
)
def oos_r2(target: Numbers, point: Numbers) -> float:
    """1 - Σ(y - f)² / Σy²; the mean is not taken off, as a historical mean would be too easy to beat.

    Gu, Kelly and Xiu, Empirical asset pricing via machine learning, Review of Financial Studies 33(5), 2020.
    """
    check_finite(target, point)
    y = np.asarray(target, np.float64)
    total = float(np.square(y).sum())
    if total == 0:
        raise DataError(f"oos_r2: all {y.size} targets are zero; score rows with returns")
    return 1 - float(np.square(y - point).sum()) / total


@row_loss(
    "Predictive log-likelihood",
    "Log density that the regimes' mixture gave to the return that came next; higher is better, and a difference of 0.01 a day adds up to 2.5 a year.",
    lower_is_better=False,
    unit="nats",
)
def predictive_log_likelihood(target: Numbers, probabilities: Numbers, means: Numbers, deviations: Numbers) -> Float:
    """log Σ_k p_k N(target; mean_k, deviation_k²). Shapes: target (n,), probabilities (n, k), means and deviations (k,) or (n, k).

    Amisano and Giacomini, Comparing density forecasts via weighted likelihood ratio tests, JBES 25(2), 2007.
    Raises `DataError` for deviations of 0 or less, and for probabilities that do not sum to 1, whose density would be no density.
    """
    from scipy.special import logsumexp

    check_finite(target, probabilities, means, deviations)
    if np.min(deviations) <= 0:
        raise DataError(f"predictive_log_likelihood: a deviation of {np.min(deviations):g}; give deviations above 0")
    sums = np.sum(probabilities, axis=-1)
    if np.min(probabilities) < 0 or float(np.abs(sums - 1).max()) > 1e-3:
        worst = float(sums[np.abs(sums - 1).argmax()])
        raise DataError(
            f"predictive_log_likelihood: probabilities from {np.min(probabilities):g}, a row with the sum {worst:g}; give all regimes, none below 0"
        )
    z = (np.asarray(target, np.float64)[:, None] - means) / deviations
    return np.asarray(logsumexp(-0.5 * z**2 - np.log(deviations) - 0.5 * np.log(2 * np.pi), b=probabilities, axis=-1), np.float64)


def inside(target: Numbers, quantiles: Numbers, levels: Sequence[float], level: float) -> Float:
    """1 where the target lies in the closed central interval of `level`, else 0. Raises `DataError` when its ends were not predicted."""
    tail = (1 - level) / 2
    low, high = (_column(levels, wanted, f"coverage of {level:g}, from {tail:g} and {1 - tail:g}") for wanted in (tail, 1 - tail))
    check_finite(target, quantiles)
    return ((quantiles[..., low] <= target) & (target <= quantiles[..., high])).astype(np.float64)


def nominal_coverage(levels: Sequence[float]) -> float:
    """Nominal share of the widest interval that is symmetric in probability, such as 0.9 for quantiles from 0.05 to 0.95."""
    if len(levels) < 2 or abs(levels[0] + levels[-1] - 1) > 1e-9:
        raise DataError(f"coverage: the outer levels of {list(levels)} are not symmetric around 0.5; predict q and 1 - q")
    return float(levels[-1] - levels[0])


def _pinballs(target: Numbers, quantiles: Numbers, levels: Sequence[float]) -> Float:
    check_finite(target, quantiles)
    error = np.asarray(target, np.float64)[..., None] - np.asarray(quantiles, np.float64)
    q = np.asarray(levels, np.float64)
    return np.asarray(np.maximum(q * error, (q - 1) * error), np.float64)


def _column(levels: Sequence[float], wanted: float, who: str) -> int:
    near = [place for place, level in enumerate(levels) if abs(level - wanted) < 1e-9]
    if not near:
        raise DataError(f"{who}: the quantile of {wanted:g} is needed; predicted are {list(levels)}")
    return near[0]
