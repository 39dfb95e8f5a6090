"""PPO and SAC on Gymnasium's Pendulum-v1 at the settings of the rl-baselines3-zoo, through our environments and our estimators.

The zoo's figures, https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md: the mean return of 750 episodes of one agent, and its
deviation over episodes. Hyperparameters are those of its hyperparams/ppo.yml and hyperparams/sac.yml. A bar is the zoo's mean less its
standard error. The pendulum is Gymnasium's as a market: the same equations for many copies at once, an episode an initial state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import Reached, Row, at_least
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.market import Market, Step
from finml_models.core.spec import Kind, Objective
from finml_models.reinforcement.ppo.card import PPOHyperparameters
from finml_models.reinforcement.ppo.model import PPO
from finml_models.reinforcement.sac.card import SACHyperparameters
from finml_models.reinforcement.sac.model import SAC
from finml_models.training.policy import play

STEPS = 200
MOST_TORQUE, MOST_SPEED = 2.0, 8.0
SIGNATURE = Signature(kind=Kind.MARKET, objective=Objective.CONTROL, feature_names=("cosine", "sine", "speed"), actions=("torque",))


class Zoo(NamedTuple):
    """Mean return and its deviation over 750 episodes."""

    mean: float
    deviation: float

    @property
    def least(self) -> float:
        """One standard error below the mean."""
        return float(self.mean - self.deviation / np.sqrt(750))


PPO_ZOO, SAC_ZOO = Zoo(-172.225, 104.159), Zoo(-156.995, 88.714)
PPO_SETTINGS = PPOHyperparameters(
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
PPO_CONFIG = TrainingConfig(learning_rate=1e-3, gradient_clip=0.5, max_epochs=20, device="cpu")
SAC_SETTINGS = SACHyperparameters(
    environment_steps=20_000,
    environments=1,
    updates=1,
    hidden=256,
    warmup_steps=100,
    replay_size=1_000_000,
    initial_temperature=1.0,
    normalise_observations=False,
    normalise_rewards=False,
)
SAC_CONFIG = TrainingConfig(learning_rate=1e-3, max_epochs=20, device="cpu")
SEEDS = 10


@dataclass(frozen=True)
class Pendulums(Market):
    """Initial angles and speeds, (n, 2), of episodes."""

    initial: NDArray[np.float64]
    target: None = None
    until: None = None

    @classmethod
    def drawn(cls, count: int, seed: int) -> Pendulums:
        """From the distribution of Gymnasium's `reset`."""
        return cls(np.random.default_rng(seed).uniform(-1, 1, (count, 2)) * (np.pi, 1.0))

    def __len__(self) -> int:
        return len(self.initial)

    def take(self, rows: NDArray[np.int64]) -> Pendulums:
        """These episodes."""
        return Pendulums(self.initial[rows])

    def join(self, other: Pendulums) -> Pendulums:
        return Pendulums(np.concatenate([self.initial, other.initial]))

    def environment(self, copies: int) -> Swing:
        return Swing(self.initial, copies)

    @property
    def steps(self) -> int:
        return STEPS

    @property
    def time(self) -> NDArray[np.datetime64]:
        return np.full(len(self), np.datetime64("2020-01-01", "us"))

    @property
    def entity(self) -> NDArray[np.str_]:
        return np.array([f"P{i}" for i in range(len(self))])

    @property
    def inputs(self) -> NDArray[np.float32]:
        return observed(self.initial)


class Swing:
    """Copies of the pendulum."""

    def __init__(self, initial: NDArray[np.float64], copies: int) -> None:
        self.copies, self.initial = copies, initial
        self.state, self.at, self.total = np.zeros((copies, 2)), np.zeros(copies, np.int64), np.zeros(copies)

    def begin(self, copies: NDArray[np.int64], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.state[copies], self.at[copies], self.total[copies] = self.initial[episodes], 0, 0.0
        return observed(self.state[copies])

    def step(self, actions: NDArray[np.float32]) -> Step:
        angle, speed = self.state.T
        torque = (2 * np.clip(actions[:, 0].astype(np.float64), 0, 1) - 1) * MOST_TORQUE
        cost = ((angle + np.pi) % (2 * np.pi) - np.pi) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * 0.05, -MOST_SPEED, MOST_SPEED)
        self.state = np.column_stack([angle + speed * 0.05, speed])
        self.at += 1
        self.total -= cost
        return Step(observed(self.state), -cost.astype(np.float32), np.zeros(self.copies, np.bool_), self.at >= STEPS)

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        return {"total": self.total.copy()}


def observed(state: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cosine and sine of the angle, and the speed. Shape: (n, 2) -> (n, 3)."""
    return np.column_stack([np.cos(state[:, 0]), np.sin(state[:, 0]), state[:, 1]]).astype(np.float32)


def returned(policy: PPO | SAC) -> Reached:
    """Mean return of 2,000 episodes that are the same for all policies, after a training on others."""
    seed = policy.config.seed
    policy.fit(Pendulums.drawn(5_000, seed=seed + 1_000), Pendulums.drawn(200, seed=seed + 2_000))
    return Reached(float(play(Pendulums.drawn(2_000, seed=99), policy.act).returns.mean()))


def ppo(seed: int) -> Reached:
    """Of PPO after 100,000 steps."""
    return returned(PPO(PPO_SETTINGS, SIGNATURE, PPO_CONFIG.model_copy(update={"seed": seed})))


def sac(seed: int) -> Reached:
    """Of SAC after 20,000 steps."""
    return returned(SAC(SAC_SETTINGS, SIGNATURE, SAC_CONFIG.model_copy(update={"seed": seed})))


def rows() -> Iterator[Row]:
    """Mean returns."""
    of, zoo = "Pendulum-v1, mean return", "rl-baselines3-zoo, benchmark.md"
    yield Row("ppo_pendulum", f"PPO, 100,000 steps of {of}", ppo, PPO_ZOO.mean, at_least(PPO_ZOO.least, 1), zoo, SEEDS, 0.8)
    yield Row("sac_pendulum", f"SAC, 20,000 steps of {of}", sac, SAC_ZOO.mean, at_least(SAC_ZOO.least, 1), zoo, SEEDS, 5)
