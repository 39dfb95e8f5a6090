"""Names of training entities as an array, for baselines with parameters of their own for each."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class EntityNames:
    """Row of each entity in a table of parameters; row 0 is the pool, for entities that were not in training.

    `letters` (names + 1, width) is the UTF-8 of the names as bytes: safetensors has no text.
    """

    def __init__(self, letters: NDArray[np.uint8]) -> None:
        self.letters = letters

    @classmethod
    def of(cls, entity: NDArray[np.str_]) -> EntityNames:
        """The distinct names of some rows, in ascending order, behind the pool."""
        names = np.array([b"", *(str(name).encode() for name in np.unique(entity))], dtype=np.bytes_)
        return cls(names.view(np.uint8).reshape(len(names), -1))

    def __len__(self) -> int:
        return len(self.letters)

    def rows(self, entity: NDArray[np.str_]) -> NDArray[np.intp]:
        """(n,) row of each entity, 0 for unknown ones."""
        present, inverse = np.unique(entity, return_inverse=True)
        return np.array([self._position.get(str(name), 0) for name in present], dtype=np.intp)[inverse]

    @cached_property
    def _position(self) -> dict[str, int]:
        letters = np.ascontiguousarray(self.letters)
        names = letters.view(f"S{letters.shape[1]}").ravel()
        return {name.decode(): row for row, name in enumerate(names) if row}
