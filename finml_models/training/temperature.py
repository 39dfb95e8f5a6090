"""Temperature scaling: one number that makes a classifier as sure of itself as it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST, HIGHEST = 0.05, 20.0


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities (n, classes) of logits (n, classes), or the mean over members of those of (n, members, classes)."""
    z = logits.astype(np.float64) / temperature
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return np.asarray(p.mean(axis=1) if p.ndim == 3 else p, np.float32)


def best_temperature(logits: NDArray[np.float32], target: NDArray[np.int64]) -> float:
    """The temperature with the least log loss on rows that were not learned from; 1 where there are none.

    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017. The ranking of classes stays. Shapes:
    logits as in `softmax`, target (n,) class numbers.
    """
    from scipy.optimize import minimize_scalar

    if not len(target):
        return 1.0
    rows = np.arange(len(target))

    def loss(log_temperature: float) -> float:
        p = softmax(logits, float(np.exp(log_temperature)))[rows, target]
        return float(-np.log(np.maximum(p.astype(np.float64), 1e-12)).mean())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
