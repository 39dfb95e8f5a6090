"""GARCH(1,1) with Student's t innovations, estimated by `arch` for each asset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.batches import Windows
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._entities import EntityNames
from ._residual import ResidualForecaster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

PERCENT = 100.0
"""arch's optimiser wants returns in per cent."""
LEAST_DAYS = 250
"""Fewer returns than a year's are not worth a fit of four parameters: such an asset takes the pool's."""
DAILY_FLOOR = 1e-12


class GARCHHyperparameters(Hyperparameters):
    """Nothing to choose: orders (1, 1), constant mean, t innovations."""


CARD = ModelCard(
    name="GARCH(1,1)-t",
    description="Conditional variance that reverts to its mean after each shock, by maximum likelihood with fat-tailed innovations, asset by asset.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=GARCHHyperparameters,
    strengths=("reverts to the mean over long horizons", "needs closes only", "decades of evidence for it"),
    weaknesses=("sees squared returns only, so it wastes bars", "rises and falls count alike", "the slowest of the baselines to estimate"),
    best_for=("assets with closes alone", "multi-week horizons"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=500, recommended_samples=1000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(title="Generalized Autoregressive Conditional Heteroskedasticity", year=1986, link="https://doi.org/10.1016/0304-4076(86)90063-1"),
        Paper(
            title="A Conditionally Heteroskedastic Time Series Model for Speculative Prices and Rates of Return",
            year=1987,
            link="https://doi.org/10.2307/1925546",
        ),
    ),
    implementation="https://github.com/bashtage/arch",
)


class GARCH(ResidualForecaster[GARCHHyperparameters]):
    """s²(t+1) = ω + α e(t)² + β s²(t), and its mean over h days ahead in closed form (Bollerslev 1986).

    An asset that was not in training is served with the median α and β and the mean, and the variance level of its own
    window. Parameters: mean, α, β, unconditional variance; of daily returns.

    It forecasts the variance from close to close. Where the target is a realised variance, which leaves the night out, the shift of
    `ResidualForecaster` takes the mean share of the session: fair as far as that share is constant. By year it ran from 0.59 to 0.93
    on the S&P 500 of 2000-2019 (asserted in tests/datasets/test_realised_volatility.py), and GARCH bears what the drift costs.
    """

    names: EntityNames
    parameters: NDArray[np.float64]

    def learn(self, train: Batch) -> None:
        windows = _windows(train)
        returns = self.column("return_d")
        newest = {s: int(windows.end[windows.series == s].max()) for s in np.unique(windows.series)}
        fitted = {s: _estimate(windows.panel[s, : end + 1, returns].astype(np.float64)) for s, end in newest.items()}
        known = {s: parameters for s, parameters in fitted.items() if parameters is not None}
        if not known:
            raise ValueError(f"train: no asset has the {LEAST_DAYS} days that GARCH needs; add history")
        self.names = EntityNames.of(windows.entities[list(known)])
        table = dict(zip(self.names.rows(windows.entities[list(known)]), known.values(), strict=True))
        self.parameters = np.array([np.median(list(known.values()), axis=0), *(table[row] for row in range(1, len(self.names)))])

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        windows = _windows(batch)
        returns = windows.gather(self.column("return_d")).astype(np.float64)
        rows = self.names.rows(windows.entities)[windows.series]
        mean, alpha, beta, level = self.parameters[rows].T
        squared = (returns - mean[:, None]) ** 2
        level = np.where(rows == 0, squared.mean(axis=1), level)
        # The recursion unrolled over the window, started at the unconditional level.
        age = np.arange(windows.length - 1, -1, -1.0)
        decay = beta[:, None] ** age
        omega = level * (1 - alpha - beta)
        tomorrow = (decay * (omega[:, None] + alpha[:, None] * squared)).sum(axis=1) + beta**windows.length * level
        persistence = (alpha + beta)[:, None]
        horizons = np.asarray(self.signature.horizons, dtype=np.float64)
        weight = (1 - persistence**horizons) / (1 - persistence) / horizons
        variance = level[:, None] + weight * (tomorrow - level)[:, None]
        return np.log(np.maximum(variance, DAILY_FLOOR))

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "parameters": self.parameters, "names": self.names.letters}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.parameters, self.names = state["parameters"], EntityNames(state["names"])


def _estimate(returns: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(mean, α, β, unconditional variance) of one asset, or None where there is too little or too odd a history."""
    from arch import arch_model

    sample = returns[np.isfinite(returns)] * PERCENT
    if len(sample) < LEAST_DAYS or sample.std() == 0:
        return None
    fitted = arch_model(sample, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False).fit(disp="off", show_warning=False)
    mean, omega, alpha, beta = (fitted.params[name] for name in ("mu", "omega", "alpha[1]", "beta[1]"))
    # An integrated fit has no unconditional variance: hold the persistence below one and take the sample's level.
    persistence = alpha + beta
    if persistence >= 0.9995:
        alpha, beta, level = alpha * 0.9995 / persistence, beta * 0.9995 / persistence, sample.var()
    else:
        level = omega / (1 - persistence)
    return np.array([mean / PERCENT, alpha, beta, level / PERCENT**2])


def _windows(batch: Batch) -> Windows:
    if not isinstance(batch, Windows):
        raise TypeError(f"batch: GARCH reads windows, not {type(batch).__name__}")
    return batch
