"""Is the environment of orders free beside the learning in it? (`make bench-environments`)

    python -m benchmarks.environments [--json]

Two figures, in processor time on one thread. Steps a second of 16 copies, with random actions, episodes beginning anew as they
end; the bar is 100,000. And PPO's learning in it beside the same learning in an environment that does nothing, whose episodes are
as long, at 16 copies and at the default number: the bar is 1.1 for both. The two learnings alternate, so that a busy machine slows
both. Exits with 1 when a bar is missed. Other libraries' environments are not run here: they are not installed with the project.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from finml_models.core import catalog
from finml_models.core.market import Environment, Step
from finml_models.datasets.orders.synthetic import generate
from finml_models.environments.execution import ExecutionEnvironment, ExecutionMarket
from finml_models.reinforcement.ppo.card import PPOHyperparameters
from finml_models.reinforcement.ppo.model import PPO
from finml_models.training.stable_baselines import MarketVecEnv, normalised

COPIES = 16
STEPS_A_SECOND = 100_000
RATIO = 1.1
ROUNDS = 7
LEARNED = 20_480
DEFAULT = PPOHyperparameters()
FEW = PPOHyperparameters(environments=COPIES, rollout_length=DEFAULT.environments * DEFAULT.rollout_length // COPIES)
"""Rollouts of the same size by 16 copies, in which the environment weighs more."""


class Idle:
    """Episodes as long as those of the orders, in which nothing happens: what PPO costs by itself."""

    def __init__(self, market: ExecutionMarket, copies: int) -> None:
        self.copies, self._lengths = copies, market.lengths
        self._observation = np.zeros((copies, len(market.names)), np.float32)
        self._reward = np.zeros(copies, np.float32)
        self._never = np.zeros(copies, np.bool_)
        self._left = np.zeros(copies, np.int64)

    def begin(self, copies: NDArray[np.int64], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self._left[copies] = self._lengths[episodes]
        return self._observation[copies]

    def step(self, actions: NDArray[np.float32]) -> Step:
        del actions
        self._left -= 1
        return Step(self._observation, self._reward, self._left <= 0, self._never)

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        """Nothing."""
        return {}


@dataclass(frozen=True, kw_only=True)
class IdleMarket(ExecutionMarket):
    """The same orders in a market that does nothing."""

    def environment(self, copies: int) -> Environment:
        return Idle(self, copies)


def orders() -> ExecutionMarket:
    """The default orders."""
    task = catalog.task("trading_execution")()
    frame = generate(seed=0).frame
    return task.market(task.features(frame), task.target(frame))


def steps_a_second(market: ExecutionMarket, copies: int = COPIES, steps: int = 20_000) -> float:
    """Environment steps of all copies in a second of processor time, ended episodes begun anew."""
    environment = ExecutionEnvironment(market, copies)
    rng = np.random.default_rng(0)
    every = np.arange(copies)
    actions = rng.random((64, copies, 1)).astype(np.float32)
    queue = rng.integers(0, len(market), steps * copies)
    environment.begin(every, queue[:copies])
    taken = copies
    began = time.process_time()
    for number in range(steps):
        step = environment.step(actions[number % 64])
        if step.terminated.any():
            ended = np.flatnonzero(step.terminated)
            environment.begin(ended, queue[taken : taken + len(ended)])
            taken += len(ended)
    return steps * copies / (time.process_time() - began)


def learning_seconds(market: ExecutionMarket, hyperparameters: PPOHyperparameters) -> float:
    """Processor time of `LEARNED` steps of PPO."""
    task = catalog.task("trading_execution")()
    policy = PPO(hyperparameters, task.signature(market))
    h = policy.hyperparameters
    env = normalised(MarketVecEnv(market, h.environments, 1, 0), observations=h.normalise_observations, rewards=h.normalise_rewards, discount=h.discount)
    algorithm = policy.algorithm(env, LEARNED)
    began = time.process_time()
    algorithm.learn(LEARNED)
    return time.process_time() - began


def main(arguments: list[str] | None = None) -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    market = orders()
    idle = IdleMarket(**{name: getattr(market, name) for name in market.__dataclass_fields__})
    rate = max(steps_a_second(market) for _ in range(3))
    learning_seconds(market, DEFAULT)  # a first one pays for imports and caches
    pairs = {h.environments: [(learning_seconds(market, h), learning_seconds(idle, h)) for _ in range(ROUNDS)] for h in (FEW, DEFAULT)}
    ratios = {copies: [ours / nothing for ours, nothing in rounds] for copies, rounds in pairs.items()}
    medians = {copies: float(np.median(found)) for copies, found in ratios.items()}
    ok = rate >= STEPS_A_SECOND and max(medians.values()) <= RATIO
    if given.json:
        print(json.dumps({"steps_a_second": rate, "learning_ratio": medians, "pairs": pairs, "ok": ok}))
        return 0 if ok else 1
    print(f"environment, {COPIES} copies              {rate:12,.0f} steps/s   bar {STEPS_A_SECOND:,}{'' if rate >= STEPS_A_SECOND else '   MISSED'}")
    for copies, median in medians.items():
        spread = ", ".join(f"{ratio:.3f}" for ratio in ratios[copies])
        print(f"PPO / PPO doing nothing, {copies} copies  {median:12.3f}           bar {RATIO}{'' if median <= RATIO else '   MISSED'}   rounds: {spread}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
