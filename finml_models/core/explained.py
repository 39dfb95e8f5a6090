"""From a request to an explanation: the one path that the service, the command line and the tests share, and the document at its end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from . import catalog, serving
from .errors import DataError, NotExplained, UnknownName
from .spec import Frozen, Level

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel

    from .artifact import Artifact
    from .explanations import Attribution, Explanation
    from .task import Task

MOST_ROWS = 25
"""Rows of an explanation: one of a network costs some hundred predictions."""
MOST_INPUTS = 100
"""Inputs of a part that are told one by one; a text of thousands of words has few that matter."""


class Contribution(Frozen):
    """One input and what it did."""

    name: str
    weight: float = Field(description="in the unit that the part's meaning states")
    share: float = Field(ge=0, le=1, description="of the sum of absolute weights of the part")


class Part(Frozen):
    """One view of a prediction, largest weights first."""

    name: str = Field(description="what the inputs are: features, static features, steps, neighbours, words, assets")
    meaning: str = Field(description="how to read a weight")
    adds: bool = Field(description="whether weights, with those of the other parts that add, sum to value less start")
    inputs: list[Contribution]
    left_out: int = Field(ge=0, description=f"inputs with smaller weights than the {MOST_INPUTS} that are told")
    left_out_weight: float = Field(description="sum of the weights that are left out")


class ExplainedRow(Frozen):
    """Why the prediction of one entity is what it is."""

    entity: str
    time: datetime = Field(description="of the newest input")
    value: float | None = Field(description="the explained number; null where weights only show what was looked at")
    start: float | None = Field(description="the same number for the row that this one is compared with")
    gap: float | None = Field(description="value - start - all contributions: what the method's arithmetic leaves")
    parts: list[Part]


class ExplainResponse(Frozen):
    """Explanations of the newest row of each entity."""

    task: str
    model: str
    version: str
    method: str = Field(description="how the weights were made, with its paper")
    output: str = Field(description="the number that is explained; empty where weights only show what was looked at")
    caveat: str = Field(description="what the weights must not be taken for")
    rows: list[ExplainedRow]
    warnings: list[str] = Field(default_factory=list)


def explain(artifact: Artifact, request: BaseModel, entities: Collection[str] | None = None) -> ExplainResponse:
    """Explain the newest row of each entity of a validated request, or of these entities.

    Raises `DataError` on rows that cannot be used or are too many, `UnknownName` for an entity that the request does not hold, and
    `NotExplained`, with the models of the use case that do explain, where this one does not.
    """
    task = catalog.task(artifact.record.task)
    batch, warnings = serving.asked(artifact, request)
    names = [str(entity) for entity in batch.entity]
    chosen = [row for row, name in enumerate(names) if entities is None or name in entities]
    for entity in sorted(set(entities or ()) - set(names)):
        raise UnknownName("entity", entity, names)
    if len(chosen) > MOST_ROWS:
        raise DataError(f"rows: {len(chosen)} entities are to be explained, {MOST_ROWS} at most at once; ask about fewer")
    batch = batch.take(np.array(chosen, np.int64))
    try:
        found = artifact.estimator.explain(batch)
    except NotExplained as error:
        raise NotExplained(f"{error}; {alternatives(task, artifact.record.entry)}") from error
    times = batch.time.astype("datetime64[us]").tolist()
    return ExplainResponse(
        task=artifact.record.task,
        model=artifact.record.entry,
        version=artifact.version,
        method=found.method,
        output=found.output,
        caveat=found.caveat,
        rows=[_row(found, row, names[chosen[row]], time) for row, time in enumerate(times)],
        warnings=[warning for warning in warnings if warning.startswith(tuple(f"{names[row]}: " for row in chosen))],
    )


def alternatives(task: type[Task], entry: str) -> str:
    """Which entries of a use case explain by their cards, in a clause."""
    others = [pair.entry for pair in catalog.contenders(task.id()) if pair.entry.id != entry and pair.entry.card.explainability is not Level.LOW]
    told = ", ".join(f"{other.id} ({other.card.explainability.value})" for other in others)
    return f"of {task.id()} these explain: {told}" if told else f"no other entry of {task.id()} explains either"


def _row(found: Explanation, row: int, entity: str, time: datetime) -> ExplainedRow:
    value, start, gap = (None if held is None else float(held[row]) for held in (found.value, found.start, found.gap))
    return ExplainedRow(entity=entity, time=time, value=value, start=start, gap=gap, parts=[_part(part, row) for part in found.parts])


def _part(part: Attribution, row: int) -> Part:
    weights = part.weights[row].astype(np.float64)
    there = np.flatnonzero(~np.isnan(weights))
    order = there[np.argsort(-np.abs(weights[there]), kind="stable")]
    told, rest, total = order[:MOST_INPUTS], order[MOST_INPUTS:], float(np.abs(weights[there]).sum())
    return Part(
        name=part.name,
        meaning=part.meaning,
        adds=part.adds,
        inputs=[Contribution(name=part.names[i], weight=float(weights[i]), share=min(abs(float(weights[i])) / total, 1.0) if total > 0 else 0.0) for i in told],
        left_out=len(rest),
        left_out_weight=float(weights[rest].sum()),
    )
