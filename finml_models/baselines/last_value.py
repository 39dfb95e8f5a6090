"""Last value: variance stays where it was, measured over as many days as are asked for and at least a week."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training

from ._residual import ResidualForecaster

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class LastValueHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="Last value",
    description="The random walk of variance: the trailing mean over the horizon, a week at least, corrected for bias.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=LastValueHyperparameters,
    strengths=("nothing to estimate but a constant", "adapts at once after a jump"),
    weaknesses=("does not revert to the mean, so calm and stormy days are both extrapolated", "as noisy as its proxy"),
    best_for=("a floor that every other forecast has to beat",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=500),
    deployment=Deployment(memory_mb=5),
)


class LastValue(ResidualForecaster[LastValueHyperparameters]):
    """f(t, h) = log of the mean daily variance over the last max(h, 5) days, the nearest of week and month."""

    def raw(self, batch: Batch) -> NDArray[np.float64]:
        # One squared return is no usable variance: its log has a standard deviation of 2.2, so a week is the least.
        columns = [self.column("log_var_w" if horizon <= 5 else "log_var_m") for horizon in self.signature.horizons]
        return batch.inputs[:, columns].astype("float64")
