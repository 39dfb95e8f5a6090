"""Attributions for any model that predicts from numbers: inputs are replaced by typical ones, one after another.

A row is built up from the typical one, input by input, once in the order of the columns and once in the opposite order; an input's
contribution is the mean of the two steps at which it enters. Steps telescope, so contributions sum to the prediction less the
typical row's exactly, whatever the model. Where inputs act alone or in pairs they are the Shapley values (a 2-additive game: Grabisch,
Fuzzy Sets and Systems 92, 1997), because a pair meets once in either order: coefficient × distance from typical for a linear model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Table, Windows
from .errors import NotExplained
from .explanations import Attribution, Explanation
from .predictions import Actions, AnomalyScores, Forecast, Prediction, Probabilities, Regimes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from .batches import Batch
    from .estimator import Estimator, Signature

    Int = NDArray[np.int64]
    Build = Callable[[Int, NDArray[np.bool_]], Any]
    """The batch of these rows (m,), with their own inputs where `own` (m, inputs) says so and typical ones elsewhere."""

METHOD = "replacement of each input, in the order of the columns and against it, by the median of the training rows"
CAVEAT = (
    "A contribution says how this model's answer differs from that for typical inputs, not what would happen if the input changed in the world. Inputs "
    "that move together are replaced one by one, which can ask the model about rows that never occur; where three or more act together, their "
    "shares depend on the order of the columns."
)
LEAST_PROBABILITY = 1e-6


def by_replacement(estimator: Estimator[Any], batch: Batch) -> Explanation:
    """What each input adds to the prediction over that for the typical row. Raises `NotExplained` where rows hold more than their own numbers."""
    name, signature = type(estimator).__name__, estimator.signature
    if not isinstance(batch, Table | Windows):
        raise NotExplained(f"{name} explains nothing: inputs are replaced in tables and windows, not in {type(batch).__name__}")
    if estimator.typical is None or "middle" not in estimator.typical:
        raise NotExplained(f"{name}: it does not know the typical inputs of its training rows; take the model from an artifact, or set `typical`")
    if not len(batch):
        raise NotExplained("batch: it has no rows to explain")
    build, columns = _table(batch, estimator.typical) if isinstance(batch, Table) else _windows(batch, estimator.typical)
    own = np.concatenate([np.tri(columns + 1, columns, -1, bool), np.tri(columns + 1, columns, -1, bool)[:, ::-1]])
    n, states = len(batch), len(own)
    found, output = told(estimator.predict(build(np.repeat(np.arange(n), states), np.tile(own, (n, 1)))), estimator)
    path = found.reshape(n, 2, columns + 1)
    steps = np.diff(path, axis=2)
    part = Attribution(
        "features",
        (*signature.feature_names, *signature.category_names),
        ((steps[:, 0] + steps[:, 1, ::-1]) / 2).astype(np.float32),
        f"what the input adds to the {output}, over its typical value",
        adds=True,
    )
    return Explanation(METHOD, CAVEAT, (part,), output, value=path[:, :, -1].mean(axis=1), start=path[:, :, 0].mean(axis=1))


def told(prediction: Prediction, estimator: Estimator[Any]) -> tuple[NDArray[np.float64], str]:
    """The one number of each prediction (n,) that contributions are of, and its name. Raises `NotExplained` for decisions about many things."""
    signature = estimator.signature
    match prediction:
        case Forecast(levels=(low, *_, high)) if estimator.explains == "spread":
            width = prediction.quantile(high)[:, 0].astype(np.float64) - prediction.quantile(low)[:, 0]
            return width, f"width of the {high - low:.0%} interval at horizon {signature.horizons[0]}"
        case Forecast():
            return prediction.point[:, 0].astype(np.float64), forecast_name(signature)
        case Probabilities():
            p = np.clip(prediction.values[:, -1].astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            return np.log(p) - np.log1p(-p), odds_name(signature)
        case Regimes():
            return prediction.probabilities[:, -1].astype(np.float64), "probability of the most turbulent regime"
        case AnomalyScores():
            return prediction.score.astype(np.float64), "anomaly score"
        case Actions(names=(name,)):
            return prediction.values[:, 0].astype(np.float64), f"action {name!r}"
    raise NotExplained(f"{type(prediction).__name__}: it is not one number, so there is none that contributions could add up to")


def forecast_name(signature: Signature) -> str:
    """Of several horizons the shortest is explained."""
    return f"point forecast at horizon {signature.horizons[0]}"


def odds_name(signature: Signature) -> str:
    """Of several classes the last is explained."""
    return f"log odds of {signature.classes[-1]!r}"


def _table(batch: Table, typical: Mapping[str, NDArray[Any]]) -> tuple[Build, int]:
    numbers, categories = batch.values.shape[1], 0 if batch.codes is None else batch.codes.shape[1]

    def build(rows: Int, own: NDArray[np.bool_]) -> Any:
        taken = replace(batch.take(rows), target=None, until=None)
        codes = None if taken.codes is None else np.where(own[:, numbers:], taken.codes, typical["common"].astype(np.int64))
        return replace(taken, values=np.where(own[:, :numbers], taken.values, typical["middle"].astype(np.float32)), codes=codes)

    return build, numbers + categories


def _windows(batch: Windows, typical: Mapping[str, NDArray[Any]]) -> tuple[Build, int]:
    """An input of a window is replaced in all of its rows."""
    first = np.maximum(batch.end - batch.length + 1, 0)
    whole = np.arange(batch.length + (0 if batch.known is None else batch.known.shape[1] - batch.panel.shape[1]))
    steps = np.minimum(first[:, None] + np.arange(batch.length), batch.end[:, None])

    def build(rows: Int, own: NDArray[np.bool_]) -> Any:
        series, read = batch.series[rows][:, None], steps[rows]
        return Windows(
            panel=np.where(own[:, None], batch.panel[series, read], typical["middle"].astype(np.float32)),
            times=batch.times[series, read],
            entities=batch.entity[rows],
            series=np.arange(len(rows)),
            end=(batch.end - first)[rows],
            length=batch.length,
            static=None if batch.static is None else batch.static[batch.series[rows]],
            known=None if batch.known is None else batch.known[series, first[rows][:, None] + whole],
        )

    return build, batch.panel.shape[2]
