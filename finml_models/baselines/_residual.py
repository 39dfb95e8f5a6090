"""What the volatility baselines share: a raw forecast, corrected for bias and given quantiles from training residuals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.estimator import Estimator, H, OnProgress, Progress, ignore
from finml_models.core.predictions import Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

GROUP = "proxy"
GROUPS = 3
"""Closes, bars and realised variances differ in noise, and the last in scale, so each has its own correction; without proxies there is one."""


class ResidualForecaster(Estimator[H]):
    """raw(batch) + shift, with quantiles at raw + residual quantiles, a horizon and group.

    The shift makes the point optimal under the signature's loss: the smearing estimate log E[exp(residual)] of
    Duan (1983) under QLIKE, the mean residual otherwise. A reference without it would lose for its bias alone: so would one that
    forecasts the variance from close to close, as GARCH does, where the target is the realised variance of the session.
    """

    seeded = False

    shift: NDArray[np.float64]
    residual: NDArray[np.float64]

    def learn(self, train: Batch) -> None:
        """Estimate whatever `raw` needs; nothing by default."""

    @abstractmethod
    def raw(self, batch: Batch) -> NDArray[np.float64]:
        """(n, horizons) forecast on the target's scale, before the correction."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early, and an expert would not leave data unused."""
        known = train.join(valid)
        if known.target is None:
            raise ValueError("target: a fit needs a batch with targets; build the view with y")
        self.learn(known)
        residuals = known.target - self.raw(known)
        groups = self._group(known)
        levels, horizons = self.signature.levels, len(self.signature.horizons)
        self.shift = np.zeros((GROUPS, horizons))
        self.residual = np.zeros((GROUPS, horizons, len(levels)))
        for group in range(GROUPS):
            rows = residuals[groups == group]
            # A group that was never seen borrows the statistics of the others.
            rows = rows if len(rows) else residuals
            self.shift[group] = np.log(np.mean(np.exp(rows), axis=0)) if self.signature.loss == "qlike" else rows.mean(axis=0)
            self.residual[group] = np.quantile(rows, levels, axis=0).T
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=float(np.mean(residuals**2)), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Forecast:
        raw, groups = self.raw(batch), self._group(batch)
        quantiles = raw[:, :, None] + self.residual[groups]
        return Forecast((raw + self.shift[groups]).astype(np.float32), quantiles.astype(np.float32), self.signature.levels)

    def state(self) -> Mapping[str, NDArray]:
        return {"shift": self.shift, "residual": self.residual}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.shift, self.residual = state["shift"], state["residual"]

    def column(self, name: str) -> int:
        """Position of a feature in the panel or table."""
        return self.signature.feature_names.index(name)

    def _group(self, batch: Batch) -> NDArray[np.intp]:
        if GROUP not in self.signature.feature_names:
            return np.zeros(len(batch), np.intp)
        return batch.inputs[:, self.column(GROUP)].astype(np.intp)
