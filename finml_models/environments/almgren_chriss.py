"""The closed form of Almgren and Chriss, Optimal execution of portfolio transactions, Journal of Risk 3(2), 2000.

An order of size 1 is traded in k equal intervals. Slice n costs n · (spread + η n + γ · what was traded before), and what is left,
x, bears the price's variance σ² an interval. The schedule that minimises E[cost] + λ · Var[cost] is the discrete one of their
equation 20; solved again from any state on the way it is the same schedule, so it is also a policy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

CALM = 1e-6
"""An urgency below which the schedule is a straight line to more digits than float64 has in its hyperbolic form."""


def urgency(risk_aversion: float, variance: Float, temporary: Float, permanent: Float) -> Float:
    """κ an interval: 2 (cosh κ - 1) = λ σ² / (η - γ/2), their equations 16 and 17 for intervals of length 1.

    `variance` in bp² an interval, `temporary` (η) and `permanent` (γ) in bp for an order of size 1, `risk_aversion` (λ) in 1/bp.
    Raises `ValueError` where η - γ/2 is not positive: then trading faster costs less and there is no optimum.
    """
    slope = np.asarray(temporary - permanent / 2, np.float64)
    if not (slope > 0).all():
        raise ValueError(f"temporary: {np.min(slope):g} after half of the permanent impact is not positive; the model needs temporary > permanent / 2")
    return np.arccosh(1 + risk_aversion * np.asarray(variance, np.float64) / slope / 2)


def first_slice(kappa: Float, left: Float, share: Float) -> Float:
    """Share of what is left that the next interval trades: 1 - sinh(κ k (1 - m)) / sinh(κ k).

    `left` is the number k of intervals that are left, and `share` the part m of the remaining time that the next one takes: 1/k on
    the clock, or its part of the expected volume where time is measured in volume.
    """
    whole = np.asarray(kappa * left, np.float64)
    rest = np.clip(1 - np.asarray(share, np.float64), 0.0, 1.0)
    steep = np.maximum(whole, CALM)
    # sinh(a) / sinh(b) without overflow: both are scaled by exp(-b).
    curved = np.exp(-steep * (1 - rest)) * (1 - np.exp(-2 * steep * rest)) / (1 - np.exp(-2 * steep))
    return 1 - np.where(whole < CALM, rest, curved)


def holdings(kappa: Float, intervals: NDArray[np.int64], most: int) -> Float:
    """(n, most + 1) what is left of each order before interval 0, 1, …: sinh(κ (N - j)) / sinh(κ N), 0 from its end on."""
    left = np.clip(intervals[:, None] - np.arange(most + 1), 0, None)
    whole = np.maximum(kappa * intervals, CALM)[:, None]
    part = left / intervals[:, None]
    curved = np.exp(-whole * (1 - part)) * (1 - np.exp(-2 * whole * part)) / (1 - np.exp(-2 * whole))
    return np.where(whole <= CALM, part, curved)


def expected_cost(slices: Float, half_spread: Float, temporary: Float, permanent: Float) -> Float:
    """(n,) mean cost in bp of slices (n, t) that sum to 1: spread + η Σ n² + γ (1 - Σ n²) / 2, their equation 4 for intervals of length 1."""
    squares = (slices**2).sum(axis=1)
    return np.asarray(half_spread + temporary * squares + permanent * (1 - squares) / 2, np.float64)
