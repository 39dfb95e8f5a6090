"""How often the strategy that looked best in one half of the history is below the median in the other half."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Float, finite


@dataclass(frozen=True, slots=True)
class OverfittingResult:
    """`probability` of backtest overfitting over `splits` halvings of the history into `blocks` blocks.

    `median_rank` is the chosen strategy's median relative rank in the other half (1 best, 0.5 chance), `loss` the share of
    halvings in which it lost there, `slope` that of its Sharpe ratio there on the one it was chosen by.
    """

    probability: float
    median_rank: float
    loss: float
    slope: float
    splits: int
    blocks: int
    strategies: int


def overfitting_probability(returns: ArrayLike, *, blocks: int = 16) -> OverfittingResult:
    """Probability of backtest overfitting of choosing the largest Sharpe ratio among the strategies in `returns` (n, strategies).

    Bailey, Borwein, López de Prado and Zhu, The probability of backtest overfitting, Journal of Computational Finance 20(4),
    2017: combinatorially symmetric cross-validation. The dates are cut into an even number of `blocks`; every choice of half
    of them is once the half in which the best strategy is chosen, its complement that in which its relative rank ω is
    taken. The result is the share of choices with log(ω / (1 - ω)) <= 0. Trailing dates that fill no block are left out.

    No test: worthless strategies give 1/2 on average, with a wide spread. Blocks should be long against the overlap of labels.
    Raises `DataError` for an odd number of blocks, fewer than 2 strategies or 4 dates a block, or a constant strategy.
    """
    if blocks < 2 or blocks % 2 or blocks > 20:
        raise DataError(f"overfitting_probability: {blocks} blocks; pass an even number from 2 to 20")
    r = finite("overfitting_probability", returns, ndim=2, least=4 * blocks)
    if r.shape[1] < 2:
        raise DataError(f"overfitting_probability: {r.shape[1]} strategies; a choice needs at least 2")
    if (np.ptp(r, axis=0) == 0).any():
        raise DataError("overfitting_probability: a strategy's returns are constant; leave out strategies that never trade")
    chosen, other, rank = half_sample_ranks(r[None], blocks)
    deviations = chosen[0] - chosen[0].mean()
    slope = float(deviations @ other[0] / max(float(deviations @ deviations), 1e-300))
    relative = rank[0] / (r.shape[1] + 1)
    return OverfittingResult(
        probability=float((relative <= 0.5).mean()),
        median_rank=float(np.median(relative)),
        loss=float((other[0] < 0).mean()),
        slope=slope,
        splits=chosen.shape[1],
        blocks=blocks,
        strategies=r.shape[1],
    )


def half_sample_ranks(returns: Float, blocks: int) -> tuple[Float, Float, Float]:
    """For histories (r, n, k): Sharpe ratios (r, c) of the chosen strategies in both halves of each of the c splits, and their midranks 1..k in the second."""
    r, n, k = returns.shape
    length = n // blocks
    cut = returns[:, : length * blocks].reshape(r, blocks, length, k)
    sums, squares = cut.sum(axis=2), np.square(cut).sum(axis=2)
    half = _halves(blocks)
    count = length * blocks // 2
    first, second = (_sharpe(sides @ sums, sides @ squares, count) for sides in (half, 1 - half))
    best = first.argmax(axis=-1)[..., None]
    own = np.take_along_axis(second, best, axis=-1)
    rank = (second < own).sum(axis=-1) + ((second == own).sum(axis=-1) + 1) / 2
    return np.take_along_axis(first, best, axis=-1)[..., 0], own[..., 0], np.asarray(rank, np.float64)


@lru_cache(maxsize=4)
def _halves(blocks: int) -> Float:
    """(c, blocks) ones where a block belongs to the half in which the choice is made."""
    picks = np.array(list(combinations(range(blocks), blocks // 2)))
    sides = np.zeros((len(picks), blocks))
    sides[np.arange(len(picks))[:, None], picks] = 1.0
    return sides


def _sharpe(sums: Float, squares: Float, count: int) -> Float:
    mean = sums / count
    return np.asarray(mean / np.sqrt(np.maximum(squares / count - mean**2, 1e-300)))
