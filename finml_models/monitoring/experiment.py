"""An A/B test of two served versions: which answers are compared with which, in what order, and what may be concluded at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .documents import Comparison, Decision, Design, Point
from .losses import loss_of
from .sequential import FIRST_LOOK, Sequence, blocks, confidence_sequence, split_sequence

if TYPE_CHECKING:
    import pandas as pd

    from finml_models.core.task import Task


def compare(task: type[Task], answers: pd.DataFrame, *, alpha: float = 0.05) -> Comparison:
    """Compare realised answers in the order in which they were served.

    Columns: entity, time, `challenger` (bool, a shadow's answers too), `share` of the challenger when it was served, `loss`.

    Where both versions answered for the same entity and time, these pairs alone are compared, averaged over the task's unit: by
    date, in blocks as long as the longest horizon because labels overlap, or by entity. Else each entity is one unit. Means of the
    two arms on a date would not do: a split is sticky, so that what distinguishes the entities of the two arms never averages out.
    """
    measure, horizon = loss_of(task), max(task.horizons, default=1) if task.unit == "date" else 1
    pairs = _pairs(answers)
    if len(pairs):
        series = pairs.groupby(pairs["time"].dt.normalize() if task.unit == "date" else "entity", sort=task.unit == "date")["difference"].mean()
        sequence = confidence_sequence(blocks(series.to_numpy(), horizon), alpha=alpha, horizon=horizon)
        noun = ("dates" if horizon == 1 else f"blocks of {horizon} dates") if task.unit == "date" else "entities"
        return _said(measure, Design.PAIRED, noun, sequence, 2 * len(pairs), "entities that both versions answered for at the same time")
    first = answers[(answers["share"] > 0) & (answers["share"] < 1)].drop_duplicates("entity")
    sequence = split_sequence(first["loss"].to_numpy(np.float64), first["challenger"].to_numpy(bool), first["share"].to_numpy(np.float64), alpha=alpha)
    return _said(measure, Design.RANDOMISED, "entities", sequence, len(first), f"entities with a known outcome, and {FIRST_LOOK} or more in either arm")


def _pairs(answers: pd.DataFrame) -> pd.DataFrame:
    """`entity`, `time` and the difference of losses where both versions answered, in the order of time."""
    means = answers.pivot_table(index=["entity", "time"], columns="challenger", values="loss", aggfunc="mean")
    if not {False, True} <= set(means.columns):
        return means.iloc[:0].reset_index()[["entity", "time"]].assign(difference=np.array([], np.float64))
    return (means[True] - means[False]).dropna().rename("difference").reset_index().sort_values(["time", "entity"], ignore_index=True)


def _said(measure: str, design: Design, unit: str, sequence: Sequence, answers: int, needs: str) -> Comparison:
    n = len(sequence)
    points = [_point(sequence, i) for i in np.unique(np.linspace(0, n - 1, min(n, 200)).astype(int))] if n else []
    newest = points[-1] if points else Point(units=0, difference=0.0)
    if newest.low is None or newest.high is None:
        decision, reason = Decision.TOO_EARLY, f"{n} {unit} so far; the first look needs {FIRST_LOOK}, more where losses are skewed: {needs}"
    elif newest.high < 0:
        decision, reason = Decision.BETTER, "the whole confidence sequence lies below 0: the challenger loses less"
    elif newest.low > 0:
        decision, reason = Decision.WORSE, "the whole confidence sequence lies above 0: the challenger loses more"
    else:
        decision, reason = Decision.OPEN, "the confidence sequence holds 0: neither version is shown to be better yet"
    return Comparison(
        metric=measure,
        design=design,
        unit=unit,
        units=n,
        answers=answers,
        difference=newest.difference if n else None,
        low=newest.low,
        high=newest.high,
        level=sequence.level,
        decision=decision,
        reason=reason,
        path=tuple(points),
    )


def _point(sequence: Sequence, i: int) -> Point:
    low, high = (None if np.isnan(bound[i]) else float(bound[i]) for bound in (sequence.low, sequence.high))
    return Point(units=i + 1, difference=float(sequence.mean[i]), low=low, high=high)
