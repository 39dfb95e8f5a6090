"""What the schedules of execution share: a share of what is left, asked for as the action that the environment understands."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from finml_models.core.errors import DataError
from finml_models.core.estimator import H, OnProgress, Progress, ignore
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training
from finml_models.training.policy import PolicyEstimator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Float
    from finml_models.environments.execution import ExecutionMarket


class ScheduleHyperparameters(Hyperparameters):
    """Nothing to choose."""


def card(
    name: str, description: str, *, strengths: tuple[str, str], weaknesses: tuple[str, str], best_for: str, references: tuple[Paper, ...] = ()
) -> ModelCard:
    """The card of a schedule, which needs no samples and hardly any time."""
    return ModelCard(
        name=name,
        description=description,
        kinds=frozenset({Kind.MARKET}),
        objectives=frozenset({Objective.CONTROL}),
        hyperparameters=ScheduleHyperparameters,
        strengths=strengths,
        weaknesses=weaknesses,
        best_for=(best_for,),
        latency_class=Level.LOW,
        data_requirements=Level.LOW,
        explainability=Level.HIGH,
        training=Training(minimum_samples=50, recommended_samples=500),
        deployment=Deployment(memory_mb=5),
        references=references,
    )


class Schedule(PolicyEstimator[H]):
    """A rule from the state of an order to the share of what is left that the next interval trades."""

    seeded = False

    def learn(self, orders: ExecutionMarket) -> None:
        """Estimate what the rule needs from orders that are done; nothing by default."""

    @abstractmethod
    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(n,) share of what is left, from the observations by name; more than 1 is all of it."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early, and an expert would not leave data unused."""
        from finml_models.environments.execution import ExecutionMarket

        orders = self.market("train", train).join(self.market("valid", valid))
        if not isinstance(orders, ExecutionMarket):
            raise DataError(f"train: a schedule trades orders, not the episodes of a {type(orders).__name__}")
        self.learn(orders)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=0.0, seconds_left=0.0))
        return self

    def act(self, observations: Float) -> Float:
        """The action u that trades the share f of what is left: u / (1 - u) = f / m, m the interval's part of the volume to come."""
        state = {name: observations[:, i].astype(np.float64) for i, name in enumerate(self.signature.feature_names)}
        share, part = np.clip(self.share(state), 0.0, 1.0), np.maximum(state["volume_share"], 1e-9)
        return np.where(share >= 1, 1.0, share / (share + part)).astype(np.float32)[:, None]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing was learned."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to take."""
