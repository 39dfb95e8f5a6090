"""Out-of-sample predictions of several entries, checked to be of the very same rows, and their losses.

A comparison of two models on different rows is no comparison: `align` refuses it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

from .metrics import inside, quantile_levels, score
from .statistics import by_date

if TYPE_CHECKING:
    from pandas import DataFrame

Float = NDArray[np.float64]

KEY = ["time", "entity", "horizon", "fold"]
GUARD = "guard"
"""Key under which the indicator of the coverage guard's own interval is kept beside the metrics."""


@dataclass(frozen=True)
class Scores:
    """Row-wise values of every entry. `rows` holds `KEY` and the target, sorted; `values[entry][metric]` is (rows, seeds)."""

    rows: DataFrame
    values: Mapping[str, Mapping[str, Float]]
    seeds: Mapping[str, tuple[int, ...]]

    def rowwise(self, entry: str, name: str) -> Float:
        """(rows,) mean over the seeds: what one seed, drawn at random, is expected to give."""
        return np.asarray(self.values[entry][name].mean(axis=1), np.float64)

    def by_date(self, entry: str, name: str, horizon: int | None = None) -> Float:
        """(dates,) mean over entities (and horizons) of each date, oldest first."""
        chosen = self._of(horizon)
        return by_date(self.rows["time"].to_numpy()[chosen], self.rowwise(entry, name)[chosen])[1]

    def by_seed(self, entry: str, name: str) -> Float:
        """(seeds,) value of each seed: the mean over dates."""
        return np.asarray(by_date(self.rows["time"].to_numpy(), self.values[entry][name])[1].mean(axis=0), np.float64)

    def dates(self, horizon: int | None = None) -> NDArray[np.datetime64]:
        """(dates,) the dates of `by_date`."""
        return np.unique(self.rows["time"].to_numpy()[self._of(horizon)])

    def count(self, horizon: int | None = None) -> int:
        """Scored rows, whatever the number of seeds."""
        return int(np.count_nonzero(self._of(horizon)))

    def _of(self, horizon: int | None) -> NDArray[np.bool_]:
        own = self.rows["horizon"].to_numpy()
        return np.ones(len(own), dtype=bool) if horizon is None else own == horizon


def align(frames: Mapping[str, DataFrame], metrics: Sequence[str], *, interval: float | None = None) -> Scores:
    """Score prediction frames by entry. `interval` is the level whose coverage is kept under `GUARD`, where there is one.

    Raises `DataError` when two entries, or two seeds of one, differ in their rows or targets, or hold a row twice.
    """
    rows: DataFrame | None = None
    values: dict[str, dict[str, Float]] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for entry, frame in frames.items():
        ordered = _ordered(entry, frame)
        seeds[entry] = tuple(int(seed) for seed in np.unique(ordered["seed"]))
        size = len(ordered) // len(seeds[entry])
        own = ordered[[*KEY, "target"]].iloc[:size].reset_index(drop=True)
        rows = own if rows is None else rows
        repeats = [ordered[[*KEY, "target"]].iloc[i * size : (i + 1) * size].reset_index(drop=True) for i in range(len(seeds[entry]))]
        if len(ordered) % len(seeds[entry]) or not all(_same_rows(rows, repeat) for repeat in repeats):
            raise DataError(
                f"{entry}: its {size} scored rows a seed (seeds {list(seeds[entry])}) are not the {len(rows)} rows of {next(iter(frames))} "
                "in time, entity, horizon, fold and target; predict all entries on the same folds of the same data"
            )
        columns = {name: score(ordered, name) for name in metrics}
        if interval is not None:
            columns[GUARD] = _inside(ordered, interval)
        values[entry] = {name: column.reshape(len(seeds[entry]), size).T for name, column in columns.items()}
    if rows is None:
        raise DataError("align: no predictions were given; pass at least one entry's frame")
    return Scores(rows, values, seeds)


def content_hash(frame: DataFrame) -> str:
    """sha256 of a predictions frame: of its values in canonical order, not of a file's bytes."""
    ordered = frame.sort_values([*KEY, "seed"], ignore_index=True)
    digest = hashlib.sha256(json.dumps([sorted(frame.columns), len(frame)]).encode())
    for name in sorted(frame.columns):
        column = ordered[name]
        if name == "entity":
            digest.update(json.dumps(column.astype(str).tolist()).encode())
        elif name == "time":
            digest.update(column.to_numpy("datetime64[us]").astype("<i8").tobytes())
        else:
            digest.update(column.to_numpy(np.float64).astype("<f8").tobytes())
    return digest.hexdigest()


def _ordered(entry: str, frame: DataFrame) -> DataFrame:
    missing = {*KEY, "seed", "target", "point"} - set(frame.columns)
    if missing or frame.empty:
        raise DataError(f"{entry}: its predictions have {len(frame)} rows and lack the columns {sorted(missing)}; write them by the pipeline's schema")
    if twice := int(frame.duplicated([*KEY, "seed"]).sum()):
        raise DataError(f"{entry}: {twice} rows are predicted more than once; each test row is scored exactly once")
    return frame.sort_values(["seed", *KEY], ignore_index=True)


def _same_rows(rows: DataFrame, other: DataFrame) -> bool:
    return (
        len(rows) == len(other)
        and all(np.array_equal(rows[name].to_numpy(), other[name].to_numpy()) for name in KEY)
        and np.allclose(rows["target"], other["target"], rtol=1e-6, atol=1e-6)
    )


def _inside(frame: DataFrame, interval: float) -> Float:
    levels = quantile_levels(frame)
    target = frame["target"].to_numpy(np.float64)[:, None]
    quantiles = frame[[f"q{level:g}" for level in levels]].to_numpy(np.float64)[:, None, :]
    return inside(target, quantiles, levels, interval)[:, 0]
