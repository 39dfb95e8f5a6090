"""From a request to an answer: the one path that the service, the command line and the tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import catalog
from .batches import newest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pydantic import BaseModel

    from .artifact import Artifact
    from .batches import Batch


def answer(artifact: Artifact, request: BaseModel) -> BaseModel:
    """Predict from the newest row of each entity of a validated request; raises `DataError` on rows that cannot be used."""
    task = catalog.task(artifact.record.task)()
    batch = newest(task.view(artifact.record.signature.kind, task.features(task.raw(request))))
    forecast = artifact.estimator.predict(batch)
    return task.respond(batch, forecast, version=artifact.version, warnings=outside(batch, artifact.record.signature.feature_names, artifact.reference))


def training_range(batch: Batch) -> dict[str, NDArray]:
    """Least and largest value of each input: the `reference` of an artifact."""
    return {"low": batch.inputs.min(axis=0), "high": batch.inputs.max(axis=0)}


def outside(batch: Batch, names: tuple[str, ...], reference: Mapping[str, NDArray]) -> tuple[str, ...]:
    """One warning for each entity and input that lies outside the range of the training data."""
    low, high = reference["low"], reference["high"]
    beyond = (batch.inputs < low) | (batch.inputs > high)
    return tuple(
        f"{batch.entity[row]}: {names[column]} = {batch.inputs[row, column]:.4g} lies outside the training range {low[column]:.4g} to {high[column]:.4g}"
        for row, column in zip(*beyond.nonzero(), strict=True)
    )
