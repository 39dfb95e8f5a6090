"""What holds for every policy: how it plays and acts, what it refuses, how it is kept; and how PPO learns, chooses and reports."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corridor import SIGNATURE, Corridor, corridor, states

from finml_models.core import artifact
from finml_models.core.errors import DataError, Diverged, NotFitted
from finml_models.core.estimator import Progress, TrainingConfig
from finml_models.core.predictions import Actions, Rollout
from finml_models.reinforcement.ppo.card import PPOHyperparameters
from finml_models.reinforcement.ppo.model import PPO
from finml_models.training.course import steps_of
from finml_models.training.policy import play

SMALL = PPOHyperparameters(environment_steps=20_000, environments=8, rollout_length=32, hidden=16)
QUICK = TrainingConfig(max_epochs=4, learning_rate=5e-3, device="cpu")


def ppo(config: TrainingConfig = QUICK, hyperparameters: PPOHyperparameters = SMALL) -> PPO:
    return PPO(hyperparameters, SIGNATURE, config)


@pytest.fixture(scope="module")
def learned() -> PPO:
    return ppo().fit(corridor(), corridor(16, seed=1))


def towards_the_middle(observations: np.ndarray) -> np.ndarray:
    return np.clip(0.5 - observations[:, :1], 0, 1)


def test_it_learns_a_problem_whose_solution_is_plain_to_see() -> None:
    test, learned = corridor(200, seed=2), ppo(QUICK.model_copy(update={"max_epochs": 12})).fit(corridor(), corridor(16, seed=1))
    best, idle = (play(test, act).returns.mean() for act in (towards_the_middle, lambda o: np.full((len(o), 1), 0.5, np.float32)))
    assert play(test, learned.act).returns.mean() > best - 0.1 * (best - idle)


def test_two_fits_with_one_seed_give_equal_bits_and_another_seed_another_policy(learned: PPO) -> None:
    again, other = (ppo(QUICK.model_copy(update={"seed": seed})).fit(corridor(), corridor(16, seed=1)).state() for seed in (0, 1))
    assert all(np.array_equal(array, again[name]) for name, array in learned.state().items())
    assert not np.array_equal(learned.state()["policy.0.weight"], other["policy.0.weight"])


def test_playing_gives_the_outcome_of_each_episode_at_its_own_end() -> None:
    market = Corridor(np.array([0.0, 2.9, -2.9]))
    outcome = play(market, lambda o: np.ones((len(o), 1), np.float32)).rollout.outcome
    assert outcome["taken"].tolist() == [7, 1, 8]
    np.testing.assert_allclose(outcome["place"], [3.5, 3.4, 1.1])


def test_an_episode_plays_the_same_alone_and_among_others(learned: PPO) -> None:
    test = corridor(30, seed=3)
    together = learned.predict(test)
    assert isinstance(together, Rollout)
    for row in (0, 7, 29):
        alone = learned.predict(test.take(np.array([row])))
        np.testing.assert_allclose(alone.columns()["place"], together.columns()["place"][[row]], rtol=1e-5, atol=1e-5)


def test_single_states_are_answered_with_bounded_actions(learned: PPO) -> None:
    answered = learned.predict(states(np.array([[-2, 0], [0, 3], [100, 5], [-1e9, 0]], np.float32)))
    assert isinstance(answered, Actions)
    assert answered.names == ("speed",)
    assert ((answered.values >= 0) & (answered.values <= 1)).all()
    assert answered.values[0] > 0.5 > answered.values[2]


def test_states_and_markets_that_do_not_fit_are_refused(learned: PPO) -> None:
    with pytest.raises(DataError, match=r"row 1 .* NaN or infinity"):
        learned.predict(states(np.array([[0, 0], [np.nan, 1]], np.float32)))
    with pytest.raises(DataError, match="3 observations, the signature says 2"):
        learned.predict(replace(states(np.zeros((2, 2), np.float32)), values=np.zeros((2, 3), np.float32)))
    with pytest.raises(DataError, match="0 rows"):
        learned.predict(corridor().take(np.zeros(0, np.int64)))
    with pytest.raises(DataError, match="learns in a market, not in Table"):
        ppo().fit(states(np.zeros((2, 2), np.float32)), corridor())
    with pytest.raises(DataError, match="have not ended after 8 steps"):
        play(Corridor(np.zeros(3), endless=True), towards_the_middle)


def test_nothing_is_answered_before_anything_was_learned(learned: PPO) -> None:
    for ask in (lambda p: p.predict(corridor()), lambda p: p.state()):
        with pytest.raises(NotFitted, match="`fit` or `restore`"):
            ask(ppo())
    state = dict(learned.state())
    with pytest.raises(KeyError, match=r"policy\.0\.bias"):
        ppo().restore({name: array for name, array in state.items() if name != "policy.0.bias"})
    with pytest.raises(ValueError, match=r"policy\.0\.weight: shape"):
        ppo().restore({**state, "policy.0.weight": np.zeros((3, 2), np.float32)})


def test_a_served_policy_acts_bit_for_bit_and_loads_neither_torch_nor_the_library(learned: PPO) -> None:
    with tempfile.TemporaryDirectory() as folder:
        saved = artifact.save(Path(folder), learned, task="trading_execution", entry="ppo", fingerprint={"id": "0"}, reference={})
        values = corridor(50, seed=4).inputs
        np.save(Path(folder) / "inputs.npy", values)
        code = f"""
