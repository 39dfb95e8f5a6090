"""Two strategies over the same dates: differences of mean, Sharpe ratio and certainty equivalent with intervals and p-values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .metrics.returns import YEAR, net_information_ratio
from .statistics import block_length, bootstrap_difference, bootstrap_means
from .statistics.arrays import Float, paired, probability
from .strategy_section import MULTIPLES, RISK_AVERSION, Difference, Versus, VersusAtCost


def versus(
    net: Callable[[float], Float],
    reference: Callable[[float], Float],
    *,
    name: str,
    periods: int = YEAR,
    level: float = 0.9,
    seed: int = 0,
    replicates: int = 1000,
) -> Versus:
    """The strategy minus the reference at every multiple of costs; `net(multiple)` and `reference(multiple)` are series (t,) over the same dates.

    Means and Sharpe ratios by `bootstrap_difference`, certainty equivalents by `certainty_equivalent_difference`.
    """

    def at(multiple: float) -> VersusAtCost:
        a, b = net(multiple), reference(multiple)
        return VersusAtCost(
            multiple=multiple,
            mean=_annual(a, b, "mean", periods, level, seed, replicates),
            sharpe=_annual(a, b, "sharpe", float(np.sqrt(periods)), level, seed, replicates),
            certainty_equivalent=certainty_equivalent_difference(a, b, periods=periods, level=level, seed=seed, replicates=replicates),
            information_ratio=net_information_ratio(a, b, periods),
        )

    return Versus(reference=name, level=level, at=tuple(at(multiple) for multiple in MULTIPLES))


def certainty_equivalent_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    risk_aversion: float = RISK_AVERSION,
    periods: int = YEAR,
    level: float = 0.9,
    seed: int = 0,
    replicates: int = 1000,
) -> Difference:
    """Annual difference of the certainty equivalents mean - γ/2 variance of two paired series of returns (t,), net of costs.

    Paired stationary bootstrap (Politis and Romano, JASA 89(428), 1994) of the first two moments, blocks of the automatic
    length of the difference's influence function. The interval is symmetric, from the distances of the replicates to the
    difference, and p is the share of replicates at least the difference above it: the test that equal strategies pass.
    Two equal series give p = 1. Raises `DataError` for fewer than 40 dates.
    """
    probability("certainty_equivalent_difference", "level", level)
    x, y = paired("certainty_equivalent_difference", a, b, least=40)
    e = np.stack([x - x.mean(), y - y.mean()], axis=1)
    half = risk_aversion / 2 * len(x) / (len(x) - 1)

    def value(first: Float, second: Float) -> Float:
        """(...,) difference from means and mean squares (..., 2) of what is left after the sample's means."""
        equivalents = first - half * (second - np.square(first))
        return np.asarray(equivalents[..., 0] - equivalents[..., 1])

    center = float(x.mean() - y.mean())
    estimate = center + float(value(e.mean(axis=0), np.square(e).mean(axis=0)))
    influence = (x - half * np.square(e[:, 0])) - (y - half * np.square(e[:, 1]))
    means = bootstrap_means(np.concatenate([e, np.square(e)], axis=1), block=block_length(influence).stationary, seed=seed, n=replicates)
    away = center + value(means[:, :2], means[:, 2:]) - estimate
    reach = float(np.quantile(np.abs(away), level))
    p = (1 + int((away >= estimate).sum())) / (replicates + 1)
    return Difference(value=estimate * periods, low=(estimate - reach) * periods, high=(estimate + reach) * periods, p=p)


def _annual(a: Float, b: Float, of: Literal["mean", "sharpe"], factor: float, level: float, seed: int, replicates: int) -> Difference:
    try:
        found = bootstrap_difference(a, b, of=of, level=level, alternative="greater", seed=seed, replicates=replicates)
    except DataError as error:
        raise DataError(f"strategy and its reference, {of}: {error}") from error
    return Difference(value=found.difference * factor, low=found.low * factor, high=found.high * factor, p=found.p)
