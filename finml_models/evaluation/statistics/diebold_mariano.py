"""Do two forecasts lose equally on average? Diebold and Mariano's test, and the averaging by date that must come before it.

The variance of a mean loss differential is estimated with equally weighted cosines and Student's t (`long_run`). The
classical choice, Bartlett weights with the correction of Harvey, Leybourne and Newbold, is `variance="bartlett"`: with
labels that overlap over 22 dates it rejects a true null two or three times as often as promised, the cosines about as
often as promised. `docs/evaluation.md` shows the measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finml_models.core.errors import DataError

from .arrays import Alternative, Float, paired
from .long_run import bartlett_variance, cosine_variance

Variance = Literal["cosine", "bartlett"]


@dataclass(frozen=True, slots=True)
class DMResult:
    """`statistic` = `mean` / `se` against Student's t with `degrees` degrees of freedom; `mean` is of loss a minus loss b over `n` dates."""

    statistic: float
    p: float
    mean: float
    se: float
    n: int
    degrees: float

    def interval(self, level: float) -> tuple[float, float]:
        """The central interval of `level` for the mean difference, from the same variance and distribution as `p`."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.degrees, (1 + level) / 2)) * self.se
        return self.mean - half, self.mean + half


def by_date(times: NDArray[np.datetime64], values: Float) -> tuple[NDArray[np.datetime64], Float]:
    """(d,) ascending dates and (d,) or (d, k) means of `values` (n,) or (n, k) on each: entities of a date are one observation."""
    dates, day = np.unique(times, return_inverse=True)
    return dates, means_of(day, values)


def means_of(groups: NDArray[np.intp], values: Float) -> Float:
    """(g,) or (g, k) means of `values` (n,) or (n, k) over the rows of each number that `groups` (n,) holds, ascending."""
    counts = np.bincount(groups)
    columns = values.reshape(len(values), -1)
    sums = np.stack([np.bincount(groups, weights=column) for column in columns.T], axis=1)
    held = counts > 0
    return np.asarray((sums[held] / counts[held, None]).reshape(-1, *values.shape[1:]))


def diebold_mariano(loss_a: ArrayLike, loss_b: ArrayLike, *, horizon: int, alternative: Alternative = "two-sided", variance: Variance = "cosine") -> DMResult:
    """Test of equal expected loss on two series of losses, (n,) each, ordered by date.

    Diebold and Mariano, Journal of Business & Economic Statistics 13(3), 1995, eq. 7: mean(d) / sqrt(long-run variance / n),
    d = loss a - loss b. `horizon` is the number of dates a label spans; neighbouring differentials then correlate over
    `horizon` - 1 dates. `variance="bartlett"` is Newey and West's with the factor of Harvey, Leybourne and Newbold,
    International Journal of Forecasting 13(2), 1997, eq. 9. `alternative="less"`: loss a is smaller. Two equal series give
    statistic 0 and p = 1. Raises `DataError` for fewer than 10 dates or 4 label lengths, unequal lengths or losses that are
    not finite.
    """
    a, b = paired("diebold_mariano", loss_a, loss_b)
    if len(a) < max(10, 4 * horizon):
        raise DataError(f"diebold_mariano: {len(a)} dates are too few for labels of {horizon} dates; score at least {max(10, 4 * horizon)}")
    d = a - b
    mean, se, degrees = standard_errors(d, horizon=horizon, variance=variance)
    # A difference below the rounding error of the losses themselves is no difference.
    if abs(mean) <= 1e-14 * float(np.abs(a).mean() + np.abs(b).mean()):
        return DMResult(0.0, 1.0, float(mean), float(se), len(d), degrees)
    statistic = float(mean / se) if se > 0 else float(np.copysign(np.inf, mean))
    return DMResult(statistic, float(student_p(statistic, degrees, alternative)), float(mean), float(se), len(d), degrees)


def standard_errors(d: Float, *, horizon: int, variance: Variance = "cosine") -> tuple[Float, Float, float]:
    """Means (...,), their standard errors (...,) and degrees of freedom, of many series of differentials (..., n) at once."""
    estimate, degrees = (cosine_variance if variance == "cosine" else bartlett_variance)(d, horizon)
    return d.mean(axis=-1), np.sqrt(estimate / d.shape[-1]), degrees


def student_p(statistic: ArrayLike, degrees: float, alternative: Alternative) -> Float:
    """p-values of statistics that follow Student's t under the null."""
    from scipy.special import stdtr

    t = np.asarray(statistic, np.float64)
    return np.asarray({"less": stdtr(degrees, t), "greater": stdtr(degrees, -t), "two-sided": 2 * stdtr(degrees, -np.abs(t))}[alternative])
