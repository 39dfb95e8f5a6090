"""The dense common calendar: every entity on the dates that any of them has, as arrays.

On its own clock an entity has no holes, and two entities cannot be compared. Here a column is an entity, a row a date, and
an entity that did not trade is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .panel import Panel

Value = TypeVar("Value", np.float64, np.float32, np.bool_)


@dataclass(frozen=True, eq=False)
class Aligned:
    """A panel seen as (dates, entities).

    Shapes: `times` (t,) ascending, `entities` (s,) ascending, `row` (t, s) positions of the long frame's rows, -1 where there is none.
    """

    panel: Panel
    times: NDArray[np.datetime64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, panel: Panel) -> Aligned:
        """The common calendar of a panel: the union of its entities' dates."""
        held = panel.mask
        times, day = np.unique(panel.times[held], return_inverse=True)
        row = np.full((len(times), len(panel.entities)), -1, dtype=np.int64)
        row[day, np.nonzero(held)[0]] = panel.row[held]
        return cls(panel, times, row)

    @property
    def entities(self) -> NDArray[np.str_]:
        """Names of the columns. Shape: (s,)."""
        return self.panel.entities

    def wide(self, values: NDArray[Value]) -> NDArray[Value]:
        """Values of the long frame's rows by date. Shape: (n,) -> (t, s) or (n, f) -> (t, s, f); NaN, or False, where an entity has no row."""
        filler = np.full((1, *values.shape[1:]), values.dtype.type(0 if values.dtype == np.bool_ else np.nan))
        return np.concatenate([values, filler])[self.row]  # -1 picks the filler at the end

    def dense(self, column: str) -> NDArray[np.float64]:
        """A column of the long frame by date. Shape: (t, s)."""
        return self.wide(self.panel.frame[column].to_numpy(dtype=np.float64))

    def cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Date and entity, as positions, of each row of the long frame. Shape: (n,) each."""
        day, entity = np.nonzero(self.row >= 0)
        order = np.argsort(self.row[day, entity])
        return day[order], entity[order]

    def long(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values by date back in the long frame's row order. Shape: (t, s) -> (n,)."""
        held = self.row >= 0
        out = np.empty(int(self.panel.lengths.sum()), dtype=values.dtype)
        out[self.row[held]] = values[held]
        return out
