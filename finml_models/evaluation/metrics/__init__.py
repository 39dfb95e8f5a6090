"""The measures by name: what each says, in which direction it is better, and its value.

Adding a metric is one decorated function in the module of its family; every module of this package is found. Tasks choose by name.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import numpy as np

from finml_models.core.errors import UnknownName

from .forecast import inside, nominal_coverage
from .registry import METRICS, Float, Metric, RowLoss, Score, mean

if TYPE_CHECKING:
    from pandas import DataFrame

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "Metric", "RowLoss", "Score", "inside", "mean", "metric", "nominal_coverage", "quantile_levels", "score", "value"]


NAMES_OF_REGIMES = {"probabilities": "p", "means": "mean", "deviations": "std"}
"""Inputs of metrics by the names of a prediction's columns."""


def metric(name: str) -> Metric:
    """The metric of this name; `UnknownName` lists near matches."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]


def score(frame: DataFrame, name: str) -> Float:
    """(rows,) values of a row-wise metric for a frame of out-of-sample predictions; `DataError` for a metric of whole sets."""
    return metric(name).rows(inputs(frame))


def value(frame: DataFrame, name: str) -> float:
    """A metric's one number for a frame of predictions, of one horizon and seed where the metric compares rows with each other."""
    return metric(name).value(inputs(frame))


def inputs(frame: DataFrame) -> dict[str, Any]:
    """The columns of a frame as the inputs that metrics name: `quantiles` (rows, levels), `times`, `entities`, the rest by their own names.

    Class probabilities p0, p1 … are `probabilities` (rows, classes) and say which class is `predicted`. Of two classes the second's
    is the `probability` and the `score`; of more, `probability` holds all of them. The scores of the first fold are the `reference`.
    Regimes are `probabilities`, `means` and `deviations` (rows, regimes), with the likeliest one of each row as `labels` and `after`.
    Orders that say how they were filled have a `shortfall`. Anomaly scores raise an `alarm` above their threshold, and rank by what
    they have above it: fits differ in scale, and meet where each promises the same number of alarms. Their `target` is 0 or 1.
    """
    from pandas import factorize

    levels = quantile_levels(frame)
    classes = [name for name in frame.columns if name[:1] == "p" and name[1:].isdigit()]
    columns = {f"q{level:g}" for level in levels} | set(classes)
    given: dict[str, Any] = {str(name): frame[name].to_numpy() for name in frame.columns if name not in columns}
    given |= {name: np.asarray(given[name], np.float64) for name in ("target", "point") if name in given}
    given |= {plural: given[name] for plural, name in (("times", "time"), ("entities", "entity")) if name in given}
    if "entities" in given:
        # Metrics ask which rows belong together, never for a name, and ask it fifty times for an interval.
        given["entities"] = factorize(frame["entity"].astype(str), sort=True)[0].astype(np.int32)
    if levels:
        given |= {"quantiles": frame[[f"q{level:g}" for level in levels]].to_numpy(np.float64), "levels": levels}
    if "mean0" in frame:
        given |= _regimes(frame, len(classes))
    elif classes:
        p = frame[classes].to_numpy(np.float64)
        given |= {"probabilities": p, "predicted": p.argmax(axis=1), "target": given["target"].astype(np.int64)}
        given |= {"probability": p[:, 1], "score": p[:, 1]} if len(classes) == 2 else {"probability": p}
    if "threshold" in given:
        over = given["score"].astype(np.float64) - given["threshold"]
        given |= {"score": over, "alarm": over > 0, "target": (given["target"] > 0).astype(np.float64)}
    if "score" in given and "fold" in given:
        # The earliest scores, by a fit on what came before them: what later ones may have moved away from.
        given["reference"] = given["score"][given["fold"] == given["fold"].min()]
    if {"side", "arrival", "average", "filled", "final"} <= given.keys():
        given["shortfall"] = METRICS["implementation_shortfall_bp"].rows(given)
    return given


def _regimes(frame: DataFrame, number: int) -> dict[str, Any]:
    """A fit that chose fewer regimes than another one has no numbers for the rest: they get no weight and a law without effect."""
    held = {word: frame[[f"{name}{i}" for i in range(number)]].to_numpy(np.float64) for word, name in NAMES_OF_REGIMES.items()}
    weights = np.nan_to_num(held["probabilities"], nan=0.0)
    there = weights > 0
    labels = weights.argmax(axis=1)
    return {
        "probabilities": weights,
        "means": np.where(there, held["means"], 0.0),
        "deviations": np.where(there, held["deviations"], 1.0),
        "labels": labels,
        "after": labels,
    }


def quantile_levels(frame: DataFrame) -> tuple[float, ...]:
    """The quantile levels that a predictions frame has columns for, ascending."""
    return tuple(sorted(float(name[1:]) for name in frame.columns if name.startswith("q") and name[1:].replace(".", "", 1).isdigit()))
