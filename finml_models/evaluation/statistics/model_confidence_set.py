"""Which of several models may be the best? The model confidence set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from finml_models.core.errors import DataError

from .arrays import Float, finite
from .block_length import block_length
from .bootstrap import Scheme, bootstrap_means, cumulative

Rule = Literal["max", "range"]
Studentise = Literal["replicate", "bootstrap"]


@dataclass(frozen=True, slots=True)
class MCSResult:
    """`p` by model, in the order of `names`; `eliminated` from the worst to the last one left."""

    names: tuple[str, ...]
    p: tuple[float, ...]
    eliminated: tuple[str, ...]
    block: float
    n: int

    def members(self, alpha: float = 0.05) -> tuple[str, ...]:
        """The set that holds the best model with probability 1 - `alpha`: all models with a p of at least `alpha`."""
        return tuple(name for name, p in zip(self.names, self.p, strict=True) if p >= alpha)


def model_confidence_set(
    losses: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    horizon: int = 1,
    rule: Rule = "max",
    studentise: Studentise = "replicate",
    block: float | None = None,
    scheme: Scheme = "stationary",
    seed: int = 0,
    replicates: int = 1000,
) -> MCSResult:
    """The model confidence set of losses (n, models), ordered by date, paired by row.

    Hansen, Lunde and Nason, Econometrica 79(2), 2011: as long as the models left are not found equal, drop the worst.
    `rule="max"` is T_max (each model against the mean of those left), `"range"` T_R (each pair): the first is good at
    dropping a few bad models and cannot single out one good model among many equal ones, the second can. A model's p is the largest
    of the p-values up to its elimination.

    `studentise="bootstrap"` divides by the standard deviation over replicates, as the paper does and `scheme` draws the
    blocks. It rejects too often where labels overlap, as percentile intervals do. The default divides each replicate by its
    own standard error, from the sums of its circular blocks (Götze and Künsch 1996), which holds its size (`docs/evaluation.md`).

    `horizon` is the number of dates a label spans; `block` is by default the longest automatic length over the models'
    differences from their mean, at least 2 (horizon - 1) and at most n / 8: with longer ones too few are left, and a true null
    is rejected in 2 % instead of 5 %. Models with equal losses stay or go together.
    Raises `DataError` for fewer than 2 models, 40 dates or 8 labels.
    """
    values = finite("model_confidence_set", losses, ndim=2, least=max(40, 8 * horizon))
    n, k = values.shape
    labels = tuple(names) if names is not None else tuple(map(str, range(k)))
    if k < 2 or len(labels) != k:
        raise DataError(f"model_confidence_set: {k} columns and {len(labels)} names; pass at least two models, one name each")
    centered = values - values.mean(axis=1, keepdims=True)
    length = block or float(np.clip(max(*(block_length(column).circular for column in centered.T), 2 * (horizon - 1)), 1, n // 8))
    mean = centered.mean(axis=0)
    if studentise == "bootstrap":
        deviations = bootstrap_means(centered, block=length, seed=seed, n=replicates, scheme=scheme) - mean
        covariance = deviations.T @ deviations / replicates
        covariances = covariance[None]
    else:
        length = float(np.ceil(length))
        covariance, deviations, covariances = _block_covariances(centered, int(length), seed, replicates)
    order, p = _eliminate(mean, covariance, deviations, covariances, rule)
    by_model = np.empty(k)
    by_model[order] = np.maximum.accumulate(p)
    return MCSResult(labels, tuple(map(float, by_model)), tuple(labels[i] for i in order), length, n)


def _block_covariances(values: Float, length: int, seed: int, replicates: int) -> tuple[Float, Float, Float]:
    """Covariance of the mean (k, k); deviations of the replicates' means (replicates, k), and their covariances (replicates, k, k)."""
    n, k = values.shape
    count = n // length
    if count < 4:
        raise DataError(f"model_confidence_set: a block of {length} dates fits {count} times into {n}; it must fit at least 4 times")
    mean = values.mean(axis=0)
    sums = cumulative(values - mean)
    every = sums[length : length + n] - sums[:n]
    drawn_at = np.random.default_rng(seed).integers(n, size=(replicates, count))
    deviations, covariances = np.empty((replicates, k)), np.empty((replicates, k, k))
    step = max(1, 1_000_000 // (count * k))
    for first in range(0, replicates, step):
        starts = drawn_at[first : first + step]
        drawn = sums[starts + length] - sums[starts]
        average = drawn.mean(axis=1)
        rest = drawn - average[:, None]
        deviations[first : first + step] = average / length
        covariances[first : first + step] = np.swapaxes(rest, 1, 2) @ rest / (count * length) ** 2
    return every.T @ every / n / length / n, deviations, covariances


def _eliminate(mean: Float, covariance: Float, deviations: Float, covariances: Float, rule: Rule) -> tuple[list[int], list[float]]:
    """Models from the first eliminated to the last one left, and the p-value of each step; equal models in one step share it."""
    left = np.arange(len(mean))
    order: list[int] = []
    p: list[float] = []
    while len(left) > 1:
        observed = _statistics(mean[left], covariance[np.ix_(left, left)], rule)
        resampled = _statistics(deviations[:, left], covariances[:, left[:, None], left], rule)
        worst = observed.max()
        share = float((resampled.max(axis=1) > worst).mean())
        gone = observed >= worst - 1e-10 * abs(worst)
        if gone.all():
            share = 1.0
        order += left[gone].tolist()
        p += [share] * int(gone.sum())
        left = left[~gone]
    return order + left.tolist(), p + [1.0] * len(left)


def _statistics(mean: Float, covariance: Float, rule: Rule) -> Float:
    """(..., m) how much worse each model is than the mean of all (T_max), or than that other one it is worst against (T_R), in standard errors."""
    diagonal = np.einsum("...ii->...i", covariance)
    if rule == "max":
        difference = mean - mean.mean(axis=-1, keepdims=True)
        row = covariance.mean(axis=-1)
        variance = diagonal - 2 * row + row.mean(axis=-1, keepdims=True)
        return _ratio(difference, variance, diagonal)
    difference = mean[..., :, None] - mean[..., None, :]
    variance = diagonal[..., :, None] + diagonal[..., None, :] - 2 * covariance
    return np.asarray(_ratio(difference, variance, diagonal[..., :, None] + diagonal[..., None, :]).max(axis=-1))


def _ratio(difference: Float, variance: Float, scale: Float) -> Float:
    """difference / sqrt(variance); 0 where the variance is nothing but rounding: equal models do not differ."""
    real = variance > 1e-12 * scale
    return np.asarray(np.where(real, difference / np.sqrt(np.where(real, variance, 1.0)), 0.0))
