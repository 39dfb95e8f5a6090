"""Class prior: everybody is as likely as the average; what any classifier has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training

from ._classes import class_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class ClassPriorHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="Class prior",
    description="The share of each class among the training rows, the same for every row: no ranking at all, and perfect calibration while nothing drifts.",
    kinds=frozenset({Kind.TABLE, Kind.WINDOWS, Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=ClassPriorHyperparameters,
    strengths=("shows whether anything can be classified at all", "calibrated as long as the share of the classes stays"),
    weaknesses=("ranks nothing", "lags behind a share that drifts"),
    best_for=("the floor under every classifier",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=500),
    deployment=Deployment(memory_mb=5),
)


class ClassPrior(Estimator[ClassPriorHyperparameters]):
    """p(class) = (rows of the class + 1/2) / (rows + classes/2), Jeffreys' estimate: a class that was never seen is not impossible."""

    seeded = False

    shares: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Count the classes of both parts: nothing here is stopped early."""
        numbers = np.concatenate([class_numbers(train, self.signature), class_numbers(valid, self.signature)])
        counts = np.bincount(numbers, minlength=len(self.signature.classes)) + 0.5
        self.shares = counts / counts.sum()
        loss = -float(np.log(self.shares[numbers]).mean())
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(np.tile(self.shares.astype(np.float32), (len(batch), 1)), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {"shares": self.shares}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.shares = state["shares"]
