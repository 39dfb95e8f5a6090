"""Out-of-sample predictions of several entries, checked to be of the very same rows, and what metrics make of them.

A comparison of two models on different rows is no comparison: `align` refuses it. The units of a comparison are dates, or the
entities of a task whose rows are independent of one another, such as applicants and documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import TradingRule, Unit

from .forecast_trading import METRICS as OF_STRATEGIES
from .forecast_trading import Earned, all_earned
from .metrics import Metric, RowLoss, Score, inputs, inside, metric, quantile_levels
from .statistics import means_of
from .statistics.independent import jackknife

if TYPE_CHECKING:
    from pandas import DataFrame

Float = NDArray[np.float64]

KEY = ["time", "entity", "horizon", "fold"]
GUARD = "guard"
"""Key under which the indicator of the coverage guard's own interval is kept beside the metrics."""
GROUPS = 50
"""Groups of a jackknife: enough for Student's law to be near the normal one, few enough to be quick."""


@dataclass(frozen=True)
class Scores:
    """What every entry scored. `rows` holds `KEY` and the target, sorted; `values[entry][metric]` is (rows, seeds) of row-wise metrics.

    `given[entry]` holds a mapping a seed: the columns of its predictions by the names that metrics use; `earned[entry]`, where
    forecasts are traded, the series of their strategy by horizon and seed.
    """

    rows: DataFrame
    values: Mapping[str, Mapping[str, Float]]
    given: Mapping[str, Sequence[Mapping[str, Any]]]
    seeds: Mapping[str, tuple[int, ...]]
    unit: Unit
    earned: Mapping[str, Mapping[int | None, Sequence[Earned]]] = field(default_factory=dict)
    _losses: dict[tuple[str, str, int | None], Float] = field(default_factory=dict, repr=False)
    _days: dict[tuple[str, int, str, int | None], Float] = field(default_factory=dict, repr=False)

    def value(self, entry: str, name: str, horizon: int | None = None) -> float:
        """A metric's one number: of a row-wise one the mean over units, of another that of the whole set; the mean over seeds of either.

        A metric of whole sets compares rows with each other, so that over several horizons it is the mean of its values at each.
        """
        if self.is_rowwise(name):
            return float(self.series(entry, name, horizon).mean())
        statistic, group = self._statistic(entry, name, horizon)
        return statistic(np.ones(len(group), dtype=bool))

    def value_of(self, entry: str, name: str, rows: NDArray[np.bool_]) -> float | None:
        """`value` of some rows; None where it cannot be computed there, as an area under a curve without both classes."""
        if self.is_rowwise(name):
            return float(means_of(self._units[rows], self.rowwise(entry, name)[rows]).mean())
        try:
            return self.value(entry, name) if rows.all() else self._of_set(entry, name, rows)
        except DataError:
            return None

    @cached_property
    def unit_of_rows(self) -> NDArray[Any]:
        """(rows,) the date or entity that each row belongs to; moments of one day are one date."""
        return _days(self.rows["time"].to_numpy()) if self.unit == "date" else self.rows["entity"].to_numpy()

    @cached_property
    def _units(self) -> NDArray[np.intp]:
        """(rows,) the units by number, in their order: sorting them anew for each of a hundred series took a tenth of a report's time."""
        return np.unique(self.unit_of_rows, return_inverse=True)[1]

    def series(self, entry: str, name: str, horizon: int | None = None) -> Float:
        """(units,) mean of a row-wise metric over the rows of each date, oldest first, or of each entity."""
        chosen = self._of(horizon)
        return means_of(self._units[chosen], self.rowwise(entry, name)[chosen])

    def losses(self, entry: str, name: str, horizon: int | None = None) -> Float:
        """(units,) what tests of equal quality compare, lower is better: a series, or the pseudo-values of a metric of whole sets."""
        key = entry, name, horizon
        if key not in self._losses:
            sign = -1.0 if metric(name).lower_is_better is False else 1.0
            found = self.series(entry, name, horizon) if self.is_rowwise(name) else jackknife(*self._statistic(entry, name, horizon))
            self._losses[key] = sign * found
        return self._losses[key]

    def rowwise(self, entry: str, name: str) -> Float:
        """(rows,) mean over the seeds: what one seed, drawn at random, is expected to give."""
        return np.asarray(self.values[entry][name].mean(axis=1), np.float64)

    def is_rowwise(self, name: str) -> bool:
        """Whether a metric has a value a row."""
        return name == GUARD or isinstance(metric(name), RowLoss)

    def by_seed(self, entry: str, name: str) -> Float:
        """(seeds,) value of each seed."""
        if self.is_rowwise(name):
            return np.asarray(means_of(self._units, self.values[entry][name]).mean(axis=0), np.float64)
        return np.array([self._of_one(metric(name), own, np.ones(len(self.rows), dtype=bool)) for own in self.given[entry]])

    def dates(self, horizon: int | None = None) -> NDArray[np.datetime64]:
        """(dates,) the scored dates, oldest first."""
        return np.unique(_days(self.rows["time"].to_numpy()[self._of(horizon)]))

    def count(self, horizon: int | None = None) -> int:
        """Scored rows, whatever the number of seeds."""
        return int(np.count_nonzero(self._of(horizon)))

    def units(self) -> int:
        """Dates or entities."""
        return len(np.unique(self.unit_of_rows))

    def _statistic(self, entry: str, name: str, horizon: int | None) -> tuple[Callable[[NDArray[np.bool_]], float], NDArray[np.intp]]:
        """A metric of whole sets as a function of what is kept of them, (k,), and the jackknife's group of each, (k,): dates of series, or rows."""
        of_set = metric(name)
        if name in OF_STRATEGIES and self.earned:
            series = self.earned[entry][horizon]
            return lambda kept: float(np.mean([of_set.value(one.inputs(kept)) for one in series])), _blocks(len(series[0].returns))
        if isinstance(of_set, Score) and of_set.daily is not None and of_set.of_days is not None:
            of_days, longest = of_set.of_days, horizon or int(self.rows["horizon"].max())
            days = [self._daily(entry, seed, of_set, horizon) for seed in range(len(self.given[entry]))]
            return lambda kept: float(np.mean([of_days(one[kept], longest) for one in days])), _blocks(len(days[0]))
        rows = np.flatnonzero(self._of(horizon))
        return lambda kept: self._of_set(entry, name, rows[kept]), self._groups()[rows]

    def _daily(self, entry: str, seed: int, of_set: Score, horizon: int | None) -> Float:
        """(days,) values of a metric of cross-sections, the mean over horizons of each date; `seed` is the seed's place."""
        daily = of_set.daily
        assert daily is not None  # noqa: S101 - asked by `_statistic`
        key = entry, seed, daily.__name__, horizon
        if key not in self._days:
            own = self.given[entry][seed]
            of = [horizon] if horizon is not None else np.unique(self.rows["horizon"]).tolist()
            self._days[key] = np.mean([daily(**{wanted: own[wanted][self._of(h)] for wanted in of_set.inputs})[1] for h in of], axis=0)
        return self._days[key]

    def _of_set(self, entry: str, name: str, rows: NDArray[Any]) -> float:
        return float(np.mean([self._of_one(metric(name), own, rows) for own in self.given[entry]]))

    def _of_one(self, of_set: Metric, own: Mapping[str, Any], rows: NDArray[Any]) -> float:
        """A metric of whole sets over some rows of one seed, the mean over their horizons."""
        size, horizon = len(self.rows), self.rows["horizon"].to_numpy()[rows]
        held = {key: values[rows] if _is_per_row(values, size) else values for key, values in own.items() if key in of_set.inputs}
        if (horizon == horizon[0]).all():
            return of_set.value(held)
        parts = ({key: values[horizon == h] if _is_per_row(values, len(horizon)) else values for key, values in held.items()} for h in np.unique(horizon))
        return float(np.mean([of_set.value(part) for part in parts]))

    def _groups(self) -> NDArray[np.intp]:
        """(rows,) the jackknife's group of each row: contiguous dates, or entities at random."""
        names, place = np.unique(self.unit_of_rows, return_inverse=True)
        group = _blocks(len(names))
        return np.asarray(group if self.unit == "date" else np.random.default_rng(0).permutation(group), np.intp)[place]

    def _of(self, horizon: int | None) -> NDArray[np.bool_]:
        own = self.rows["horizon"].to_numpy()
        return np.ones(len(own), dtype=bool) if horizon is None else own == horizon


