"""PPO at the zoo's settings on Pendulum-v1, through our environments and our estimator."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from benchmarks.quality.policies import PPO_CONFIG, PPO_SETTINGS, PPO_ZOO, SEEDS, SIGNATURE, STEPS, Pendulums, ppo
from finml_models.reinforcement.ppo.model import PPO
from finml_models.training.policy import play


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


@pytest.mark.slow
def test_a_short_training_already_learns_to_swing_up() -> None:
    """A third of the steps, so that a broken end of an episode or a wrong action's scale shows in half a minute."""
    config = PPO_CONFIG.model_copy(update={"max_epochs": 7})
    learned = PPO(PPO_SETTINGS, SIGNATURE, config).fit(Pendulums.drawn(2_000, seed=1), Pendulums.drawn(50, seed=2))
    test = Pendulums.drawn(500, seed=3)
    assert play(test, learned.act).returns.mean() > -700
    assert play(test, lambda o: np.full((len(o), 1), 0.5, np.float32)).returns.mean() < -1_000


@pytest.mark.slow
def test_ten_seeds_reach_the_zoos_figure_within_its_error() -> None:
    reached = [ppo(seed).value for seed in range(SEEDS)]
    print(f"mean {np.mean(reached):.1f}, standard error over seeds {np.std(reached, ddof=1) / np.sqrt(SEEDS):.1f}; zoo {PPO_ZOO}")
    assert np.mean(reached) >= PPO_ZOO.least
