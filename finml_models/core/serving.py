"""From a request to an answer: the one path that the service, the command line and the tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import catalog
from .errors import DataError
from .market import LaidOut
from .spec import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    if batch.kind is Kind.MARKET and isinstance(batch, LaidOut):
        batch = batch.laid_out(artifact.record.signature.actions)
    return batch, outside(batch, artifact.record.signature.feature_names, artifact.reference)


def _refuse_left_out(newest: Mapping[str, np.datetime64], answered: Mapping[str, np.datetime64], whole: str | None) -> None:
    """An entity without an answer, or with one from an older row, would be lost in silence; of a `whole` the newest date."""
    if whole is not None:
        newest = {whole: max(newest.values())}
    if left_out := [name for name, time in newest.items() if answered.get(name) != time]:
        named = ", ".join(map(str, left_out[:5])) + (", …" if len(left_out) > 5 else "")
        raise DataError(f"rows: {len(left_out)} of {len(newest)} have no defined features in their newest row ({named}); correct it or leave them out")


def training_range(batch: Batch) -> dict[str, NDArray[Any]]:
    """Least, middle and largest value of each input, and the most common category: the `reference` of an artifact.

    The middle of an input that is mostly missing is missing too; the bounds of one that always is let nothing pass as inside.
    """
    values, missing = batch.inputs, np.isnan(batch.inputs)
    filled = np.sort(np.where(missing, np.inf, values), axis=0)
    count = len(values) - missing.sum(axis=0)
    middle = np.where(count > len(values) / 2, _median(filled, count), np.nan)
    found = {"low": filled[0], "middle": middle.astype(np.float32), "high": np.where(missing, -np.inf, values).max(axis=0)}
    codes = getattr(batch, "codes", None)
    return found if codes is None else {**found, "common": np.array([np.bincount(column).argmax() for column in codes.T], np.int64)}


def reference(task: Task, batch: Batch, features: DataFrame) -> dict[str, NDArray[Any]]:
    """`training_range` of what requests will hold: a market's episodes show their first observations alone, its states all of them."""
    return training_range(task.view(batch.kind, features) if batch.kind is Kind.MARKET else batch)


def _median(ascending: NDArray[Any], count: NDArray[np.int64]) -> NDArray[Any]:
    """Median of the first `count` (f,) of ascending columns (n, f)."""
    columns = np.arange(ascending.shape[1])
    low, high = (ascending[np.clip(at, 0, len(ascending) - 1), columns] for at in ((count - 1) // 2, count // 2))
    return np.asarray((low + high) / 2)


def outside(batch: Batch, names: tuple[str, ...], reference: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """One warning for each entity and input that lies outside the range of the training data."""
    low, high = reference["low"], reference["high"]
    beyond = (batch.inputs < low) | (batch.inputs > high)
    return tuple(
        f"{batch.entity[row]}: {names[column]} = {batch.inputs[row, column]:.4g} lies outside the training range {low[column]:.4g} to {high[column]:.4g}"
        for row, column in zip(*beyond.nonzero(), strict=True)
    )
