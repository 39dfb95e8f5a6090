"""The truncation audit: whatever is said of time t must come out the same, bit for bit, when everything after t is cut away.

A centred window, a scaler fitted on the whole sample, a fill from the future: each of them changes what was known at t
when the future is taken away, whatever the code looks like.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from finml_models.core.batches import Table, Windows
from finml_models.core.errors import DataError
from finml_models.core.graphs import Graphs
from finml_models.core.texts import Texts

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from finml_models.core.batches import Batch
    from finml_models.core.spec import Kind
    from finml_models.core.task import Task

VIEW_ROWS = 200
"""Newest rows of a view that are compared at each cut; older ones were the newest ones of an earlier cut."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A value at `time` that changes when the rows after `cut` are taken away."""

    stage: str
    column: str
    entity: str
    time: str
    cut: str
    whole: float
    early: float

    def __str__(self) -> str:
        return f"{self.stage}.{self.column} of {self.entity} at {self.time} is {self.whole:.9g} with the future and {self.early:.9g} on data cut at {self.cut}"


@dataclass(frozen=True, slots=True)
class Audit:
    """Where the data was cut, how many values were compared, and the first leak of each stage and column."""

    cuts: tuple[str, ...]
    compared: int
    leaks: tuple[Leak, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing changed."""
        return not self.leaks


def truncation_audit(task: Task, raw: DataFrame, *, cuts: int = 8, seed: int = 0) -> Audit:
    """Compute features, targets and views on data cut at sampled dates and compare them with those of the whole data.

    The sample is seeded and holds an early and the last but one usable date. Raises `DataError` when the data are too short to be cut.
    """
    dates = np.unique(raw["time"].to_numpy())
    first = task.history + max(task.horizons, default=0) + 1
    if len(dates) < first + 2:
        raise DataError(f"{len(dates)} dates cannot be audited: the task needs {first} before the first cut; give a longer history")
    inner = np.random.default_rng(seed).choice(np.arange(first + 1, len(dates) - 1), size=min(cuts, len(dates) - first - 2), replace=False)
    chosen = dates[np.unique(np.concatenate([[first, len(dates) - 2], inner]))]
    whole = _computed(task, raw)
    leaks: dict[tuple[str, str], Leak] = {}
    compared = 0
    for at in chosen:
        early = _computed(task, task.known(raw, at))
        for stage, column, entity, time, before, after in _compared(task, whole, early, at):
            compared += before.size
            changed = np.flatnonzero(~_same(before, after))
            if len(changed) and (stage, column) not in leaks:
                i = int(changed[0])
                leaks[stage, column] = Leak(stage, column, str(entity[i]), _day(time[i]), _day(at), float(before.flat[i]), float(after.flat[i]))
    return Audit(tuple(_day(at) for at in chosen), compared, tuple(leaks.values()))


@dataclass(frozen=True)
class _Computed:
    x: DataFrame
    y: DataFrame
    views: dict[Kind, Batch]


def _computed(task: Task, raw: DataFrame) -> _Computed:
    x = task.features(raw)
    return _Computed(x, task.target(raw), {kind: task.view(kind, x) for kind in task.kinds})


_Pair = tuple[str, str, NDArray[np.str_], NDArray[np.datetime64], NDArray[np.float64], NDArray[np.float64]]


def _compared(task: Task, whole: _Computed, early: _Computed, at: np.datetime64) -> Iterator[_Pair]:
    """(stage, column, entities, times, value with the future, value without) of everything known at a cut."""
    past = whole.x["time"].to_numpy() <= at
    yield from _columns("features", whole.x[past], early.x)
    known, then = whole.y["until"].to_numpy() <= at, early.y["until"].notna().to_numpy()
    yield _count("target", at, int(known.sum()), int(then.sum()))
    if known.sum() == then.sum():
        yield from _columns("target", whole.y[known], early.y[then])
    for kind, batch in early.views.items():
        before, stage = whole.views[kind], f"view {kind}"
        rows = np.flatnonzero(before.time <= at)
        yield _count(stage, at, len(rows), len(batch))
        if len(rows) != len(batch):
            continue
        newest = np.arange(max(0, len(batch) - VIEW_ROWS), len(batch))
        old, new = before.take(rows[newest]), batch.take(newest)
        names = {f"column {number}": name for number, name in enumerate(task.signature(batch).feature_names)}
        seen = dict(_cells(old))
        for column, values in _cells(new):
            yield stage, names.get(column, column), new.entity, new.time, seen[column], values


def _count(stage: str, at: np.datetime64, whole: int, early: int) -> _Pair:
    """The number of rows as a value of its own: rows may not come or go with the future either."""
    return stage, "rows", np.array(["all"]), np.array([at]), np.array([float(whole)]), np.array([float(early)])


def _columns(stage: str, whole: DataFrame, early: DataFrame) -> Iterator[_Pair]:
    entity, time = early["entity"].to_numpy(dtype=np.str_), early["time"].to_numpy()
    for name in early.columns.drop(["entity", "time", "until"], errors="ignore"):
        yield stage, name, entity, time, _numbers(whole[name]), _numbers(early[name])


def _numbers(column: Series[Any]) -> NDArray[np.float64]:
    """The values of a column; of texts a number each that changes when the text does."""
    if is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
        return column.to_numpy(np.float64)
    return _digests(column.to_numpy(object))


def _digests(texts: NDArray[np.object_]) -> NDArray[np.float64]:
    return np.array([zlib.crc32(str(text).encode("utf-8", "surrogatepass")) for text in texts], np.float64)


def _cells(batch: Batch) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """What each row of a view can see, by name: (n,) sums that change when any cell does."""
    if isinstance(batch, Windows):
        # Weights make the sum sensitive to order; float64 sums of float32 cells in one order are equal when the cells are.
        weights = np.linspace(1.0, 2.0, batch.length)
        for column in range(batch.panel.shape[-1]):
            yield f"column {column}", (batch.gather(column).astype(np.float64) * weights).sum(axis=1)
        for column, values in enumerate([] if batch.static is None else batch.static[batch.series].T.astype(np.float64)):
            yield f"static {column}", values
        # The past of what is known ahead: its future is the calendar's, which data cut at t have no rows for.
        if batch.known is not None:
            ahead = replace(batch, panel=batch.known)
            for column in range(batch.known.shape[-1]):
                yield f"known {column}", (ahead.gather(column).astype(np.float64) * weights).sum(axis=1)
        return
    # By name where columns have names: those of an asset that came later are not there on data that end before it.
    columns = batch.columns if isinstance(batch, Table) else tuple(f"column {column}" for column in range(batch.inputs.shape[1]))
    yield from zip(columns, batch.inputs.T.astype(np.float64), strict=True)
    if isinstance(batch, Table) and batch.codes is not None:
        for column, values in enumerate(batch.codes.T.astype(np.float64)):
            yield f"category {column}", values
    if isinstance(batch, Texts):
        yield "text", _digests(batch.texts)
    if isinstance(batch, Graphs):
        yield "neighbours", _neighbours(batch)
        yield "stamp", batch.edges.stamped[batch.graph[batch.snapshot]].astype("datetime64[us]").astype(np.float64)


def _neighbours(batch: Graphs) -> NDArray[np.float64]:
    """(n,) for each row a sum over the edges into its node, or over all of its snapshot, that changes with any of them or its weight."""
    names = _digests(batch.entities.astype(object)) / 2**32
    graphs = np.arange(len(batch.edges.offsets) - 1).repeat(np.diff(batch.edges.offsets))
    seen = np.zeros((len(batch.edges.offsets) - 1, len(batch.entities)))
    each = batch.edges.weight.astype(np.float64) * (1 + names[batch.edges.source])
    if batch.of_snapshots:
        # Edge by edge: entities that list later must not change the order of the sum.
        np.add.at(seen[:, 0], graphs, each * (1 + names[batch.edges.target]))
        return np.asarray(seen[batch.graph[batch.snapshot], 0], np.float64)
    np.add.at(seen, (graphs, batch.edges.target), each)
    return np.asarray(seen[batch.graph[batch.snapshot], batch.node], np.float64)


def _same(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)), dtype=np.bool_)


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
