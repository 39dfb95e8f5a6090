"""Can the better of two forecasts be told in advance? Giacomini and White's test of equal conditional predictive ability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Float, paired
from .diebold_mariano import standard_errors, student_p

Law = Literal["student", "wald"]


@dataclass(frozen=True, slots=True)
class GWResult:
    """`statistic` and `p` of the joint test over `n` pairs of a label and the newest one known before it.

    `p_mean` says whether one forecast is better on average, `p_lagged` whether the last known differential tells which will
    be, both alone. `next_difference` is loss a minus loss b expected of the next label, given the last known one;
    `prefers_a` the share of dates on which a smaller loss of a was expected.
    """

    statistic: float
    p: float
    p_mean: float
    p_lagged: float
    mean: float
    next_difference: float
    prefers_a: float
    n: int


def giacomini_white(loss_a: ArrayLike, loss_b: ArrayLike, *, horizon: int, law: Law = "student") -> GWResult:
    """Test that neither a constant nor the last known differential predicts the next one: E[d(t) | what is known at t] = 0.

    Giacomini and White, Econometrica 74(6), 2006, with the test function h(t) = (1, d(t - horizon)): losses are those of
    decisions at t, (n,) each, ordered by date, whose label of `horizon` dates is known at t + horizon, so that
    d(t - horizon) is the newest known at t.

    `law="wald"` is the paper's statistic n z' Ω⁻¹ z (theorems 1 and 3; z the mean of h(t) d(t), Ω by Bartlett weights over
    `horizon` - 1 lags), chi-square with 2 degrees of freedom. With overlapping labels it rejects a true null in 10 to 12 %
    of the cases at a nominal 5 %. The default therefore tests the two elements of z by themselves, each with Student's t on
    the cosines of `long_run`, and takes twice the smaller p: `statistic` is then the larger of the two |t|.

    Raises `DataError` for fewer than 20 dates or 8 label lengths, or where the differential is constant.
    """
    least = max(20, 8 * horizon)
    a, b = paired("giacomini_white", loss_a, loss_b, least=least)
    d = a - b
    if float(np.ptp(d)) <= 1e-14 * float(np.abs(a).mean() + np.abs(b).mean()):
        raise DataError("giacomini_white: the loss differential is constant, so nothing can be told in advance; compare two different forecasts")
    t, p = conditional_tests(d, horizon=horizon)
    statistic, joint = (float(np.abs(t).max()), min(1.0, 2 * float(p.min()))) if law == "student" else map(float, wald_test(d, horizon=horizon))
    h = np.stack([np.ones(len(d) - horizon), d[:-horizon]], axis=1)
    slopes = np.linalg.lstsq(h, d[horizon:], rcond=None)[0]
    return GWResult(
        statistic=statistic,
        p=joint,
        p_mean=float(p[0]),
        p_lagged=float(p[1]),
        mean=float(d.mean()),
        next_difference=float(slopes @ [1.0, d[-1]]),
        prefers_a=float((h @ slopes < 0).mean()),
        n=len(h),
    )


def _products(d: Float, horizon: int) -> Float:
    """(..., n - horizon, 2) h(t) d(t). The scale changes nothing but the conditioning of Ω."""
    d = d / d.std(axis=-1, keepdims=True)
    known, following = d[..., :-horizon], d[..., horizon:]
    return np.stack([following, known * following], axis=-1)


def conditional_tests(d: Float, *, horizon: int) -> tuple[Float, Float]:
    """(..., 2) t-statistics and two-sided p-values of the mean and of the lagged product, of many series (..., n) at once."""
    mean, se, degrees = standard_errors(np.moveaxis(_products(d, horizon), -1, -2), horizon=horizon)
    return mean / se, student_p(mean / se, degrees, "two-sided")


def wald_test(d: Float, *, horizon: int) -> tuple[Float, Float]:
    """(...,) statistics and p-values of the paper's test, of many series of differentials (..., n) at once."""
    from scipy.special import chdtrc

    z = _products(d, horizon)
    n, q = z.shape[-2:]
    mean, transposed = z.mean(axis=-2), np.swapaxes(z, -1, -2)
    covariance = transposed @ z / n
    for lag in range(1, horizon):
        product = transposed[..., lag:] @ z[..., :-lag, :] / n
        covariance = covariance + (1 - lag / horizon) * (product + np.swapaxes(product, -1, -2))
    statistic = n * np.einsum("...q,...q", mean, np.linalg.solve(covariance, mean[..., None])[..., 0])
    return np.asarray(statistic), np.asarray(chdtrc(q, statistic))
