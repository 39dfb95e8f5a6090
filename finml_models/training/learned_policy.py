"""Policies that stable-baselines3 learns: the course of a fit, and an actor in numpy that is all that is kept of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

from finml_models.core.errors import NotFitted
from finml_models.core.estimator import H, OnProgress, Signature, TrainingConfig, ignore

from .actor import Actor
from .policy import PolicyEstimator, augmented

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize
    from torch import nn

    from finml_models.core.batches import Batch, Float

    from .checkpoint import EpochLoss


class LearnedPolicy(PolicyEstimator[H]):
    """A policy that learns on the training episodes; after each epoch it plays the validation episodes without its noise, and the best is kept.

    A model overrides `algorithm` and `layers`. Its hyperparameters have hidden, layers, environments, environment_steps, discount,
    normalise_observations and normalise_rewards. Device 'auto' is the CPU, for a GPU only waits for networks of this size. Two
    fits with one seed and one number of threads give equal bits on the CPU.
    """

    squashed: ClassVar[bool] = False
    """Whether the actor is a squashed one (`Actor`)."""

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        super().__init__(hyperparameters, signature, config)
        self.history: list[EpochLoss] = []
        self._actor: Actor | None = None

    @abstractmethod
    def algorithm(self, env: VecNormalize, steps: int, device: str = "cpu") -> BaseAlgorithm:
        """The library's algorithm with these hyperparameters, untrained, for a learning of so many steps."""

    @abstractmethod
    def layers(self, algorithm: Any) -> Sequence[nn.Linear]:
        """The linear layers that act, observations first; what only trained them is not kept."""

    @property
    def parameters_count(self) -> int:
        """Weights and biases of the actor."""
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(self._widths))

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn on `train`, choose among the epochs by the mean reward on `valid`. Raises `DataError` and `Diverged`."""
        from .course import Course, steps_of
        from .loop import pick_device
        from .stable_baselines import Listener, MarketVecEnv, actor_of, normalised, own_generators

        market, held_out = augmented(self.market("train", train)), augmented(self.market("valid", valid))
        h: Any = self.hyperparameters
        c = self.config
        device = pick_device("cpu" if c.device == "auto" else c.device)
        steps = steps_of(h.environment_steps, c.max_epochs)
        copies = MarketVecEnv(market, h.environments, len(self.signature.actions), c.seed)
        env = normalised(copies, observations=h.normalise_observations, rewards=h.normalise_rewards, discount=h.discount)
        with own_generators(c.seed, device):
            algorithm = self.algorithm(env, steps, device.type)
            layers = self.layers(algorithm)

            def actor() -> Actor:
                return actor_of(env, layers, squashed=self.squashed)

            course = Course(actor, held_out, copies.returns, steps=steps, epochs=c.max_epochs, on_progress=on_progress)
            if steps:
                algorithm.learn(steps, callback=Listener(course))
        self._actor, self.history = course.best, course.history
        return self

    def act(self, observations: Float) -> Float:
        """What the policy does without its noise, between 0 and 1."""
        return self._fitted()(observations)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The frozen normaliser as `observation.*` and the layers as `policy.<i>.weight` and `policy.<i>.bias`."""
        return self._fitted().state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._actor = Actor.restore(state, self._widths, squashed=self.squashed)

    @property
    def _widths(self) -> tuple[int, ...]:
        h: Any = self.hyperparameters
        return (self.signature.features, *[h.hidden] * h.layers, len(self.signature.actions))

    def _fitted(self) -> Actor:
        if self._actor is None:
            raise NotFitted(f"{type(self).__name__} has learned nothing yet: call `fit` or `restore` first")
        return self._actor
