"""What one entry scored out of sample: every metric, horizon and part of its rows, each computed once.

A use case's reports all compare with the same baselines: what an entry scored is kept with it, so that the second report finds it.
"""

from __future__ import annotations

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


def is_rowwise(name: str) -> bool:
    """Whether a metric has a value a row."""
    return name == GUARD or isinstance(metric(name), RowLoss)


@dataclass(frozen=True, eq=False)
class Rows:
    """What was scored: `frame` holds `KEY` and the target, sorted; `unit` says what is independent of one another."""

    frame: DataFrame
    unit: Unit

    def __len__(self) -> int:
        return len(self.frame)

    def same(self, other: Rows) -> bool:
        """Whether both are of the same rows and targets, up to rounding of these."""
        return self is other or (
            len(self) == len(other)
            and all(np.array_equal(self.frame[name].to_numpy(), other.frame[name].to_numpy()) for name in KEY)
            and np.allclose(self.frame["target"], other.frame["target"], rtol=1e-6, atol=1e-6)
        )

    @cached_property
    def horizon(self) -> NDArray[np.int64]:
        """(rows,) how far ahead each row looks."""
        return np.asarray(self.frame["horizon"].to_numpy(), np.int64)

    @cached_property
    def unit_of(self) -> NDArray[Any]:
        """(rows,) the date or entity that each row belongs to; moments of one day are one date."""
        return days(self.frame["time"].to_numpy()) if self.unit == "date" else self.frame["entity"].to_numpy()

    @cached_property
    def number(self) -> NDArray[np.intp]:
        """(rows,) the units by number, in their order: sorting them anew for each of a hundred series took a tenth of a report's time."""
        return np.unique(self.unit_of, return_inverse=True)[1]

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """(rows,) the jackknife's group of each row: contiguous dates, or entities at random."""
        group = blocks(int(self.number.max(initial=-1)) + 1)
        return np.asarray(group if self.unit == "date" else np.random.default_rng(0).permutation(group), np.intp)[self.number]

    def of(self, horizon: int | None) -> NDArray[np.bool_]:
        """(rows,) those of a horizon, or all."""
        return np.ones(len(self), dtype=bool) if horizon is None else self.horizon == horizon

    def dates(self, horizon: int | None = None) -> NDArray[np.datetime64]:
        """(dates,) the scored dates, oldest first."""
        return np.unique(days(self.frame["time"].to_numpy()[self.of(horizon)]))

    def count(self, horizon: int | None = None) -> int:
        """Scored rows, whatever the number of seeds."""
        return int(np.count_nonzero(self.of(horizon)))

    def units(self) -> int:
        """Dates or entities."""
        return int(self.number.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Scored:
    """What one entry scored. `values[metric]` is (rows, seeds) of row-wise metrics.

    `given` holds a mapping a seed: the columns of its predictions by the names that metrics use; `earned`, where forecasts are traded,
    the series of their strategy by horizon and seed.
    """

    rows: Rows
    values: Mapping[str, Float]
    given: Sequence[Mapping[str, Any]]
    seeds: tuple[int, ...]
    earned: Mapping[int | None, Sequence[Earned]] = field(default_factory=dict)
    _losses: dict[tuple[str, int | None], Float] = field(default_factory=dict, repr=False)
    _days: dict[tuple[int, str, int | None], Float] = field(default_factory=dict, repr=False)

    def per(self, unit: Unit) -> Scored:
        """The same with other units."""
        return self if unit == self.rows.unit else Scored(Rows(self.rows.frame, unit), self.values, self.given, self.seeds, self.earned)

    def value(self, name: str, horizon: int | None = None) -> float:
        """A metric's one number: of a row-wise one the mean over units, of another that of the whole set; the mean over seeds of either.

        A metric of whole sets compares rows with each other, so that over several horizons it is the mean of its values at each.
        """
        if is_rowwise(name):
            return float(self.series(name, horizon).mean())
        statistic, group = self._statistic(name, horizon)
        return statistic(np.ones(len(group), dtype=bool))

    def value_of(self, name: str, rows: NDArray[np.bool_]) -> float | None:
        """`value` of some rows; None where it cannot be computed there, as an area under a curve without both classes."""
        if is_rowwise(name):
            return float(means_of(self.rows.number[rows], self.rowwise(name)[rows]).mean())
        try:
            return self.value(name) if rows.all() else self._of_set(name, rows)
        except DataError:
            return None

    def series(self, name: str, horizon: int | None = None) -> Float:
        """(units,) mean of a row-wise metric over the rows of each date, oldest first, or of each entity."""
        chosen = self.rows.of(horizon)
        return means_of(self.rows.number[chosen], self.rowwise(name)[chosen])

    def losses(self, name: str, horizon: int | None = None) -> Float:
        """(units,) what tests of equal quality compare, lower is better: a series, or the pseudo-values of a metric of whole sets."""
        key = name, horizon
        if key not in self._losses:
            sign = -1.0 if metric(name).lower_is_better is False else 1.0
            found = self.series(name, horizon) if is_rowwise(name) else jackknife(*self._statistic(name, horizon))
            self._losses[key] = sign * found
        return self._losses[key]

    def rowwise(self, name: str) -> Float:
        """(rows,) mean over the seeds: what one seed, drawn at random, is expected to give."""
        return np.asarray(self.values[name].mean(axis=1), np.float64)

    def by_seed(self, name: str) -> Float:
        """(seeds,) value of each seed."""
        if is_rowwise(name):
            return np.asarray(means_of(self.rows.number, self.values[name]).mean(axis=0), np.float64)
        return np.array([self._of_one(metric(name), own, np.ones(len(self.rows), dtype=bool)) for own in self.given])

    def _statistic(self, name: str, horizon: int | None) -> tuple[Callable[[NDArray[np.bool_]], float], NDArray[np.intp]]:
        """A metric of whole sets as a function of what is kept of them, (k,), and the jackknife's group of each, (k,): dates of series, or rows."""
        of_set = metric(name)
        if name in OF_STRATEGIES and self.earned:
            series = self.earned[horizon]
            return lambda kept: float(np.mean([of_set.value(one.inputs(kept)) for one in series])), blocks(len(series[0].returns))
        if isinstance(of_set, Score) and of_set.daily is not None and of_set.of_days is not None:
            of_days, longest = of_set.of_days, horizon or int(self.rows.horizon.max())
            daily = [self._daily(seed, of_set.daily, of_set.inputs, horizon) for seed in range(len(self.given))]
            return lambda kept: float(np.mean([of_days(one[kept], longest) for one in daily])), blocks(len(daily[0]))
        rows = np.flatnonzero(self.rows.of(horizon))
        return lambda kept: self._of_set(name, rows[kept]), self.rows.group[rows]

    def _daily(self, seed: int, daily: Callable[..., tuple[Any, Float]], wanted: tuple[str, ...], horizon: int | None) -> Float:
        """(days,) values of a metric of cross-sections, the mean over horizons of each date; `seed` is the seed's place."""
        key = seed, daily.__name__, horizon
        if key not in self._days:
            own = self.given[seed]
            of = [horizon] if horizon is not None else np.unique(self.rows.horizon).tolist()
            self._days[key] = np.mean([daily(**{name: own[name][self.rows.of(h)] for name in wanted})[1] for h in of], axis=0)
        return self._days[key]

    def _of_set(self, name: str, rows: NDArray[Any]) -> float:
        return float(np.mean([self._of_one(metric(name), own, rows) for own in self.given]))

    def _of_one(self, of_set: Metric, own: Mapping[str, Any], rows: NDArray[Any]) -> float:
        """A metric of whole sets over some rows of one seed, the mean over their horizons."""
        size, horizon = len(self.rows), self.rows.horizon[rows]
        held = {key: values[rows] if _is_per_row(values, size) else values for key, values in own.items() if key in of_set.inputs}
        if (horizon == horizon[0]).all():
            return of_set.value(held)
        parts = ({key: values[horizon == h] if _is_per_row(values, len(horizon)) else values for key, values in held.items()} for h in np.unique(horizon))
        return float(np.mean([of_set.value(part) for part in parts]))


def score(
    entry: str,
    frame: DataFrame,
    metrics: Sequence[str],
    *,
    interval: float | None = None,
    unit: Unit = "date",
    trading: TradingRule | None = None,
) -> Scored:
    """Score the predictions of one entry; the arguments are those of `scores.align`.

    Raises `DataError` when two seeds differ in their rows or targets, or a row is held twice.
    """
    ordered = _ordered(entry, frame)
    seeds = tuple(int(seed) for seed in np.unique(ordered["seed"]))
    size = len(ordered) // len(seeds)
    repeats = [ordered.iloc[i * size : (i + 1) * size].reset_index(drop=True) for i in range(len(seeds))]
    rows = Rows(repeats[0][[*KEY, "target"]], unit)
    if len(ordered) % len(seeds) or not all(rows.same(Rows(repeat, unit)) for repeat in repeats[1:]):
        raise DataError(f"{entry}: its seeds {list(seeds)} did not predict the same rows and targets; predict all seeds on the same folds of the same data")
    given = [inputs(repeat) for repeat in repeats]
    values = {name: np.stack([found.rows(one) for one in given], axis=1) for name in metrics if isinstance(found := metric(name), RowLoss)}
    if interval is not None:
        values[GUARD] = np.stack([_inside(repeat, interval) for repeat in repeats], axis=1)
    earned = all_earned(repeats, trading) if trading is not None and OF_STRATEGIES & set(metrics) else {}
    return Scored(rows, values, given, seeds, earned)


def blocks(size: int) -> NDArray[np.intp]:
    """(size,) the jackknife's group of each of so many units in order: contiguous blocks of nearly equal length."""
    return np.arange(size) * min(GROUPS, size) // max(size, 1)


def days(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Times without their time of day."""
    return times.astype("datetime64[D]").astype(times.dtype)


def _ordered(entry: str, frame: DataFrame) -> DataFrame:
    missing = {*KEY, "seed", "target"} - set(frame.columns)
    if missing or frame.empty:
        raise DataError(f"{entry}: its predictions have {len(frame)} rows and lack the columns {sorted(missing)}; write them by the pipeline's schema")
    if twice := int(frame.duplicated([*KEY, "seed"]).sum()):
        raise DataError(f"{entry}: {twice} rows are predicted more than once; each test row is scored exactly once")
    return frame.sort_values(["seed", *KEY], ignore_index=True)


def _is_per_row(values: object, size: int) -> bool:
    return isinstance(values, np.ndarray) and len(values) == size


def _inside(frame: DataFrame, interval: float) -> Float:
    levels = quantile_levels(frame)
    target = frame["target"].to_numpy(np.float64)[:, None]
    quantiles = frame[[f"q{level:g}" for level in levels]].to_numpy(np.float64)[:, None, :]
    return inside(target, quantiles, levels, interval)[:, 0]
