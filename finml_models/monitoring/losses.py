"""From realised answers to losses: the rows that metrics score, and one number an answered entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finml_models.core.errors import NoOutcome
from finml_models.evaluation.metrics import RowLoss, inputs, metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.realised import Realised
    from finml_models.core.task import Task


def long_form(found: Iterable[Realised]) -> pd.DataFrame:
    """Realised answers as rows of predictions: one an entity, time and horizon, each scored once (of several answers the first)."""
    rows = [{"entity": one.entity, "time": one.time.replace(tzinfo=None), "fold": 0, "seed": 0, **row} for one in found for row in one.rows]
    frame = pd.DataFrame(rows, columns=None if rows else ["entity", "time", "fold", "seed", "horizon", "target"])
    frame["time"] = frame["time"].astype("datetime64[us]")
    return frame.drop_duplicates(["entity", "time", "horizon"], ignore_index=True)


def loss_of(task: type[Task]) -> str:
    """The metric with a value a row by which answers of a use case are compared; raises `NoOutcome` where there is none."""
    name = task.loss or task.metrics[0]
    if task.outcome is None or not isinstance(metric(name), RowLoss):
        raise NoOutcome(f"{task.id()} has no outcome for a single answer: {task.unscored}")
    return name


def losses(task: type[Task], frame: pd.DataFrame) -> NDArray[np.float64]:
    """(n,) loss of each row of `long_form`, lower is better.

    The Brier score of more than two classes is the sum of those of the single classes (Brier, Monthly Weather Review 78(1), 1950).
    """
    measure = metric(loss_of(task))
    given: dict[str, Any] = inputs(frame)
    p = given.get("probability")
    if p is not None and p.ndim == 2:
        found: NDArray[np.float64] = np.asarray([measure.rows({"target": given["target"] == k, "probability": p[:, k]}) for k in range(p.shape[1])]).sum(axis=0)
        return found
    return measure.rows(given) * (-1.0 if measure.lower_is_better is False else 1.0)


def by_answer(task: type[Task], found: Iterable[Realised]) -> pd.DataFrame:
    """`entity`, `time` and `loss` of each answered entity, the mean over its horizons."""
    frame = long_form(found)
    if frame.empty:
        return frame[["entity", "time"]].assign(loss=np.array([], np.float64))
    return frame.assign(loss=losses(task, frame)).groupby(["entity", "time"], sort=False)["loss"].mean().reset_index()