def align(
    frames: Mapping[str, DataFrame], metrics: Sequence[str], *, interval: float | None = None, unit: Unit = "date", trading: TradingRule | None = None
) -> Scores:
    """Score prediction frames by entry. `interval` is the level whose coverage is kept under `GUARD`, where there is one; `trading` is
    the rule by which forecasts of returns are traded.

    Raises `DataError` when two entries, or two seeds of one, differ in their rows or targets, or hold a row twice.
    """
    rows: DataFrame | None = None
    values: dict[str, dict[str, Float]] = {}
    given: dict[str, list[Mapping[str, Any]]] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    series: dict[str, Mapping[int | None, Sequence[Earned]]] = {}
    for entry, frame in frames.items():
        ordered = _ordered(entry, frame)
        seeds[entry] = tuple(int(seed) for seed in np.unique(ordered["seed"]))
        size = len(ordered) // len(seeds[entry])
        own = ordered[[*KEY, "target"]].iloc[:size].reset_index(drop=True)
        rows = own if rows is None else rows
        repeats = [ordered.iloc[i * size : (i + 1) * size].reset_index(drop=True) for i in range(len(seeds[entry]))]
        if len(ordered) % len(seeds[entry]) or not all(_same_rows(rows, repeat) for repeat in repeats):
            raise DataError(
                f"{entry}: its {size} scored rows a seed (seeds {list(seeds[entry])}) are not the {len(rows)} rows of {next(iter(frames))} "
                "in time, entity, horizon, fold and target; predict all entries on the same folds of the same data"
            )
        given[entry] = [inputs(repeat) for repeat in repeats]
        values[entry] = {name: np.stack([found.rows(one) for one in given[entry]], axis=1) for name in metrics if isinstance(found := metric(name), RowLoss)}
        if trading is not None and OF_STRATEGIES & set(metrics):
            series[entry] = all_earned(repeats, trading)
        if interval is not None:
            values[entry][GUARD] = np.stack([_inside(repeat, interval) for repeat in repeats], axis=1)
    if rows is None:
        raise DataError("align: no predictions were given; pass at least one entry's frame")
    return Scores(rows, values, given, seeds, unit, series)


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
    missing = {*KEY, "seed", "target"} - set(frame.columns)
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


def _blocks(size: int) -> NDArray[np.intp]:
    """(size,) the jackknife's group of each of so many units in order: contiguous blocks of nearly equal length."""
    return np.arange(size) * min(GROUPS, size) // max(size, 1)


def _days(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return times.astype("datetime64[D]").astype(times.dtype)


def _is_per_row(values: object, size: int) -> bool:
    return isinstance(values, np.ndarray) and len(values) == size


def _inside(frame: DataFrame, interval: float) -> Float:
    levels = quantile_levels(frame)
    target = frame["target"].to_numpy(np.float64)[:, None]
    quantiles = frame[[f"q{level:g}" for level in levels]].to_numpy(np.float64)[:, None, :]
    return inside(target, quantiles, levels, interval)[:, 0]
