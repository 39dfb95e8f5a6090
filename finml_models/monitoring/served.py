"""What a version was asked: the model's inputs of stored requests, by the code that training used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import newest
from finml_models.core.errors import DataError

if TYPE_CHECKING:
    from finml_models.core.spec import Kind
    from finml_models.core.task import Task


@dataclass(frozen=True, slots=True)
class Served:
    """Distinct answered rows, oldest first. Shapes: inputs (n, f), time and entity (n,), codes (n, c) or None."""

    inputs: NDArray[np.float32]
    time: NDArray[np.datetime64]
    entity: NDArray[np.str_]
    codes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def dates(self) -> int:
        """Different days."""
        return len(np.unique(self.time.astype("datetime64[D]")))


def inputs_of(task: Task, kind: Kind, requests: Iterable[Mapping[str, Any]]) -> Served | None:
    """The newest row of each entity of stored requests as a model of this kind reads it, each (entity, time) once; None without any.

    A request that no longer passes the use case's rules, as after a change of its fields, is left out.
    """
    from pydantic import ValidationError

    found: list[Served] = []
    for document in requests:
        try:
            rows = task.raw(task.request.model_validate_json(json.dumps(document)))
        except (ValidationError, DataError):
            continue
        batch = newest(task.view(kind, task.features(rows)))
        if len(batch):
            found.append(Served(batch.inputs, batch.time.astype("datetime64[us]"), batch.entity.astype(str), getattr(batch, "codes", None)))
    if not found:
        return None
    # A market's columns depend on who takes part: requests for another set of assets are another distribution.
    found = [one for one in found if one.inputs.shape[1] == found[-1].inputs.shape[1]]
    inputs, time, entity = (np.concatenate([getattr(one, name) for one in found]) for name in ("inputs", "time", "entity"))
    codes = [one.codes for one in found if one.codes is not None]
    order = np.lexsort((entity, time))
    changed = (time[order][1:] != time[order][:-1]) | (entity[order][1:] != entity[order][:-1])
    keep = order[np.append(True, changed)]
    return Served(inputs[keep], time[keep], entity[keep], np.concatenate(codes)[keep] if codes else None)
