"""What a model looked at, row by row: attributions in the terms of the inputs, with what they do and do not say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

Float = NDArray[np.float32]
Double = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attribution:
    """One view of a prediction. Shape: weights (n, k), one column a name; NaN where a row has no such input.

    `name` says of what: 'features', 'steps', 'neighbours', 'static features'. `meaning` says in a sentence how to read a weight.
    Weights of parts with `adds` are signed contributions: over all such parts they sum to the explanation's `value` less its `start`.
    """

    name: str
    names: tuple[str, ...]
    weights: Float
    meaning: str
    adds: bool = False

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.weights.shape[1] != len(self.names):
            raise DataError(f"{self.name}: weights of shape {self.weights.shape} for {len(self.names)} names; give one column a name")


@dataclass(frozen=True, slots=True)
class Explanation:
    """All attributions of the rows of a batch, the method that made them (with its paper), and what they must not be taken for.

    Where parts add up, `output` names the number that they add up to, `value` (n,) is that number for each row and `start` (n,) what it
    is for the row that all are compared with. Where weights only show what a model looked at, there is no such number.
    """

    method: str
    caveat: str
    parts: tuple[Attribution, ...]
    output: str = ""
    value: Double | None = None
    start: Double | None = None

    def __post_init__(self) -> None:
        if (self.value is None, self.start is None) != ((not any(part.adds for part in self.parts)),) * 2:
            raise DataError(f"{self.method}: give value and start where a part adds up, and neither where none does")

    @property
    def gap(self) -> Double | None:
        """(n,) what the contributions leave of `value` less `start`: the error of a method that is complete; None where nothing adds up."""
        if self.value is None or self.start is None:
            return None
        told = sum(np.nansum(part.weights, axis=1, dtype=np.float64) for part in self.parts if part.adds)
        return np.asarray(self.value - self.start - told)
