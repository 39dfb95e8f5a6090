"""Soft actor-critic (Haarnoja et al. 2018) by stable-baselines3, in a batched market environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from finml_models.training.learned_policy import LearnedPolicy

from .card import SACHyperparameters

if TYPE_CHECKING:
    from stable_baselines3 import SAC as Algorithm  # noqa: N811 - the library's class beside ours of the same name
    from stable_baselines3.common.vec_env import VecNormalize
    from torch import nn


class SAC(LearnedPolicy[SACHyperparameters]):
    """Twin critics with targets, a squashed Gaussian policy, a temperature that tunes itself; tanh of the mean is what it does.

    Of the configuration it reads learning_rate, max_epochs, seed and device; the library clips no gradient here.
    """

    squashed: ClassVar[bool] = True

    def layers(self, algorithm: Algorithm) -> list[nn.Linear]:
        """The actor's to its mean; its deviation and the critics are not kept."""
        return [*algorithm.actor.latent_pi[::2], algorithm.actor.mu]

    def algorithm(self, env: VecNormalize, steps: int, device: str = "cpu") -> Algorithm:
        """The library's SAC with these hyperparameters, untrained; a short learning begins to update after a tenth of its steps."""
        from stable_baselines3 import SAC as Algorithm  # noqa: N811 - the library's class beside ours of the same name
        from stable_baselines3.common.logger import Logger

        h, c = self.hyperparameters, self.config
        made = Algorithm(
            "MlpPolicy",
            env,
            learning_rate=c.learning_rate,
            # No learning needs more room than it has steps; each copy gets its share.
            buffer_size=max(min(h.replay_size, steps), h.environments),
            learning_starts=min(h.warmup_steps, steps // 10),
            batch_size=h.batch_size,
            tau=h.target_rate,
            gamma=h.discount,
            train_freq=1,
            gradient_steps=h.updates,
            ent_coef=f"auto_{h.initial_temperature}" if h.automatic_temperature else h.initial_temperature,
            policy_kwargs={"net_arch": [h.hidden] * h.layers, "n_critics": 2 if h.twin_critics else 1},
            seed=c.seed,
            device=device,
        )
        # Its own logger would leave an empty folder in the system's temporary one for each fit.
        made.set_logger(Logger(folder=None, output_formats=[]))
        return made
