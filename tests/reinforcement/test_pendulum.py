"""PPO at the zoo's settings on Pendulum-v1, through our environments and our estimator.

The zoo's figure: https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md has -172.225 with a deviation of 104.159
over 750 episodes of one agent trained for 100,000 steps; hyperparameters from its hyperparams/ppo.yml.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from pendulum import SIGNATURE, STEPS, Pendulums

from finml_models.core.estimator import TrainingConfig
from finml_models.reinforcement.ppo.card import PPOHyperparameters
from finml_models.reinforcement.ppo.model import PPO
from finml_models.training.policy import play

ZOO, ZOO_DEVIATION, ZOO_EPISODES = -172.225, 104.159, 750
SETTINGS = PPOHyperparameters(
    environment_steps=100_000,
    environments=4,
    rollout_length=1_024,
    minibatches=64,
    update_epochs=10,
    discount=0.9,
    gae_lambda=0.95,
    clip_range=0.2,
    entropy_coefficient=0.0,
    state_dependent_noise=True,
    # A deviation of 1 in units of torque, which run from -2 to 2.
    initial_noise=0.5,
    anneal=False,
    normalise_observations=False,
    normalise_rewards=False,
)
CONFIG = TrainingConfig(learning_rate=1e-3, gradient_clip=0.5, max_epochs=20, device="cpu")


def test_our_copies_swing_as_gymnasiums_pendulum_does() -> None:
    theirs = gymnasium.make("Pendulum-v1")
    rng = np.random.default_rng(0)
    market = Pendulums.drawn(3, seed=1)
    ours = market.environment(3)
    ours.begin(np.arange(3), np.arange(3))
    theirs.reset(seed=0)
    theirs.unwrapped.state = market.initial[1].copy()
    for t in range(STEPS):
        action = rng.random((3, 1)).astype(np.float32)
        step = ours.step(action)
        observation, reward, terminated, truncated, _ = theirs.step(4 * action[1] - 2)
        np.testing.assert_allclose(step.observation[1], observation, atol=2e-3)
        assert step.reward[1] == pytest.approx(float(reward), abs=2e-2)
        assert not terminated
        assert not step.terminated.any()
        assert step.truncated[1] == truncated == (t == STEPS - 1)


def test_a_short_training_already_learns_to_swing_up() -> None:
    """A third of the steps, so that a broken end of an episode or a wrong action's scale shows without the slow test."""
    config = CONFIG.model_copy(update={"max_epochs": 7})
    learned = PPO(SETTINGS, SIGNATURE, config).fit(Pendulums.drawn(2_000, seed=1), Pendulums.drawn(50, seed=2))
    test = Pendulums.drawn(500, seed=3)
    assert play(test, learned.act).returns.mean() > -700
    assert play(test, lambda o: np.full((len(o), 1), 0.5, np.float32)).returns.mean() < -1_000


@pytest.mark.slow
def test_ten_seeds_reach_the_zoos_figure_within_its_error() -> None:
    test = Pendulums.drawn(2_000, seed=99)
    reached = []
    for seed in range(10):
        policy = PPO(SETTINGS, SIGNATURE, CONFIG.model_copy(update={"seed": seed}))
        policy.fit(Pendulums.drawn(5_000, seed=seed + 1_000), Pendulums.drawn(200, seed=seed + 2_000))
        reached.append(float(play(test, policy.act).returns.mean()))
    error = ZOO_DEVIATION / np.sqrt(ZOO_EPISODES)
    print(f"mean {np.mean(reached):.1f}, standard error over seeds {np.std(reached, ddof=1) / np.sqrt(10):.1f}; zoo {ZOO} ± {error:.1f}")
    assert np.mean(reached) >= ZOO - error
