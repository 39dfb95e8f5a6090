"""A comparison of two versions that may be read at any time: confidence sequences instead of intervals for one sample size.

Whoever looks at an ordinary test again and again, and stops when it says yes, is wrong far more often than it promises. A
confidence sequence holds the true difference at all times at once with its level, so that looking is free. `tests/monitoring`
shows by simulation how often it errs under continuous looking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finml_models.core.errors import DataError
from finml_models.evaluation.statistics.arrays import Float, finite, probability

FIRST_LOOK = 50
"""Units before anything is said: the sequence is asymptotic, and the simulations hold its level from here on."""
COCHRAN = 25
"""Units that a mean needs for its normal approximation, in units of the squared skewness (Cochran, Sampling techniques, 1953, section 2.15):
losses of rare events, such as frauds in a small share of the traffic, wait longer for the first look."""
TUNED_FOR = 200
"""Units at which the sequence is narrowest."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Running mean of n units with the confidence sequence of `level` about it; NaN while it is too early to look. Shape: (n,) each."""

    mean: Float
    low: Float
    high: Float
    level: float

    def __len__(self) -> int:
        return len(self.mean)


def confidence_sequence(units: ArrayLike, *, alpha: float = 0.05, horizon: int = 1, first: int = FIRST_LOOK, tuned: int = TUNED_FOR) -> Sequence:
    """The asymptotic confidence sequence for the mean of a series (n,), two-sided, ordered by time.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences,
    arXiv:2103.06476, theorem 2.2: mean ± sd · sqrt(2 (t ρ² + 1) / (t² ρ²) · log(sqrt(t ρ² + 1) / α)), ρ by their approximation for
    the narrowest interval at `tuned` units. It rests on a strong approximation by a Gaussian walk. Where `horizon` > 1 the units
    are averages of consecutive blocks as long as their labels, so that only neighbouring blocks are dependent; the walk then has
    the long-run variance γ0 + 2 γ1 (Berkes, Liu and Wu, Annals of Probability 42(2), 2014), which takes the place of sd², but
    never below γ0.
    """
    probability("confidence_sequence", "alpha", alpha)
    x = finite("confidence_sequence", units, least=0)
    t = np.arange(1, len(x) + 1, dtype=np.float64)
    mean = np.cumsum(x) / t
    deviation = np.sqrt(_running_variance(x, mean, t, dependent=horizon > 1))
    rho2 = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / tuned
    half = deviation * np.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * np.log(np.sqrt(t * rho2 + 1) / alpha))
    early = t < np.maximum(max(first, 2), COCHRAN * _running_skewness(x, mean, t) ** 2)
    return Sequence(mean, np.where(early, np.nan, mean - half), np.where(early, np.nan, mean + half), 1 - alpha)


def split_sequence(loss: ArrayLike, challenger: NDArray[np.bool_], share: ArrayLike, *, alpha: float = 0.05) -> Sequence:
    """`confidence_sequence` of `randomised` units, (n,) each: challenger less champion.

    The first look waits until the smaller arm alone has the units that the skewness of all losses asks for: before an arm has seen
    its first rare event, nothing in it says that there are any.
    """
    units = randomised(loss, challenger, share)
    y, t = finite("split_sequence", loss, least=0), np.arange(1, len(units) + 1, dtype=np.float64)
    smaller = np.minimum(np.cumsum(challenger), np.cumsum(~challenger))
    ready = smaller >= np.maximum(FIRST_LOOK, COCHRAN * _running_skewness(y, np.cumsum(y) / t, t) ** 2)
    found = confidence_sequence(units, alpha=alpha)
    return replace(found, low=np.where(ready, found.low, np.nan), high=np.where(ready, found.high, np.nan))


def blocks(values: ArrayLike, length: int) -> Float:
    """(n // length,) means of consecutive blocks of a series (n,) by date; dates of a block that is not whole yet wait for the next look."""
    x = finite("blocks", values, least=0)
    whole = len(x) // length
    return np.asarray(x[: whole * length].reshape(whole, length).mean(axis=1), np.float64)


def randomised(loss: ArrayLike, challenger: NDArray[np.bool_], share: ArrayLike) -> Float:
    """(n,) pseudo-outcomes whose mean is the challenger's expected loss less the champion's, from units of which each was answered by one.

    The augmented inverse-probability-weighted score of a randomised experiment (Waudby-Smith et al. 2021, section 3; Robins, Rotnitzky
    and Zhao, JASA 89(427), 1994): unit i went to the challenger with known probability `share` (n,), and each arm's mean over the
    units before it (of both arms, while one has none) takes out their level. No unit looks at itself or at a later one, so the mean
    is exact whatever those means are.
    """
    y = finite("randomised", loss, least=0)
    p = finite("randomised", share, least=0)
    if not len(y) == len(challenger) == len(p):
        raise DataError(f"randomised: {len(y)} losses, {len(challenger)} arms and {len(p)} shares; give one of each a unit")
    if ((p <= 0) | (p >= 1)).any():
        raise DataError("randomised: a share is 0 or 1, and then nothing is drawn; leave out the time before and after the split")
    arm = challenger.astype(np.float64)
    both = _before(y, np.ones_like(y), np.zeros_like(y))
    level = [_before(y, weight, both) for weight in (1 - arm, arm)]
    return np.asarray(level[1] - level[0] + arm / p * (y - level[1]) - (1 - arm) / (1 - p) * (y - level[0]), np.float64)


def _before(y: Float, weight: Float, otherwise: Float) -> Float:
    """(n,) weighted mean of what came before each value; before the first that counts, what is given."""
    total, count = np.cumsum(weight * y) - weight * y, np.cumsum(weight) - weight
    return np.asarray(np.divide(total, count, out=otherwise.copy(), where=count > 0))


def _running_variance(x: Float, mean: Float, t: Float, *, dependent: bool) -> Float:
    """(n,) variance of the first t values; of dependent ones with twice their first autocovariance, where that is above 0."""
    # About the first value: losses of 1e-9 about a mean of 1 would lose their digits.
    y, m = x - x[:1], mean - x[:1]
    variance = np.maximum(np.cumsum(y**2) / t - m**2, 0)
    if dependent and len(x) > 1:
        products = np.concatenate([[0.0], np.cumsum(y[1:] * y[:-1])])
        ends = 2 * np.cumsum(y) - y - y[:1]
        first = (products - m * ends + (t - 1) * m**2) / t
        variance = variance + 2 * np.maximum(first, 0)
    return np.asarray(variance, np.float64)


def _running_skewness(x: Float, mean: Float, t: Float) -> Float:
    """(n,) skewness of the first t values, 0 of constant ones."""
    y, m = x - x[:1], mean - x[:1]
    second, third = np.cumsum(y**2) / t, np.cumsum(y**3) / t
    variance = np.maximum(second - m**2, 0)
    cubed = third - 3 * m * second + 2 * m**3
    return np.asarray(np.divide(cubed, variance**1.5, out=np.zeros_like(y), where=variance**1.5 > 0))
