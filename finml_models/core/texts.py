"""Texts: a row a headline or a document, as it was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .batches import Float, Int, Times, both
from .spec import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Shapes: texts (n,) of `str` objects, times and entities (n,), target (n, 1) the number of the class, until (n,)."""

    kind: ClassVar[Kind] = Kind.TEXTS

    texts: NDArray[np.object_]
    times: Times
    entities: NDArray[np.str_]
    target: Float | None = None
    until: Times | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Int) -> Texts:
        return replace(
            self,
            texts=self.texts[rows],
            times=self.times[rows],
            entities=self.entities[rows],
            target=None if self.target is None else self.target[rows],
            until=None if self.until is None else self.until[rows],
        )

    def join(self, other: Self) -> Self:
        return replace(
            self,
            texts=np.concatenate([self.texts, other.texts]),
            times=np.concatenate([self.times, other.times]),
            entities=np.concatenate([self.entities, other.entities]),
            target=both(self.target, other.target),
            until=both(self.until, other.until),
        )

    @property
    def time(self) -> Times:
        return self.times

    @property
    def entity(self) -> NDArray[np.str_]:
        return self.entities

    @property
    def inputs(self) -> Float:
        """(n, 1) words: the one number of a text whose training range and drift are worth watching."""
        return np.array([[text.count(" ") + 1] for text in self.texts], dtype=np.float32).reshape(-1, 1)
