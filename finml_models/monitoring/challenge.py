"""May a retrained version replace the champion? Both are scored on the newest rows, which neither of them was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import JsonValue

from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.core.home import home
from finml_models.core.market import LaidOut
from finml_models.evaluation.backtest import long_form
from finml_models.evaluation.scores import align
from finml_models.evaluation.verdict.judgement import compare, label_span

from .documents import Challenge, Result

if TYPE_CHECKING:
    from finml_models.core.artifact import Artifact
    from finml_models.core.batches import Batch
    from finml_models.core.task import Task

ALPHA = 0.05
LEVEL = 0.9
"""Of the interval, whose upper end is the one-sided bound at `ALPHA`."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """The newest moment at which a label of a training became known."""

    moment: np.datetime64


def cutoff(task: type[Task], fingerprint: Mapping[str, JsonValue]) -> Cutoff:
    """Of a version by the snapshot that its fingerprint names; raises `DataError` when that is no longer under the state folder."""
    snapshot = str(fingerprint.get("snapshot"))
    path = home() / "data" / f"{Path(snapshot).name}.parquet"
    if not path.exists():
        raise DataError(f"snapshot {snapshot[:12]} is not under {path.parent}: what the version was trained on is not known; restore it or train again")
    return Cutoff(newest_label(task, pd.read_parquet(path)))


def newest_label(task: type[Task], raw: pd.DataFrame) -> np.datetime64:
    """The newest moment at which a label in raw rows became known."""
    known = task().target(raw)["until"].dropna()
    if known.empty:
        raise DataError(f"{task.id()}: no row of the snapshot has a known label; train on more data")
    return np.datetime64(known.max(), "us")


def fresh(batch: Batch, after: np.datetime64, unit: str) -> Batch:
    """The labelled rows that no training up to `after` has seen: known later, and of tasks on dates also begun no earlier, so that no label overlaps."""
    if batch.until is None:
        raise DataError("challenge: the rows have no moment at which their label became known; build the view with its target")
    late = batch.until.astype("datetime64[us]") > after
    if unit == "date":
        late &= batch.time.astype("datetime64[us]") >= after
    return batch.take(np.flatnonzero(late))


def challenge(champion: Artifact, challenger: Artifact, raw: pd.DataFrame, *, after: np.datetime64, alpha: float = ALPHA) -> Challenge:
    """Score two artifacts of one use case on the rows of `raw` behind `after` whose outcome is known, and test the difference.

    The test is the gate's own: Diebold and Mariano's on dates with overlapping labels, Student's paired test on independent units or
    on the jackknife's pseudo-values of a metric of whole sets, one-sided. With too few rows nothing is decided, and the champion stays.
    """
    if champion.record.task != challenger.record.task:
        raise DataError(f"challenge: {challenger.version} is of {challenger.record.task}, the champion of {champion.record.task}; name two of one use case")
    task = catalog.task(champion.record.task)
    names = {"champion": champion, "challenger": challenger}
    frames = {name: _predicted(task, artifact, raw, after) for name, artifact in names.items()}
    rows = len(frames["champion"])
    said = _Said(task, champion, challenger, after, alpha)
    if not rows:
        return said.too_few(0, "no row behind that moment has a known outcome yet; wait for newer data")
    measure = task.metrics[0]
    try:
        scores = align(frames, (measure,), unit=task.unit, trading=task.trading)
        losses = {name: scores.losses(name, measure) for name in names}
        result = compare(losses["challenger"], losses["champion"], horizon=label_span(task, rowwise=scores.is_rowwise(measure)))
        values = {name: scores.value(name, measure) for name in names}
    except DataError as error:
        return said.too_few(rows, str(error))
    low, high = result.interval(LEVEL)
    outcome = Result.WON if result.p < alpha and result.mean < 0 else Result.LOST if low > 0 else Result.UNDECIDED
    reason = {
        Result.WON: "the challenger is better on rows that neither was trained on",
        Result.LOST: "the challenger is worse on rows that neither was trained on",
        Result.UNDECIDED: "the two cannot be told apart on rows that neither was trained on; the champion stays",
    }[outcome]
    times = frames["champion"]["time"]
    return Challenge(
        outcome=outcome,
        **said.common(rows, reason),
        units=scores.units(),
        first=f"{times.min():%Y-%m-%d}",
        last=f"{times.max():%Y-%m-%d}",
        champion_value=values["champion"],
        challenger_value=values["challenger"],
        difference=result.mean,
        low=low,
        high=high,
        p=result.p,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    task: type[Task]
    champion: Artifact
    challenger: Artifact
    after: np.datetime64
    alpha: float

    def common(self, rows: int, reason: str) -> dict[str, object]:
        """The fields that every challenge has."""
        names = {who: f"{held.record.entry}:{held.version}" for who, held in (("champion", self.champion), ("challenger", self.challenger))}
        return {
            "task": self.task.id(),
            "metric": self.task.metrics[0],
            **names,
            "after": str(self.after.astype("datetime64[s]")),
            "rows": rows,
            "alpha": self.alpha,
            "reason": reason,
        }

    def too_few(self, rows: int, reason: str) -> Challenge:
        """Nothing can be decided yet."""
        return Challenge.model_validate({"outcome": Result.TOO_FEW, **self.common(rows, reason)})


def _predicted(task: type[Task], artifact: Artifact, raw: pd.DataFrame, after: np.datetime64) -> pd.DataFrame:
    held = task()
    batch = fresh(held.view(artifact.record.signature.kind, held.features(raw), held.target(raw)), after, task.unit)
    if isinstance(batch, LaidOut):
        batch = batch.laid_out(artifact.record.signature.actions)
    own = held.scored(batch)
    if not len(own):
        return pd.DataFrame({"time": pd.Series(dtype="datetime64[us]")})
    frame = long_form(own, held.decide(batch, artifact.estimator.predict), task.horizons, 0, 0)
    return frame.assign(**held.facts(own))
