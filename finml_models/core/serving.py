"""From a request to an answer: the one path that the service, the command line and the tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import catalog
from .errors import DataError
from .market import LaidOut
from .spec import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from .artifact import Artifact
    from .batches import Batch
    from .task import Task


def answer(artifact: Artifact, request: BaseModel) -> BaseModel:
    """Predict from the newest row of each entity of a validated request; raises `DataError` on rows that cannot be used."""
    batch, warnings = asked(artifact, request)
    task = catalog.task(artifact.record.task)()
    return task.respond(batch, artifact.estimator.predict(batch), version=artifact.version, warnings=warnings, explain=artifact)


def asked(artifact: Artifact, request: BaseModel) -> tuple[Batch, tuple[str, ...]]:
    """The newest row of each entity of a validated request, as the model reads it, and what whoever asks must know of it."""
    task = catalog.task(artifact.record.task)()
    batch, newest = task.newest(request, artifact.record.signature.kind)
    _refuse_left_out(newest, task.answered(batch), task.whole)
    signature = artifact.record.signature
    if signature.kind is not Kind.MARKET or not isinstance(batch, LaidOut):
        return batch, outside(batch, signature.feature_names, artifact.reference)
    # What is not asked about fills columns all the same; it cannot be far from anything.
    given, batch = frozenset(batch.columns), batch.laid_out(signature.actions)
    return batch, outside(batch, signature.feature_names, artifact.reference, among=given)


def _refuse_left_out(newest: Mapping[str, np.datetime64], answered: Mapping[str, np.datetime64], whole: str | None) -> None:
    """An entity without an answer, or with one from an older row, would be lost in silence; of a `whole` the newest date."""
    if whole is not None:
        newest = {whole: max(newest.values())}
    if left_out := [name for name, time in newest.items() if answered.get(name) != time]:
        named = ", ".join(map(str, left_out[:5])) + (", …" if len(left_out) > 5 else "")
        raise DataError(f"rows: {len(left_out)} of {len(newest)} have no defined features in their newest row ({named}); correct it or leave them out")


PERCENTILES = 101
"""Points of the distribution of each training input that an artifact keeps, the least and the largest value included."""


def training_range(batch: Batch) -> dict[str, NDArray[Any]]:
    """Least, middle and largest value of each input, its distribution, and the most common category: the `reference` of an artifact.

    The middle of an input that is mostly missing is missing too; the bounds of one that always is let nothing pass as inside.
    The distribution is what drift is measured against: `quantiles` (101, f), the share `cumulative` (101, f) of the values that are at
    most as large, the share `missing` (f,) of rows without a value, the `dates` and `rows` (1,) behind them, how many rows in a series
    tell as much as one that is independent, `persistence` (f,), and of categories the `frequencies` (codes, c).
    """
    values, missing = batch.inputs, np.isnan(batch.inputs)
    filled = np.sort(np.where(missing, np.inf, values), axis=0)
    count = len(values) - missing.sum(axis=0)
    middle = np.where(count > len(values) / 2, _median(filled, count), np.nan)
    found = {"low": filled[0], "middle": middle.astype(np.float32), "high": np.where(missing, -np.inf, values).max(axis=0)}
    found |= _distribution(batch, filled, count)
    codes = getattr(batch, "codes", None)
    if codes is None:
        return found
    size = int(codes.max(initial=0)) + 1
    counts = np.stack([np.bincount(column, minlength=size) for column in codes.T], axis=1)
    return {**found, "common": counts.argmax(axis=0).astype(np.int64), "frequencies": (counts / len(codes)).astype(np.float32)}


def reference(task: Task, batch: Batch, features: DataFrame) -> dict[str, NDArray[Any]]:
    """`training_range` of what requests will hold: a market's episodes show their first observations alone, its states all of them."""
    return training_range(task.view(batch.kind, features) if batch.kind is Kind.MARKET else batch)


def _distribution(batch: Batch, ascending: NDArray[Any], count: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What `training_range` keeps of the first `count` (f,) values of each ascending column (n, f)."""
    at = np.round(np.linspace(0, 1, PERCENTILES)[:, None] * np.maximum(count - 1, 0)).astype(np.int64)
    quantiles = np.where(count > 0, np.take_along_axis(ascending, at, axis=0), np.nan).astype(np.float32)
    below = [np.searchsorted(column[:known], points, side="right") for column, known, points in zip(ascending.T, count, quantiles.T, strict=True)]
    cumulative = np.stack(below, axis=1) / np.maximum(count, 1) if below else np.zeros((PERCENTILES, 0))
    rows = len(ascending)
    return {
        "quantiles": quantiles,
        "cumulative": np.minimum(cumulative, 1).astype(np.float32),
        "missing": (1 - count / rows).astype(np.float32),
        "persistence": persistence(batch),
        "rows": np.array([rows], np.int64),
        "dates": np.array([len(np.unique(batch.time.astype("datetime64[D]")))], np.int64),
    }


def persistence(batch: Batch) -> NDArray[np.float32]:
    """(f,) rows of a series that tell as much of an input's mean as one independent row: (1 + φ) / (1 - φ), φ the correlation of neighbours.

    That of a first-order autoregression (Bartlett, Journal of the Royal Statistical Society 98(3), 1935), at least 1. An input that never
    changes within a series tells nothing new: infinity.
    """
    order = np.lexsort((batch.time, batch.entity))
    names = batch.entity[order]
    values = np.asarray(batch.inputs[order], np.float64)
    centred = values - np.nanmean(np.where(np.isfinite(values).any(axis=0), values, 0.0), axis=0)
    before, after = centred[:-1], centred[1:]
    pair = (names[1:] == names[:-1])[:, None] & np.isfinite(before) & np.isfinite(after)
    product, power = (np.where(pair, part, 0.0).sum(axis=0) for part in (before * after, (before**2 + after**2) / 2))
    correlation = np.clip(np.divide(product, power, out=np.zeros_like(product), where=power > 0), 0.0, 1.0)
    # Rounding keeps the sum of squares of a constant away from its products.
    still = correlation > 1 - 1e-9
    return np.where(still, np.inf, (1 + correlation) / np.where(still, 1.0, 1 - correlation)).astype(np.float32)


def _median(ascending: NDArray[Any], count: NDArray[np.int64]) -> NDArray[Any]:
    """Median of the first `count` (f,) of ascending columns (n, f)."""
    columns = np.arange(ascending.shape[1])
    low, high = (ascending[np.clip(at, 0, len(ascending) - 1), columns] for at in ((count - 1) // 2, count // 2))
    return np.asarray((low + high) / 2)


def outside(batch: Batch, names: tuple[str, ...], reference: Mapping[str, NDArray[Any]], among: Collection[str] | None = None) -> tuple[str, ...]:
    """One warning for each entity and input, `among` these where they are given, that lies outside the range of the training data."""
    low, high = reference["low"], reference["high"]
    inputs = batch.inputs
    beyond = (inputs < low) | (inputs > high)
    if among is not None:
        beyond &= [name in among for name in names]
    if not beyond.any():
        return ()
    return tuple(
        f"{batch.entity[row]}: {names[column]} = {batch.inputs[row, column]:.4g} lies outside the training range {low[column]:.4g} to {high[column]:.4g}"
        for row, column in zip(*beyond.nonzero(), strict=True)
    )