import sys, numpy as np
from pathlib import Path
from finml_models.core import artifact
policy = artifact.load(Path({str(saved)!r})).estimator
np.save({str(Path(folder) / "acted.npy")!r}, policy.act(np.load({str(Path(folder) / "inputs.npy")!r})))
print(sorted({{name.partition('.')[0] for name in sys.modules}} & {{'torch', 'stable_baselines3', 'gymnasium', 'pandas'}}))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]"
        np.testing.assert_array_equal(np.load(Path(folder) / "acted.npy"), learned.act(values))


def test_the_normaliser_is_frozen_and_shipped(learned: PPO) -> None:
    before = {name: array.copy() for name, array in learned.state().items()}
    learned.predict(corridor(40, seed=5))
    learned.predict(states(np.full((5, 2), 7.0, np.float32)))
    assert all(np.array_equal(array, learned.state()[name]) for name, array in before.items())
    assert before["observation.deviation"].min() > 0.1
    plain = ppo(hyperparameters=SMALL.model_copy(update={"normalise_observations": False})).fit(corridor(), corridor(16, seed=1))
    assert plain.state()["observation.mean"].tolist() == [0, 0]
    assert plain.state()["observation.deviation"].tolist() == [1, 1]


def test_the_epoch_with_the_best_validation_is_kept(learned: PPO) -> None:
    losses = [row.valid for row in learned.history]
    assert [row.epoch for row in learned.history] == [1, 2, 3, 4]
    assert -play(corridor(16, seed=1), learned.act).returns.mean() == pytest.approx(min(losses))


def test_fewer_epochs_take_their_share_of_the_steps_and_none_leaves_the_policy_untrained() -> None:
    assert [steps_of(400_000, epochs) for epochs in (0, 6, 20, 40)] == [0, 120_000, 400_000, 800_000]
    events: list[Progress] = []
    untrained = ppo(QUICK.model_copy(update={"max_epochs": 0})).fit(corridor(), corridor(16, seed=1), events.append)
    assert untrained.history == events == []
    assert np.abs(untrained.act(corridor(50).inputs) - 0.5).max() < 0.05


def test_progress_counts_steps_up_and_seconds_down_to_the_end() -> None:
    events: list[Progress] = []
    ppo().fit(corridor(), corridor(16, seed=1), events.append)
    ends = [event for event in events if event.metric is not None]
    assert [event.epoch for event in ends] == [1, 2, 3, 4]
    steps = [event.step for event in events]
    assert steps == sorted(steps)
    assert events[-1].step == events[-1].steps == 4_000
    assert events[-1].seconds_left == 0
    assert all(event.seconds_left >= 0 for event in events)


def test_rewards_that_are_no_numbers_end_the_training_with_a_reason() -> None:
    broken = Corridor(np.full(32, np.nan))
    with pytest.raises((Diverged, ValueError)):
        ppo().fit(broken, corridor(16, seed=1))
