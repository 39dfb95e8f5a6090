"""Our markets under stable-baselines3: the vector environment, its progress, its normaliser, its actor, and its seeds.

Imported by fits alone; a fitted policy acts through `actor.Actor`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from .actor import CLIP, Actor
from .course import Course
from .loop import seeded

if TYPE_CHECKING:
    from finml_models.core.market import Market

EPSILON = 1e-8


class MarketVecEnv(VecEnv):
    """Copies of a market's environment, each playing one episode after another in an order drawn from the seed, every episode once a round.

    Actions of -1 to 1 become the market's 0 to 1. `returns` holds the sums of rewards of the episodes that ended since it was last emptied.
    """

    def __init__(self, market: Market, copies: int, actions: int, seed: int) -> None:
        self.market, self.environment = market, market.environment(copies)
        width = market.inputs.shape[1]
        observations = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        super().__init__(copies, observations, spaces.Box(-1.0, 1.0, (actions,), np.float32))
        self.returns: list[float] = []
        self._rng = np.random.default_rng(seed)
        self._queue = np.zeros(0, np.int64)
        self._every = np.arange(copies)
        self._sums = np.zeros(copies)
        self._actions = np.zeros((copies, actions), np.float32)

    def reset(self) -> np.ndarray:
        self._sums[:] = 0.0
        return self.environment.begin(self._every, self._next(self.num_envs))

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = (actions + 1) / 2

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        step = self.environment.step(self._actions)
        observation, done = step.observation, step.terminated | step.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._sums += step.reward
        if done.any():
            ended = np.flatnonzero(done)
            for copy in ended:
                cut_short = bool(step.truncated[copy] and not step.terminated[copy])
                infos[copy] = {"terminal_observation": observation[copy].copy(), "TimeLimit.truncated": cut_short}
            self.returns += self._sums[ended].tolist()
            self._sums[ended] = 0.0
            observation = observation.copy()
            observation[ended] = self.environment.begin(ended, self._next(len(ended)))
        return observation, step.reward, done, infos

    def _next(self, count: int) -> np.ndarray:
        while len(self._queue) < count:
            self._queue = np.append(self._queue, self._rng.permutation(len(self.market)))
        chosen, self._queue = self._queue[:count], self._queue[count:]
        return chosen

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ARG002 - the library's signature
        raise AttributeError(f"{attr_name}: the copies of a market have no attributes of their own")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:  # noqa: ARG002 - the library's signature
        raise AttributeError(f"{method_name}: the copies of a market have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:  # noqa: ARG002 - the library's signature
        return [False for _ in self._get_indices(indices)]


class Listener(BaseCallback):
    """Tells a course how far an algorithm is: while it collects, and after each update."""

    def __init__(self, course: Course) -> None:
        super().__init__()
        self._course = course

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._course.collected(self.num_timesteps)

    def _on_rollout_start(self) -> None:
        # The library trains between the end of one rollout and the start of the next.
        self._course.updated(self.num_timesteps)

    def _on_training_end(self) -> None:
        self._course.updated(self.num_timesteps)


def normalised(env: MarketVecEnv, *, observations: bool, rewards: bool, discount: float) -> VecNormalize:
    """The library's running moments, those of observations cut at the actor's limit."""
    return VecNormalize(env, norm_obs=observations, norm_reward=rewards, clip_obs=CLIP, gamma=discount, epsilon=EPSILON)


def actor_of(env: VecNormalize, layers: Sequence[nn.Linear], *, squashed: bool) -> Actor:
    """The actor with the normaliser and these layers as they are now, in copies."""
    width = env.observation_space.shape[0]
    mean, deviation = np.zeros(width), np.ones(width)
    if env.norm_obs:
        mean, deviation = env.obs_rms.mean.copy(), np.sqrt(env.obs_rms.var + EPSILON)
    arrays = tuple((layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy()) for layer in layers)
    return Actor(mean, deviation, arrays, squashed)


@contextmanager
def own_generators(seed: int, device: torch.device) -> Iterator[None]:
    """The library seeds and draws from the global generators of Python, numpy and torch: seeded for a while, and put back as they were."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the library draws from this one
    try:
        with seeded(seed, 0, stream="policy", device=device):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
