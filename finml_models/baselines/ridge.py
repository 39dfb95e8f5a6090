"""Ridge: a linear forecast of returns, shrunk towards none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._standardised import StandardisedForecaster, VolatilityScale, target_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

GRID = (0.01, 0.1, 1.0, 10.0)
CLIP = 5.0
"""Standardised inputs beyond this are cut: a crash is no reason to extrapolate a line."""


class RidgeHyperparameters(Hyperparameters):
    """How strongly coefficients are shrunk."""

    penalty: float = Field(
        1.0, ge=1e-4, le=1e4, description="weight of the squared coefficients beside the mean squared error of a row", json_schema_extra={"scale": "log"}
    )
    tuned: bool = Field(True, description="let the validation rows choose among 0.01, 0.1, 1 and 10 times the penalty, a horizon each")


CARD = ModelCard(
    name="Ridge",
    description="Linear regression of standardised returns on all features, shrunk by a penalty that the validation rows choose; quantiles from its residuals "
    "in units of a volatility regressed on daily, weekly and monthly variance.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=RidgeHyperparameters,
    strengths=("coefficients that a person can read", "estimated in closed form", "shrinks to a forecast of nothing where nothing is found"),
    weaknesses=("linear", "one set of coefficients for all assets and times"),
    best_for=("telling whether a network found more than a line would",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=300, recommended_samples=5_000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(title="Ridge Regression: Biased Estimation for Nonorthogonal Problems", year=1970, link="https://doi.org/10.1080/00401706.1970.10488634"),
    ),
)


class Ridge(StandardisedForecaster[RidgeHyperparameters]):
    """return(h) / scale(t, h) = x(t) β + e, β = argmin of mean e² + penalty |β|², x standardised and without a constant.

    No constant: what a return is on average is left to the quantiles, and the point starts from 0 as the random walk's does.
    """

    width: VolatilityScale
    moments: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def learn(self, train: Batch, valid: Batch) -> None:
        known = train.join(valid)
        self.width = VolatilityScale.of(known, self._columns)
        values = known.inputs.astype(np.float64)
        deviation = values.std(axis=0)
        self.moments = np.stack([values.mean(axis=0), np.where(deviation > 1e-9, deviation, 1.0)])
        x, z = self._design(train), target_of(train) / self.width(train)
        penalties = self.hyperparameters.penalty * np.asarray(GRID if self.hyperparameters.tuned else (1.0,))
        if len(penalties) > 1:
            held, wanted = self._design(valid), target_of(valid) / self.width(valid)
            errors = np.stack([np.square(wanted - held @ _shrunk(x, z, penalty)).mean(axis=0) for penalty in penalties])
            chosen = penalties[errors.argmin(axis=0)]
        else:
            chosen = np.repeat(penalties, z.shape[1])
        x, z = self._design(known), target_of(known) / self.width(known)
        self.coefficients = np.concatenate([_shrunk(x, z[:, [h]], penalty) for h, penalty in enumerate(chosen)], axis=1)

    def centre(self, batch: Batch) -> NDArray[np.float64]:
        # Summed row by row: a matrix product may round a row otherwise in another batch.
        return np.einsum("nk,kh->nh", self._design(batch), self.coefficients) * self.scale(batch)

    def scale(self, batch: Batch) -> NDArray[np.float64]:
        return self.width(batch)

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "width": self.width.weights, "moments": self.moments, "coefficients": self.coefficients}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.width = VolatilityScale(state["width"], self._columns)
        self.moments, self.coefficients = state["moments"], state["coefficients"]

    @property
    def _columns(self) -> tuple[int, ...]:
        return tuple(self.column(name) for name in VolatilityScale.NAMES)

    def _design(self, batch: Batch) -> NDArray[np.float64]:
        mean, deviation = self.moments
        return np.clip((batch.inputs.astype(np.float64) - mean) / deviation, -CLIP, CLIP)


def _shrunk(x: NDArray[np.float64], z: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """(features, horizons) ridge coefficients."""
    return np.linalg.solve(x.T @ x / len(x) + penalty * np.eye(x.shape[1]), x.T @ z / len(x))
