"""Our markets as the vector environment that stable-baselines3 expects: spaces, types, ends, and an episode after the other."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from corridor import SIGNATURE, WIDTH, Corridor, corridor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig
from finml_models.core.market import Market
from finml_models.datasets.orders.synthetic import generate
from finml_models.reinforcement.ppo.card import PPOHyperparameters
from finml_models.reinforcement.ppo.model import PPO
from finml_models.training.stable_baselines import MarketVecEnv, actor_of, normalised, own_generators


def orders() -> Market:
    task = catalog.task("trading_execution")()
    frame = generate(seed=5, orders=200, days=40).frame
    return task.market(task.features(frame), task.target(frame))


@pytest.mark.parametrize("market", [corridor(), orders()], ids=["corridor", "orders"])
def test_it_holds_what_the_library_checks_of_an_environment(market: Market) -> None:
    env = MarketVecEnv(market, copies=6, actions=1, seed=0)
    assert isinstance(env, VecEnv)
    first = env.reset()
    assert first.shape == (6, *env.observation_space.shape)
    assert first.dtype == env.observation_space.dtype == np.float32
    assert all(env.observation_space.contains(row) for row in first)
    env.action_space.seed(0)
    ended = 0
    for _ in range(200):
        observation, reward, done, infos = env.step(np.stack([env.action_space.sample() for _ in range(6)]))
        assert all(env.observation_space.contains(row) for row in observation)
        assert reward.shape == done.shape == (6,)
        assert reward.dtype == np.float32
        assert done.dtype == np.bool_
        assert np.isfinite(reward).all()
        assert len(infos) == 6
        for copy in range(6):
            assert ("terminal_observation" in infos[copy]) == done[copy]
            assert not done[copy] or env.observation_space.contains(infos[copy]["terminal_observation"])
        ended += int(done.sum())
    assert ended > 20
    assert len(env.returns) == ended
    assert env.get_attr("render_mode") == [None] * 6
    assert env.get_attr("render_mode", indices=[1, 2]) == [None] * 2
    assert env.env_is_wrapped(VecEnvWrapper) == [False] * 6
    for refuse in (lambda: env.set_attr("speed", 1), lambda: env.env_method("render")):
        with pytest.raises(AttributeError, match="of their own"):
            refuse()
    env.close()


def test_an_episode_that_ends_gives_its_last_observation_aside_and_the_next_ones_first() -> None:
    market = Corridor(np.array([2.9, 0.0, -1.0]), limit=4)
    env = MarketVecEnv(market, copies=1, actions=1, seed=0)
    seen = {float(env.reset()[0, 0])}
    for _ in range(30):
        observation, _, done, infos = env.step(np.array([[1.0]], np.float32))
        if not done[0]:
            assert observation[0, 1] > 0
            continue
        last = infos[0]["terminal_observation"]
        assert observation[0, 1] == 0
        seen.add(float(observation[0, 0]))
        beyond, late = abs(last[0]) > WIDTH, last[1] == 4
        assert beyond or late
        assert infos[0]["TimeLimit.truncated"] == (late and not beyond)
    assert seen == {np.float32(2.9), 0.0, -1.0}


def test_every_episode_is_begun_once_a_round_in_an_order_that_the_seed_draws() -> None:
    def begun(seed: int) -> list[int]:
        env = MarketVecEnv(corridor(20), copies=4, actions=1, seed=seed)
        env.reset()
        while len(env.environment.begun) < 60:
            env.step(np.zeros((4, 1), np.float32))
        return env.environment.begun[:60]

    first = begun(0)
    for round_ in (first[:20], first[20:40], first[40:]):
        assert sorted(round_) == list(range(20))
    assert first == begun(0) != begun(1)


def test_returns_are_the_sums_of_rewards_of_whole_episodes() -> None:
    env = MarketVecEnv(Corridor(np.array([1.0])), copies=1, actions=1, seed=0)
    env.reset()
    for _ in range(16):
        env.step(np.zeros((1, 1), np.float32))
    assert env.returns == pytest.approx([16.0, 16.0])


def test_our_actor_acts_as_the_librarys_policy_does() -> None:
    market = orders()
    policy = PPO(PPOHyperparameters(environments=8, rollout_length=32, layers=3, hidden=16), catalog.task("trading_execution")().signature(market))
    env = normalised(MarketVecEnv(market, 8, 1, 0), observations=True, rewards=True, discount=1.0)
    with own_generators(0, torch.device("cpu")):
        algorithm = policy.algorithm(env, 1_000)
        algorithm.learn(1_000)
    observations = market.inputs
    ours = actor_of(env, [*algorithm.policy.mlp_extractor.policy_net[::2], algorithm.policy.action_net], squashed=False)(observations)
    theirs, _ = algorithm.predict(env.normalize_obs(observations), deterministic=True)
    assert ours.std() > 0
    np.testing.assert_allclose(ours, (theirs + 1) / 2, atol=1e-6)


def test_a_fit_leaves_the_callers_generators_as_they_were() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    before = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002, S311
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    PPO(PPOHyperparameters(environment_steps=1_000, environments=4), SIGNATURE, TrainingConfig(max_epochs=2)).fit(corridor(), corridor(8, seed=1))
    assert before == (random.random(), np.random.random(), torch.rand(1).item())  # noqa: NPY002, S311
