"""What a model looked at, row by row: attributions in the terms of the inputs, with what they do and do not say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Attribution:
    """One view of a model's attention. Shape: weights (n, k), one column a name; NaN where a row has no such input.

    `name` says of what: 'features', 'steps', 'neighbours', 'static features'. `meaning` says in a sentence how to read a weight.
    """

    name: str
    names: tuple[str, ...]
    weights: Float
    meaning: str

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.weights.shape[1] != len(self.names):
            raise DataError(f"{self.name}: weights of shape {self.weights.shape} for {len(self.names)} names; give one column a name")


@dataclass(frozen=True, slots=True)
class Explanation:
    """All attributions of the rows of a batch, the method that made them (with its paper), and what they must not be taken for."""

    method: str
    caveat: str
    parts: tuple[Attribution, ...]
