"""Proximal policy optimisation (Schulman et al. 2017) by stable-baselines3, in a batched market environment."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from finml_models.core.errors import NotFitted
from finml_models.core.estimator import OnProgress, Signature, TrainingConfig, ignore
from finml_models.training.actor import Actor
from finml_models.training.policy import PolicyEstimator, augmented

from .card import PPOHyperparameters

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from stable_baselines3 import PPO as Algorithm  # noqa: N811 - the library's class beside ours of the same name
    from stable_baselines3.common.vec_env import VecNormalize

    from finml_models.core.batches import Batch, Float
    from finml_models.training.checkpoint import EpochLoss

LAST_RATE = 0.05
"""Share of the learning rate at the end of a fit that anneals it; at 0 the last rollout would teach nothing."""


class PPO(PolicyEstimator[PPOHyperparameters]):
    """Clipped policy gradient with generalised advantages.

    It learns on the training episodes; after each epoch the policy plays the validation episodes without its noise, and the best
    one is kept. Of the configuration it reads learning_rate, gradient_clip, max_epochs, seed and device; 'auto' is the CPU, for a
    GPU only waits for networks of this size. Two fits with one seed and one number of threads give equal bits on the CPU.
    """

    def __init__(self, hyperparameters: PPOHyperparameters, signature: Signature, config: TrainingConfig | None = None) -> None:
        super().__init__(hyperparameters, signature, config)
        self.history: list[EpochLoss] = []
        self._actor: Actor | None = None

    @property
    def parameters_count(self) -> int:
        """Weights and biases of the policy; the value network that trained it is not kept."""
        widths = self._widths
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn on `train`, choose among the epochs by the mean reward on `valid`. Raises `DataError` and `Diverged`."""
        from finml_models.training.course import Course, steps_of
        from finml_models.training.loop import pick_device
        from finml_models.training.stable_baselines import Listener, MarketVecEnv, actor_of, normalised, own_generators

        market, held_out = augmented(self.market("train", train)), augmented(self.market("valid", valid))
        h, c = self.hyperparameters, self.config
        device = pick_device("cpu" if c.device == "auto" else c.device)
        steps = steps_of(h.environment_steps, c.max_epochs)
        copies = MarketVecEnv(market, h.environments, len(self.signature.actions), c.seed)
        env = normalised(copies, observations=h.normalise_observations, rewards=h.normalise_rewards, discount=h.discount)
        with own_generators(c.seed, device):
            algorithm = self.algorithm(env, steps, device.type)
            layers = [*algorithm.policy.mlp_extractor.policy_net[::2], algorithm.policy.action_net]
            course = Course(lambda: actor_of(env, layers), held_out, copies.returns, steps=steps, epochs=c.max_epochs, on_progress=on_progress)
            if steps:
                algorithm.learn(steps, callback=Listener(course))
        self._actor, self.history = course.best, course.history
        return self

    def algorithm(self, env: VecNormalize, steps: int, device: str = "cpu") -> Algorithm:
        """The library's PPO with these hyperparameters, untrained, for a learning of so many steps."""
        from stable_baselines3 import PPO as Algorithm  # noqa: N811 - the library's class beside ours of the same name
        from stable_baselines3.common.logger import Logger

        h, c = self.hyperparameters, self.config
        length = max(min(h.rollout_length, math.ceil(steps / h.environments)), 2)
        with warnings.catch_warnings():
            # A shorter last minibatch is declared in the card.
            warnings.filterwarnings("ignore", message=".*truncated mini-batch.*")
            made = Algorithm(
                "MlpPolicy",
                env,
                learning_rate=lambda left: c.learning_rate * (max(left, LAST_RATE) if h.anneal else 1.0),
                n_steps=length,
                batch_size=max(length * h.environments // h.minibatches, 2),
                n_epochs=h.update_epochs,
                gamma=h.discount,
                gae_lambda=h.gae_lambda,
                clip_range=h.clip_range,
                ent_coef=h.entropy_coefficient,
                vf_coef=h.value_coefficient,
                max_grad_norm=c.gradient_clip,
                use_sde=h.state_dependent_noise,
                sde_sample_freq=4,
                policy_kwargs={"net_arch": {"pi": [h.hidden] * h.layers, "vf": [h.hidden] * h.layers}, "log_std_init": math.log(h.initial_noise)},
                seed=c.seed,
                device=device,
            )
        # Its own logger would leave an empty folder in the system's temporary one for each fit.
        made.set_logger(Logger(folder=None, output_formats=[]))
        return made

    def act(self, observations: Float) -> Float:
        """The mean of the policy's distribution, cut to 0 to 1."""
        return self._fitted()(observations)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The frozen normaliser as `observation.*` and the layers as `policy.<i>.weight` and `policy.<i>.bias`."""
        return self._fitted().state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._actor = Actor.restore(state, self._widths)

    @property
    def _widths(self) -> tuple[int, ...]:
        h, s = self.hyperparameters, self.signature
        return (s.features, *[h.hidden] * h.layers, len(s.actions))

    def _fitted(self) -> Actor:
        if self._actor is None:
            raise NotFitted("PPO has learned nothing yet: call `fit` or `restore` first")
        return self._actor
