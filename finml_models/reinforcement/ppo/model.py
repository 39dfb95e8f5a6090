"""Proximal policy optimisation (Schulman et al. 2017) by stable-baselines3, in a batched market environment."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from finml_models.training.learned_policy import LearnedPolicy

from .card import PPOHyperparameters

if TYPE_CHECKING:
    from stable_baselines3 import PPO as Algorithm  # noqa: N811 - the library's class beside ours of the same name
    from stable_baselines3.common.vec_env import VecNormalize
    from torch import nn

LAST_RATE = 0.05
"""Share of the learning rate at the end of a fit that anneals it; at 0 the last rollout would teach nothing."""


class PPO(LearnedPolicy[PPOHyperparameters]):
    """Clipped policy gradient with generalised advantages; the mean of the policy's distribution, cut to 0 to 1, is what it does.

    Of the configuration it reads learning_rate, gradient_clip, max_epochs, seed and device.
    """

    def layers(self, algorithm: Algorithm) -> list[nn.Linear]:
        """The policy's; the value network that trained it is not kept."""
        return [*algorithm.policy.mlp_extractor.policy_net[::2], algorithm.policy.action_net]

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
