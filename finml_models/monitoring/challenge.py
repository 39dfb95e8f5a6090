"""May a retrained version replace the champion? Both are scored on the newest rows, which neither of them was trained on.

A version that was just retrained has seen every row there is. Until enough new ones have come, its walk-forward fits speak for
it: each predicted rows behind its own training, and those behind the champion's training too are fresh to both. These fits
saw less than the version itself, so this errs to the champion's side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import JsonValue

from finml_models.core import catalog
from finml_models.core.artifact import Artifact, load
from finml_models.core.errors import DataError
from finml_models.core.home import home
from finml_models.core.market import LaidOut
from finml_models.evaluation.backtest import long_form
from finml_models.evaluation.scores import align, is_rowwise
from finml_models.evaluation.verdict.judgement import compare, label_span

from .documents import Challenge, Result

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.task import Task

ALPHA = 0.05
LEVEL = 0.9
"""Of the interval, whose upper end is the one-sided bound at `ALPHA`."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A version as the ledger or the pipeline knows it; `artifact` is relative to the state folder."""

    task: str
    entry: str
    version: str
    artifact: str
    fingerprint: Mapping[str, JsonValue]

    @property
    def backtest(self) -> Path:
        """Where the pipeline keeps the out-of-sample predictions of its walk-forward fits."""
        return home() / "backtests" / self.task / self.entry / self.version / "predictions.parquet"


def challenge_versions(champion: Trained, challenger: Trained, raw: pd.DataFrame) -> Challenge:
    """`challenge` behind both trainings; where that leaves too few rows, `challenge_by_backtest` behind the champion's.

    `raw` are the newest raw rows of the use case. Raises `DataError` when the snapshot of a training is gone.
    """
    task = catalog.task(champion.task)
    champions, challengers = (cutoff(task, one.fingerprint) for one in (champion, challenger))
    held = load(home() / champion.artifact)
    found = challenge(held, load(home() / challenger.artifact), raw, after=max(champions, challengers))
    if found.outcome is not Result.TOO_FEW or not challenger.backtest.exists():
        return found
    name = f"{challenger.entry}:{challenger.version}"
    return challenge_by_backtest(held, name, pd.read_parquet(challenger.backtest), raw, after=champions)


def cutoff(task: type[Task], fingerprint: Mapping[str, JsonValue]) -> np.datetime64:
    """The newest moment at which a label of a training became known, by the snapshot that its fingerprint names.

    Raises `DataError` when that is no longer under the state folder.
    """
    snapshot = str(fingerprint.get("snapshot"))
    path = home() / "data" / f"{Path(snapshot).name}.parquet"
    if not path.exists():
        raise DataError(f"snapshot {snapshot[:12]} is not under {path.parent}: what the version was trained on is not known; restore it or train again")
    return newest_label(task, pd.read_parquet(path))


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
    frames = {name: _predicted(task, held, raw, after) for name, held in (("champion", champion), ("challenger", challenger))}
    return _tested(task, frames, _Said(task, _name(champion), _name(challenger), after, alpha, "artifacts"))


def challenge_by_backtest(
    champion: Artifact, challenger: str, predictions: pd.DataFrame, raw: pd.DataFrame, *, after: np.datetime64, alpha: float = ALPHA
) -> Challenge:
    """Score an artifact beside the out-of-sample predictions of another version's walk-forward fits, on the rows of both behind `after`.

    Several seeds of the challenger count by their mean, as in its report.
    """
    task = catalog.task(champion.record.task)
    ours = _predicted(task, champion, raw, after)
    if len(ours) and len(predictions):
        key = ["entity", "time", "horizon"]
        wanted = pd.MultiIndex.from_frame(predictions[key].drop_duplicates())
        ours = ours[pd.MultiIndex.from_frame(ours[key]).isin(wanted)].reset_index(drop=True)
        theirs = predictions[pd.MultiIndex.from_frame(predictions[key]).isin(pd.MultiIndex.from_frame(ours[key]))].assign(fold=0)
    else:
        ours = theirs = ours.iloc[:0]
    frames = {"champion": ours, "challenger": theirs.reset_index(drop=True)}
    return _tested(task, frames, _Said(task, _name(champion), challenger, after, alpha, "backtest"))


def _tested(task: type[Task], frames: Mapping[str, pd.DataFrame], said: _Said) -> Challenge:
    rows = len(frames["champion"])
    if not rows:
        return said.too_few(0, "no row behind that moment has a known outcome yet; wait for newer data")
    measure = task.metrics[0]
    try:
        scores = align(frames, (measure,), unit=task.unit, trading=task.trading)
        losses = {name: scores[name].losses(measure) for name in frames}
        result = compare(losses["challenger"], losses["champion"], horizon=label_span(task, rowwise=is_rowwise(measure)))
        values = {name: scores[name].value(measure) for name in frames}
    except DataError as error:
        return said.too_few(rows, str(error))
    low, high = result.interval(LEVEL)
    outcome = Result.WON if result.p < said.alpha and result.mean < 0 else Result.LOST if low > 0 else Result.UNDECIDED
    reason = {
        Result.WON: "the challenger is better on rows that neither was trained on",
        Result.LOST: "the challenger is worse on rows that neither was trained on",
        Result.UNDECIDED: "the two cannot be told apart on rows that neither was trained on; the champion stays",
    }[outcome]
    times = frames["champion"]["time"]
    return Challenge.model_validate(
        {
            "outcome": outcome,
            **said.common(rows, reason),
            "units": scores.rows.units(),
            "first": f"{times.min():%Y-%m-%d}",
            "last": f"{times.max():%Y-%m-%d}",
            "champion_value": values["champion"],
            "challenger_value": values["challenger"],
            "difference": result.mean,
            "low": low,
            "high": high,
            "p": result.p,
        }
    )


def _name(held: Artifact) -> str:
    return f"{held.record.entry}:{held.version}"


@dataclass(frozen=True, slots=True)
class _Said:
    task: type[Task]
    champion: str
    challenger: str
    after: np.datetime64
    alpha: float
    by: str

    def common(self, rows: int, reason: str) -> dict[str, object]:
        """The fields that every challenge has."""
        return {
            "task": self.task.id(),
            "metric": self.task.metrics[0],
            "champion": self.champion,
            "challenger": self.challenger,
            "by": self.by,
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
