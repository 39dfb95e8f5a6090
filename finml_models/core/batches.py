"""The frozen dataclasses of arrays that models see, one a kind: windows and tables here, the others in files of their own.

A batch never copies its windows: `Windows` holds one panel and says which rows of it each sample reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .spec import Kind

Float = NDArray[np.float32]
Int = NDArray[np.int64]
Times = NDArray[np.datetime64]
S = TypeVar("S", bound=np.generic)


@runtime_checkable
class Batch(Protocol):
    """What all kinds share: rows with a time and an entity, maybe a target, that can be taken by index."""

    kind: ClassVar[Kind]
    target: Float | None

    def __len__(self) -> int: ...
    def take(self, rows: Int) -> Self:
        """The batch of these rows, in this order; shares the underlying data."""
        ...

    def join(self, other: Self) -> Self:
        """This part of a view, then another part of the same view; `TypeError` for parts of different views."""
        ...

    @property
    def time(self) -> Times:
        """(n,) time of the newest input of each row."""
        ...

    @property
    def until(self) -> Times | None:
        """(n,) time at which the whole target of each row became known; the purge is derived from it."""
        ...

    @property
    def entity(self) -> NDArray[np.str_]:
        """(n,) the asset, account or document that each row is about."""
        ...

    @property
    def inputs(self) -> Float:
        """(n, f) the newest numeric inputs of each row: what training ranges and drift are measured on."""
        ...


@dataclass(frozen=True, slots=True)
class Windows:
    """Row i reads `panel[series[i], end[i] - length + 1 : end[i] + 1]`; rows before the series' start are padding.

    Shapes: panel (s, t, f), times (s, t), entities (s,), series and end (n,), target (n, horizons), static (s, k),
    known (s, t + ahead, j): inputs that are known ahead of time, on the panel's own clock; until (n,).
    """

    kind: ClassVar[Kind] = Kind.WINDOWS

    panel: Float
    times: Times
    entities: NDArray[np.str_]
    series: Int
    end: Int
    length: int
    target: Float | None = None
    until: Times | None = None
    static: Float | None = None
    known: Float | None = None

    def __len__(self) -> int:
        return len(self.end)

    def take(self, rows: Int) -> Windows:
        return replace(
            self,
            series=self.series[rows],
            end=self.end[rows],
            target=None if self.target is None else self.target[rows],
            until=None if self.until is None else self.until[rows],
        )

    def join(self, other: Self) -> Self:
        if other.panel is not self.panel:
            raise TypeError("batches: the two are not parts of one view")
        return replace(
            self,
            series=np.concatenate([self.series, other.series]),
            end=np.concatenate([self.end, other.end]),
            target=both(self.target, other.target),
            until=both(self.until, other.until),
        )

    @property
    def time(self) -> Times:
        return self.times[self.series, self.end]

    @property
    def entity(self) -> NDArray[np.str_]:
        return self.entities[self.series]

    @property
    def inputs(self) -> Float:
        return self.panel[self.series, self.end]

    def gather(self, column: int, length: int | None = None) -> Float:
        """One feature of every window, oldest first, 0 before the start of a series. Shape: (n, length). For baselines; networks gather by batch."""
        steps = self.end[:, None] + np.arange(1 - (length or self.length), 1)
        values: Float = self.panel[self.series[:, None], np.maximum(steps, 0), column]
        return np.where(steps < 0, np.float32(0), values)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and columns.

    Shapes: values (n, f), NaN where a number is missing and the task allows it; times and entities (n,); target
    (n, horizons), or (n, 1) the number of the class; codes (n, c): categories as numbers from 1, 0 for one that is not known.
    """

    kind: ClassVar[Kind] = Kind.TABLE

    values: Float
    columns: tuple[str, ...]
    times: Times
    entities: NDArray[np.str_]
    target: Float | None = None
    until: Times | None = None
    codes: Int | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Int) -> Table:
        return replace(
            self,
            values=self.values[rows],
            times=self.times[rows],
            entities=self.entities[rows],
            target=None if self.target is None else self.target[rows],
            until=None if self.until is None else self.until[rows],
            codes=None if self.codes is None else self.codes[rows],
        )

    def join(self, other: Self) -> Self:
        if other.columns != self.columns:
            raise TypeError("batches: the two are not parts of one view")
        return replace(
            self,
            values=np.concatenate([self.values, other.values]),
            times=np.concatenate([self.times, other.times]),
            entities=np.concatenate([self.entities, other.entities]),
            target=both(self.target, other.target),
            until=both(self.until, other.until),
            codes=both(self.codes, other.codes),
        )

    @property
    def time(self) -> Times:
        return self.times

    @property
    def entity(self) -> NDArray[np.str_]:
        return self.entities

    @property
    def inputs(self) -> Float:
        return self.values


def newest(batch: Batch) -> Batch:
    """The newest row of each entity, in the order of the entities' names."""
    order = np.lexsort((batch.time, batch.entity))
    last = np.append(batch.entity[order][1:] != batch.entity[order][:-1], True) if len(order) else order.astype(bool)
    return batch.take(order[last])


def both(first: NDArray[S] | None, second: NDArray[S] | None) -> NDArray[S] | None:
    """Two optional arrays one behind the other; None where one of them is."""
    return None if first is None or second is None else np.concatenate([first, second])
