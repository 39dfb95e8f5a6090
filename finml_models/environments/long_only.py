"""The convex program of a long-only investor who pays for what is traded, for many dates at once.

    maximise  μ'w - γ/2 w'Σw - c Σ |w - held|    over  w ≥ 0, Σ w = 1
It is strictly concave for a positive definite Σ, so that one w solves it. By accelerated proximal gradient (Beck and Teboulle, SIAM
Journal on Imaging Sciences 2(1), 2009) with restarts (O'Donoghue and Candès, 2015): the gradient of the smooth part, then the exact
proximal step of costs and constraints, which a Newton iteration on the multiplier of Σ w = 1 finds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

Float = NDArray[np.float64]

MOST_STEPS = 2_000
TOLERANCE = 1e-8
"""Largest change of a weight at which a program counts as solved."""


def best_weights(
    mean: Float, covariance: Float, *, risk_aversion: float, held: Float | None = None, cost: float = 0.0, members: NDArray[np.bool_] | None = None
) -> Float:
    """(n, a) weights that solve the program of each date.

    Shapes: mean (n, a), covariance (n, a, a), `held` (n, a) the weights before the trade, `members` (n, a) the assets that may be
    held, all by default. Mean, covariance and `cost` are of one period: a cost is paid once. Raises `DataError` for numbers that are
    not finite and for dates without any member.
    """
    inside = np.ones(mean.shape, np.bool_) if members is None else members
    if not (np.isfinite(mean[inside]).all() and np.isfinite(covariance).all()) or not inside.any(axis=1).all() or risk_aversion <= 0:
        raise DataError("weights: a mean or covariance is not finite, a date has no asset, or the risk aversion is not above 0; correct the estimates")
    start = np.where(inside, 1.0, 0.0) / inside.sum(axis=1, keepdims=True)
    before = np.zeros_like(start) if held is None else np.where(inside, held, 0.0)
    # The largest eigenvalue bounds the curvature.
    step = 1 / (risk_aversion * np.linalg.eigvalsh(covariance)[:, -1:])
    weights, ahead, momentum = start, start, np.ones((len(mean), 1))
    gain = np.where(inside, mean, 0.0)
    for _ in range(MOST_STEPS):
        slope = gain - risk_aversion * np.einsum("nij,nj->ni", covariance, ahead)
        new = _proximal(ahead + step * slope, before, step * cost, inside)
        change = new - weights
        # Momentum that points uphill is dropped, a date at a time.
        back = ((ahead - new) * change).sum(axis=1, keepdims=True) > 0
        following = np.where(back, 1.0, (1 + np.sqrt(1 + 4 * momentum**2)) / 2)
        ahead = new + np.where(back, 0.0, (momentum - 1) / following) * change
        weights, momentum = new, following
        if np.abs(change).max() < TOLERANCE:
            break
    return weights


def _proximal(point: Float, held: Float, cost: Float, inside: NDArray[np.bool_]) -> Float:
    """(n, a) the weights nearest to a point when each unit away from `held` costs `cost` (n, 1): w(λ) = max(0, held + shrunk(point - λ - held)).

    Σ w(λ) falls in λ, piecewise linearly, so that Newton's method from the left end of the bracket arrives in a few steps.
    """
    away = point - held
    low = np.where(inside, point, np.inf).min(axis=1, keepdims=True) - cost - 1
    high = np.where(inside, point, -np.inf).max(axis=1, keepdims=True) + cost
    level = low
    for _ in range(60):
        shifted = away - level
        moved = np.sign(shifted) * np.maximum(np.abs(shifted) - cost, 0.0)
        weights = np.where(inside, np.maximum(held + moved, 0.0), 0.0)
        excess = weights.sum(axis=1, keepdims=True) - 1
        if np.abs(excess).max() < 1e-12:
            break
        low, high = np.where(excess > 0, level, low), np.where(excess < 0, level, high)
        free = (inside & (weights > 0) & (np.abs(shifted) > cost)).sum(axis=1, keepdims=True)
        newton = level + excess / np.maximum(free, 1)
        # Where the sum is flat, or Newton leaves the bracket, halve it.
        level = np.where((free > 0) & (newton > low) & (newton < high), newton, (low + high) / 2)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
