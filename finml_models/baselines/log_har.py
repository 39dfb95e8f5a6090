"""log-HAR: three averages of variance, over a day, a week and a month, in a linear regression of its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._residual import GROUPS, ResidualForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

REGRESSORS = ("log_var_d", "log_var_w", "log_var_m")


class LogHARHyperparameters(Hyperparameters):
    """Nothing to choose: day, week and month are the model."""


CARD = ModelCard(
    name="log-HAR",
    description="Heterogeneous autoregression on log variance, estimated by least squares for each horizon, pooled over assets, smeared back.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=LogHARHyperparameters,
    strengths=("long memory from three averages", "estimated in milliseconds, hard to beat out of sample", "four coefficients that a person can read"),
    weaknesses=("linear: no asymmetry between rises and falls", "one set of coefficients for all assets of a group", "wants a decent variance proxy"),
    best_for=("daily to monthly variance of liquid assets",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=200, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="A Simple Approximate Long-Memory Model of Realized Volatility", year=2009, link="https://doi.org/10.1093/jjfinec/nbp001"),),
)


class LogHAR(ResidualForecaster[LogHARHyperparameters]):
    """log v(t+1..t+h) = b0 + b1 log v_day + b2 log v_week + b3 log v_month + e (Corsi 2009, equation 9, in logs)."""

    coefficients: NDArray[np.float64]

    def learn(self, train: Batch) -> None:
        target, groups = train.target, self._group(train)
        design = self._design(train)
        self.coefficients = np.zeros((GROUPS, design.shape[1], len(self.signature.horizons)))
        for group in range(GROUPS):
            rows = groups == group
            rows = rows if rows.sum() > design.shape[1] else np.ones(len(train), dtype=bool)
            self.coefficients[group] = np.linalg.lstsq(design[rows], target[rows].astype(np.float64), rcond=None)[0]

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        return np.einsum("nk,nkh->nh", self._design(batch), self.coefficients[self._group(batch)])

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "coefficients": self.coefficients}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.coefficients = state["coefficients"]

    def _design(self, batch: Batch) -> NDArray[np.float64]:
        rows = batch.inputs[:, [self.column(name) for name in REGRESSORS]].astype(np.float64)
        return np.column_stack([np.ones(len(rows)), rows])
