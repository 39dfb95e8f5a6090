"""The dense own-clock panel: every entity on its own sequence of sessions, as arrays.

Entities list on different days, so a calendar-aligned matrix is full of holes that no rolling window may cross. On its own
clock an entity's rows are contiguous from column 0 and the padding is at the end, so that a window of k columns is always k
sessions of that entity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Panel:
    """A long frame seen as (entities, own sessions).

    Shapes: `entities` (s,), `times` (s, t) datetime64[us] with NaT padding at the end, `lengths` (s,), `row` (s, t) positions
    of the long frame's rows, -1 where padded. Entities are in ascending order, times ascend along each row.
    """

    frame: Mapping[str, NDArray[Any]] | pd.DataFrame
    entities: NDArray[np.str_]
    times: NDArray[np.datetime64]
    lengths: NDArray[np.int64]
    row: NDArray[np.int64]
    in_order: bool = False
    """Whether the long frame's rows are the cells one after the other, without padding."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Panel:
        """The panel of a long frame with the columns `entity` and `time`, in any row order.

        Raises `DataError` where a column is absent or a pair of entity and time occurs twice.
        """
        missing = {"entity", "time"} - set(frame.columns)
        if missing:
            raise DataError(f"the panel needs the column(s) {sorted(missing)}, the frame has {list(frame.columns)}: rename or add them")
        codes, entities = pd.factorize(frame["entity"], sort=True)
        if (codes < 0).any():
            raise DataError(f"row {int(np.argmax(codes < 0))}: `entity` is missing: name the asset or drop the row")
        times = frame["time"].to_numpy(dtype="datetime64[us]")
        if np.isnat(times).any():
            raise DataError(f"row {int(np.argmax(np.isnat(times)))}: `time` is missing: give the session's date or drop the row")
        return cls.coded(frame, entities, codes, times)

    @classmethod
    def coded(cls, frame: Mapping[str, NDArray[Any]] | pd.DataFrame, entities: Any, codes: NDArray[np.int64], times: NDArray[np.datetime64]) -> Panel:
        """The panel of columns whose rows are of `entities[codes]`, which ascend, at `times`. Raises `DataError` for a pair that occurs twice."""
        order = np.lexsort((times, codes))
        code, time = codes[order], times[order]
        twice = (code[1:] == code[:-1]) & (time[1:] == time[:-1])
        if twice.any():
            at = int(np.argmax(twice))
            raise DataError(f"row {order[at + 1]}: {entities[code[at]]!r} has {time[at]} twice: keep one row a session")
        lengths = np.bincount(code, minlength=len(entities)).astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        column = np.arange(len(code)) - starts[code]
        shape = len(entities), int(lengths.max(initial=0))
        row = np.full(shape, -1, dtype=np.int64)
        row[code, column] = order
        dense_times = np.full(shape, np.datetime64("NaT"), dtype="datetime64[us]")
        dense_times[code, column] = time
        return cls(frame=frame, entities=np.asarray(entities, dtype=str), times=dense_times, lengths=lengths, row=row)

    @classmethod
    def ordered(cls, frame: Mapping[str, NDArray[Any]], entities: Any, codes: NDArray[np.int64], times: NDArray[np.datetime64]) -> Panel:
        """As `coded`, of rows that are ordered by entity and time already, no pair twice: a small one costs a fraction where all entities have as many."""
        lengths = np.bincount(codes, minlength=len(entities)).astype(np.int64)
        shape = len(entities), int(lengths.max(initial=0))
        if len(codes) != shape[0] * shape[1]:
            return cls.coded(frame, entities, codes, times)
        row = np.arange(len(codes)).reshape(shape)
        return cls(frame, np.asarray(entities, dtype=str), times.astype("datetime64[us]").reshape(shape), lengths, row, in_order=True)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the panel holds a row. Shape: (s, t)."""
        return self.row >= 0

    def newest(self) -> dict[str, np.datetime64]:
        """By entity the time of its newest row."""
        last = self.times[:, -1] if self.in_order else self.times[np.arange(len(self.entities)), self.lengths - 1]
        return dict(zip(self.entities.tolist(), last, strict=True))

    def dense(self, column: str) -> NDArray[np.float64]:
        """A column of the long frame, not to be written to. Shape: (s, t), NaN where padded."""
        if self.in_order:
            return np.asarray(self.frame[column], np.float64).reshape(self.row.shape)
        values = np.append(np.asarray(self.frame[column], np.float64), np.nan)
        return values[self.row]  # -1 picks the NaN at the end

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in the long frame's row order by cell. Shape: (n,) -> (s, t), NaN where padded; a fresh, writable array."""
        return np.append(values, np.nan)[self.row]  # -1 picks the NaN at the end

    def long(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Dense values back in the long frame's row order. Shape: (s, t) -> (n,), or (s, t, ...) -> (n, ...)."""
        if values.shape[:2] != self.row.shape:
            raise DataError(f"values of shape {values.shape} do not fit the panel of shape {self.row.shape}: give one value a cell")
        mask = self.mask
        out = np.empty((int(self.lengths.sum()), *values.shape[2:]), dtype=values.dtype)
        out[self.row[mask]] = values[mask]
        return out
