"""SAC: the library's deterministic action, temperature and critics as the card says, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from corridor import SIGNATURE, corridor

from benchmarks.quality.policies import SAC_ZOO, SEEDS, sac
from finml_models.core.estimator import TrainingConfig
from finml_models.reinforcement.sac.card import SACHyperparameters
from finml_models.reinforcement.sac.model import SAC
from finml_models.training.policy import play
from finml_models.training.stable_baselines import MarketVecEnv, actor_of, normalised

SMALL = SACHyperparameters(environment_steps=10_000, environments=8, hidden=16, warmup_steps=200)
QUICK = TrainingConfig(max_epochs=4, learning_rate=5e-3, device="cpu")


def algorithm(**hyperparameters: Any) -> tuple[Any, Any, SAC]:
    model = SAC(SACHyperparameters.model_validate(SMALL.model_dump() | hyperparameters), SIGNATURE, QUICK)
    env = normalised(MarketVecEnv(corridor(), 8, 1, 0), observations=True, rewards=True, discount=0.99)
    return model.algorithm(env, 2_000), env, model


def test_the_numpy_actor_is_the_librarys_deterministic_action() -> None:
    made, env, model = algorithm()
    made.learn(1_000)
    observations = corridor(50, seed=3).inputs
    actor = actor_of(env, model.layers(made), squashed=True)
    expected, _ = made.predict(env.normalize_obs(observations), deterministic=True)
    np.testing.assert_allclose(actor(observations), (expected + 1) / 2, atol=1e-6)


def test_critics_and_temperature_are_as_the_card_says() -> None:
    twin, _, _ = algorithm()
    assert len(twin.critic.q_networks) == len(twin.critic_target.q_networks) == 2
    assert twin.ent_coef_optimizer is not None
    assert twin.target_entropy == -1
    single, _, _ = algorithm(twin_critics=False, automatic_temperature=False, initial_temperature=0.3)
    assert len(single.critic.q_networks) == 1
    assert single.ent_coef_optimizer is None
    assert float(single.ent_coef_tensor) == pytest.approx(0.3)


def test_the_temperature_tunes_itself_and_the_targets_follow() -> None:
    made, _, _ = algorithm()
    before = float(made.log_ent_coef), [p.clone() for p in made.critic_target.parameters()]
    made.learn(1_000)
    assert float(made.log_ent_coef) != before[0]
    assert all(not torch.equal(p, q) for p, q in zip(made.critic_target.parameters(), before[1], strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(made.critic_target.parameters(), made.critic.parameters(), strict=True))


def test_it_learns_a_problem_whose_solution_is_plain_to_see() -> None:
    test = corridor(200, seed=2)
    learned = SAC(SMALL, SIGNATURE, QUICK.model_copy(update={"max_epochs": 12})).fit(corridor(), corridor(16, seed=1))

    def towards_the_middle(observations: np.ndarray) -> np.ndarray:
        return np.clip(0.5 - observations[:, :1], 0, 1)

    best, idle = (play(test, act).returns.mean() for act in (towards_the_middle, lambda o: np.full((len(o), 1), 0.5, np.float32)))
    assert play(test, learned.act).returns.mean() > best - 0.1 * (best - idle)


def test_two_fits_with_one_seed_give_equal_bits_and_another_seed_another_policy() -> None:
    config = QUICK.model_copy(update={"max_epochs": 1})
    states = [SAC(SMALL, SIGNATURE, config.model_copy(update={"seed": seed})).fit(corridor(), corridor(16, seed=1)).state() for seed in (0, 0, 1)]
    assert all(np.array_equal(array, states[1][name]) for name, array in states[0].items())
    assert not np.array_equal(states[0]["policy.0.weight"], states[2]["policy.0.weight"])


@pytest.mark.slow
def test_ten_seeds_swing_the_pendulum_up_within_the_zoos_error() -> None:
    reached = [sac(seed).value for seed in range(SEEDS)]
    print(f"mean {np.mean(reached):.1f}, standard error over seeds {np.std(reached, ddof=1) / np.sqrt(SEEDS):.1f}; zoo {SAC_ZOO}")
    assert np.mean(reached) >= SAC_ZOO.least
