"""What a metric is, in two kinds, and the decorators that make one of a plain function.

A `RowLoss` has a value a row, so that one array serves the table, the slices, the bootstrap and the tests of equal
forecasts. A `Score` is a function of a whole set: an area under a curve, a drawdown, a rank correlation.
Either names its inputs by the parameters of its function; parameters with a default are its settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError

Float = NDArray[np.float64]
Numbers = NDArray[np.floating]
Names = NDArray[Any]
Times = NDArray[np.datetime64]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure: its words for tables and tooltips, its direction, and the function behind it."""

    id: str
    label: str
    explanation: str
    unit: str
    lower_is_better: bool | None
    """None where the best value is the nominal one, as for coverage, or where the value only describes."""
    function: Callable[..., Any]
    inputs: tuple[str, ...]

    def rowwise(self, target: Numbers, point: Numbers, quantiles: Numbers, levels: tuple[float, ...]) -> Float:
        """`rows` of a forecast: target and point (...), quantiles (..., levels)."""
        return self.rows({"target": target, "point": point, "quantiles": quantiles, "levels": levels})

    def rows(self, given: Mapping[str, Any]) -> Float:
        """A value a row from the inputs by name; raises `DataError` for a score, which has none."""
        raise DataError(
            f"{self.id}: a score of the whole set has no value a row (asked with {', '.join(given)}); use its `value`, or a loss for tests of equal forecasts"
        )

    def value(self, given: Mapping[str, Any]) -> float:
        """The one number of a set from the inputs by name; inputs that the metric does not read are ignored."""
        raise NotImplementedError

    def _call(self, given: Mapping[str, Any]) -> Any:
        if missing := [name for name in self.inputs if name not in given]:
            raise DataError(f"{self.id}: no {', '.join(missing)} among {', '.join(sorted(given))}; give the inputs {', '.join(self.inputs)}")
        return self.function(**{name: given[name] for name in self.inputs})


@dataclass(frozen=True, slots=True)
class RowLoss(Metric):
    """A metric with a value a row; that of a set is the mean."""

    def rows(self, given: Mapping[str, Any]) -> Float:
        return np.asarray(self._call(given), np.float64)

    def value(self, given: Mapping[str, Any]) -> float:
        return mean(self.rows(given))


@dataclass(frozen=True, slots=True)
class Score(Metric):
    """A metric of a whole set.

    One of cross-sections is made of two functions: `daily`, from its inputs to dates and a value each, and `of_days`, from these
    values and the longest horizon to the metric, so that dates can be left out without computing the others again.
    """

    daily: Callable[..., tuple[Times, Float]] | None = None
    of_days: Callable[[Float, int], float] | None = None

    def value(self, given: Mapping[str, Any]) -> float:
        return float(self._call(given))


METRICS: dict[str, Metric] = {}
"""All metrics by id, filled by the decorators when the family modules are imported."""


def row_loss(label: str, explanation: str, *, lower_is_better: bool | None, unit: str = "") -> Callable[[Function], Function]:
    """Register a function as a `RowLoss` under its own name; the function itself stays as it is."""
    return _register(RowLoss, label, explanation, lower_is_better, unit)


def score_of_set(
    label: str,
    explanation: str,
    *,
    lower_is_better: bool | None,
    unit: str = "",
    daily: Callable[..., Any] | None = None,
    of_days: Callable[[Float, int], float] | None = None,
) -> Callable[[Function], Function]:
    """Register a function as a `Score` under its own name; the function itself stays as it is."""
    return _register(Score, label, explanation, lower_is_better, unit, daily=daily, of_days=of_days)


def mean(values: Float) -> float:
    """The plain average."""
    return float(values.mean())


def check_finite(*arrays: Numbers) -> None:
    """Raise `DataError` for no values, or for values that are NaN or infinite."""
    for values in arrays:
        if not np.size(values):
            raise DataError("metrics: no rows to score; give at least one")
        broken = int(np.count_nonzero(~np.isfinite(values)))
        if broken:
            raise DataError(f"metrics: {broken} of {np.size(values)} targets or predictions are not finite; a missing forecast is not scored as if it were one")


def _register(kind: type[Metric], label: str, explanation: str, lower_is_better: bool | None, unit: str, **more: Any) -> Callable[[Function], Function]:
    def keep(function: Function) -> Function:
        name = function.__name__
        if name in METRICS:
            raise ValueError(f"metric {name!r} is defined twice, in {METRICS[name].function.__module__} and {function.__module__}; rename one")
        inputs = tuple(p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty)
        METRICS[name] = kind(name, label, explanation, unit, lower_is_better, function, inputs, **more)
        return function

    return keep
