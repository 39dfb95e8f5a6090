"""What the linear forecasters of Zeng et al. share: ridge regression from the window of one feature, in closed form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.batches import Windows
from finml_models.core.estimator import H

from ._residual import ResidualForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

CHUNK = 8_192
"""Windows that are in memory at a time."""


class LinearForecaster(ResidualForecaster[H]):
    """anchor + Wᵀ regressors + bias, where W minimises squared error plus a penalty, pooled over all series.

    The window is that of the task's first feature, which is the target's own past; neither network looks at another channel. Trained to
    the end by gradient descent these networks are least squares (Toner & Darlow 2024), which needs no learning rate and no epochs. The
    penalty is `ridge` × the mean variance of the regressors, on standardised sums, so that it means the same for every unit and size.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    @property
    @abstractmethod
    def ridge(self) -> float:
        """The penalty as a share of the regressors' mean variance."""

    @abstractmethod
    def regressors(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, length) → (n, k)."""

    @abstractmethod
    def anchor(self, window: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, length) → (n, 1), what the forecast is a deviation from."""

    def learn(self, train: Batch) -> None:
        """From second moments in float64, gathered in chunks: the windows are never in memory together."""
        count, sums, products = len(train), 0.0, 0.0
        for rows, window in _windows(train):
            both = np.hstack([self.regressors(window), train.target[rows] - self.anchor(window)])
            sums = sums + both.sum(axis=0)
            products = products + both.T @ both
        mean = sums / count
        covariance = products / count - np.outer(mean, mean)
        k = len(mean) - len(self.signature.horizons)
        penalty = max(self.ridge * np.trace(covariance[:k, :k]) / k, np.finfo(np.float64).tiny)
        self.weight = np.linalg.solve(covariance[:k, :k] + penalty * np.eye(k), covariance[:k, k:])
        self.bias = mean[k:] - mean[:k] @ self.weight

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        parts = [self.anchor(window) + self.regressors(window) @ self.weight + self.bias for _, window in _windows(batch)]
        return np.concatenate([np.empty((0, len(self.signature.horizons))), *parts])

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "weight": self.weight, "bias": self.bias}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.weight, self.bias = state["weight"], state["bias"]


def _windows(batch: Batch) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """The first feature of the windows (n, length) in chunks of rows; the start of a series repeats its oldest value in front."""
    if not isinstance(batch, Windows):
        raise TypeError(f"batch: a linear forecaster reads windows, not {type(batch).__name__}")
    steps = np.arange(1 - batch.length, 1)
    for first in range(0, len(batch), CHUNK):
        rows = slice(first, first + CHUNK)
        values = batch.panel[batch.series[rows, None], np.maximum(batch.end[rows, None] + steps, 0), 0]
        yield rows, values.astype(np.float64)
