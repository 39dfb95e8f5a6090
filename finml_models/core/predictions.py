"""What models answer, one frozen dataclass an objective. All kinds can be taken by row and written in long form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

Float = NDArray[np.float32]
Int = NDArray[np.int64]


@runtime_checkable
class Prediction(Protocol):
    """Rows that answer the rows of a batch, in its order."""

    def __len__(self) -> int: ...
    def take(self, rows: Int) -> Self:
        """The predictions of these rows, in this order."""
        ...

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The numbers by name, for scoring: (n,) or (n, horizons) each."""
        ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """The prediction of the objective `forecast`.

    Shapes: point (n, horizons), on the target's scale and optimal under the signature's loss; quantiles
    (n, horizons, levels), non-decreasing along the levels.
    """

    point: Float
    quantiles: Float
    levels: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: Int) -> Forecast:
        return replace(self, point=self.point[rows], quantiles=self.quantiles[rows])

    def columns(self) -> Mapping[str, NDArray[Any]]:
        return {"point": self.point} | {f"q{level:g}": self.quantiles[..., i] for i, level in enumerate(self.levels)}

    def quantile(self, level: float) -> Float:
        """(n, horizons) quantile at one of `levels`."""
        return self.quantiles[..., self.levels.index(level)]


@dataclass(frozen=True, slots=True)
class Probabilities:
    """The prediction of the objective `classify`: values (n, classes), each row a distribution over `classes`, in their order."""

    values: Float
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.classes):
            raise DataError(f"probabilities: shape {self.values.shape} for the classes {self.classes}; give one column a class")
        off = np.abs(self.values.sum(axis=1, dtype=np.float64) - 1)
        if len(off) and not (off.max() < 1e-4 and self.values.min() >= 0):
            raise DataError(f"probabilities: row {int(off.argmax())} sums to {1 + off.max():g}, least value {self.values.min():g}; normalise each row")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Int) -> Probabilities:
        return replace(self, values=self.values[rows])

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """`p0`, `p1` … in the order of the classes."""
        return {f"p{i}": self.values[:, i] for i in range(len(self.classes))}


@dataclass(frozen=True, slots=True)
class Actions:
    """The prediction of the objective `control` for single states: values (n, actions), in the units of the environment."""

    values: Float
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Int) -> Actions:
        return replace(self, values=self.values[rows])

    def columns(self) -> Mapping[str, NDArray[Any]]:
        return {name: self.values[:, i] for i, name in enumerate(self.names)}


@dataclass(frozen=True, slots=True)
class Rollout:
    """The prediction of the objective `control` for whole episodes: what came of each, (n,) or (n, k) by name.

    `outcome` is what the environment says at the end of an episode, such as filled quantity and average price.
    """

    outcome: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.outcome.values())))

    def take(self, rows: Int) -> Rollout:
        return Rollout({name: values[rows] for name, values in self.outcome.items()})

    def columns(self) -> Mapping[str, NDArray[Any]]:
        return self.outcome


@dataclass(frozen=True, slots=True)
class Regimes:
    """The prediction of the objective `regimes`: filtered probabilities, and what the next return is like in each regime.

    Shapes: probabilities (n, k), each row a distribution over the regimes, calmest first; mean and std (n, k), of the next return
    given the regime. They make the predictive density, a mixture of normals, that regimes are scored by.
    """

    probabilities: Float
    mean: Float
    std: Float

    def __post_init__(self) -> None:
        if not self.probabilities.shape == self.mean.shape == self.std.shape:
            raise DataError(
                f"regimes: shapes {self.probabilities.shape}, {self.mean.shape} and {self.std.shape} of probabilities, mean and std; give all three alike"
            )
        off = np.abs(self.probabilities.sum(axis=1, dtype=np.float64) - 1)
        if len(off) and not (off.max() < 1e-4 and self.probabilities.min() >= 0 and self.std.min() > 0):
            raise DataError(f"regimes: row {int(off.argmax())} sums to {1 + off.max():g}, least std {self.std.min():g}; normalise each row and keep std over 0")

    def __len__(self) -> int:
        return len(self.probabilities)

    def take(self, rows: Int) -> Regimes:
        return Regimes(self.probabilities[rows], self.mean[rows], self.std[rows])

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """`p0`, `mean0`, `std0`, `p1` … calmest regime first."""
        return {
            f"{name}{i}": values[:, i]
            for i in range(self.probabilities.shape[1])
            for name, values in (("p", self.probabilities), ("mean", self.mean), ("std", self.std))
        }


@dataclass(frozen=True, slots=True)
class AnomalyScores:
    """The prediction of the objective `score`: score (n,), higher is stranger, and the alarm threshold (n,) that was set on training rows."""

    score: Float
    threshold: Float

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: Int) -> AnomalyScores:
        return AnomalyScores(self.score[rows], self.threshold[rows])

    def columns(self) -> Mapping[str, NDArray[Any]]:
        return {"score": self.score, "threshold": self.threshold}
