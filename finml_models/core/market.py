"""Markets to act in: episodes, and the environment that plays many of them at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .batches import Float, Int, Times
from .spec import Kind


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one step of all copies. Shapes: observation (copies, f), reward and the two ends (copies,).

    `terminated` is an end that belongs to the problem, so that nothing is worth anything after it; `truncated` one that was
    imposed from outside. The observation is that of the old episode, also where it ended.
    """

    observation: Float
    reward: Float
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class Environment(Protocol):
    """Copies of a decision problem, stepped together; each copy plays one episode at a time. All randomness lies in the episodes."""

    copies: int

    def begin(self, copies: Int, episodes: Int) -> Float:
        """Put these copies (c,) at the start of these episodes (c,); returns their observations (c, f)."""
        ...

    def step(self, actions: Float) -> Step:
        """Act in every copy. Shape: actions (copies, actions), cut to their bounds."""
        ...

    def outcome(self) -> Mapping[str, NDArray[Any]]:
        """What came of the episode that each copy is in, so far: (copies,) or (copies, k) by name."""
        ...


class Market(ABC):
    """Rows are episodes. The task makes it, and says what is observed, done and rewarded; models see this much alone."""

    kind: ClassVar[Kind] = Kind.MARKET
    target: Float | None
    until: Times | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: Int) -> Self:
        """The episodes of these rows, in this order."""

    @abstractmethod
    def join(self, other: Self) -> Self:
        """These episodes, then the other ones."""

    @abstractmethod
    def environment(self, copies: int) -> Environment:
        """An environment over these episodes; it keeps no reference to any other episode."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """The most steps that an episode has."""

    @property
    @abstractmethod
    def time(self) -> Times:
        """(n,) time at which each episode begins."""

    @property
    @abstractmethod
    def entity(self) -> NDArray[np.str_]:
        """(n,) the order or portfolio that each episode is about."""

    @property
    @abstractmethod
    def inputs(self) -> Float:
        """(n, f) the first observation of each episode."""


@runtime_checkable
class Dated(Protocol):
    """A market whose outcomes are of several moments each, every one a row of its own where predictions are scored."""

    @property
    def sessions(self) -> Times:
        """(n, k) the moment of each of an episode's k outcomes."""
        ...


@runtime_checkable
class LaidOut(Protocol):
    """States whose columns depend on who takes part: they can be laid out as a policy learned them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        ...

    def laid_out(self, actions: tuple[str, ...]) -> Self:
        """The same states by the names of a policy's actions; raises `DataError` for one that the policy does not know."""
        ...
