"""The best values that any prediction could have, where the truth is known because the data were simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.errors import DataError

from .document import Ceiling
from .scored import score

if TYPE_CHECKING:
    from pandas import DataFrame

    from finml_models.core.task import Task

WHY = "The simulator's own probabilities or forecasts, scored on the same rows."


def known_best(task: type[Task], truth: DataFrame, predictions: DataFrame) -> tuple[Ceiling, ...]:
    """A ceiling for each metric of the task, from the truth of the rows that were scored.

    `truth` holds entity, time and the columns of the perfect prediction (p0, p1 …, or point with quantiles), and `horizon` where
    the task has several. Metrics that need columns the truth lacks have no ceiling. Raises `DataError` for rows without truth.
    """
    keys = [name for name in ("entity", "time", "horizon") if name in truth.columns]
    one = predictions[predictions["seed"] == predictions["seed"].min()]
    answers = [name for name in truth.columns if name not in keys]
    scored = one.drop(columns=[name for name in answers if name in one.columns]).merge(truth, on=keys, how="left", validate="many_to_one")
    if missing := int(scored[answers].isna().any(axis=1).sum()):
        raise DataError(f"truth: {missing} of {len(scored)} scored rows have none; simulate the truth together with the rows")
    found = []
    for name in task.metrics:
        try:
            value = score("truth", scored, [name], unit=task.unit).value(name)
        except DataError:
            continue
        found.append(Ceiling(metric=name, value=value, why=WHY))
    return tuple(found)
