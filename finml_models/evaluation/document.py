"""The evaluation report as a document: one typed tree that a page, an API and a check can all be made from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from finml_models.core.spec import Frozen
from finml_models.core.task import Gate

from .verdict import GateResult, Judgement, Verdict

LEVEL = 0.95
"""Level of the table's intervals."""


class MetricNote(Frozen):
    """How to read a metric."""

    id: str
    label: str
    explanation: str
    unit: str
    lower_is_better: bool | None


class TableRow(Frozen):
    """An entry's value of a metric over all scored rows of a horizon, with its bootstrap interval; `n` counts rows."""

    entry: str
    horizon: int | Literal["all"]
    metric: str
    value: float
    low: float
    high: float
    n: int


class Slice(Frozen):
    """The primary metric in a part of the scored rows, against the best baseline there."""

    by: Literal["year", "entity"]
    name: str
    value: float
    baseline_value: float
    n: int


class Seeds(Frozen):
    """The primary metric of each seed."""

    values: dict[int, float]
    spread: float | None = Field(description="standard deviation between seeds; None for a single one")


class DataSection(Frozen):
    """The raw data: identity, size, span (ISO dates), and what was repaired by declared rules, counted."""

    dataset: str
    snapshot: str
    rows: int
    entities: int
    first: str
    last: str
    repairs: dict[str, int]


class ScoredSummary(Frozen):
    """What was predicted out of sample: every row once a seed."""

    rows: int
    dates: int
    entities: int
    folds: int
    first: str
    last: str


class CurvePoint(Frozen):
    """One epoch of a fit: training loss, and the validation metric where there is one."""

    epoch: int
    loss: float
    metric: float | None = None


class TrainingSummary(Frozen):
    """What the fits of a pair took: their number, the mean number of epochs where they have epochs, and the newest learning curve."""

    profile: str
    seconds: float = Field(ge=0)
    fits: int = Field(ge=1)
    epochs: float | None
    parameters: int | None
    curve: tuple[CurvePoint, ...]


class Resources(Frozen):
    """Measured on one CPU core: one prediction, and the artifact."""

    milliseconds: float = Field(ge=0)
    megabytes: float = Field(ge=0)


class Report(Frozen):
    """All that is known of a pair's quality; equal inputs give an equal report, no moment in time is in it."""

    format: Literal[1] = 1
    pair: str
    task: str
    task_name: str
    entry: str
    entry_name: str
    version: str = Field(description="of the artifact")
    is_baseline: bool
    headline: str
    verdict: Verdict
    judgement: Judgement
    gate: GateResult
    rule: Gate
    best_baseline: str
    metrics: tuple[MetricNote, ...] = Field(description="the first one decides")
    interval_level: float = LEVEL
    table: tuple[TableRow, ...]
    slices: tuple[Slice, ...]
    seeds: Seeds
    data: DataSection
    scored: ScoredSummary
    training: TrainingSummary
    resources: Resources
    fingerprint: dict[str, JsonValue]
    reproduce: str
    limitations: tuple[str, ...]

    def row(self, entry: str, metric: str, horizon: int | Literal["all"] = "all") -> TableRow:
        """The table's row; raises `KeyError`."""
        found = [row for row in self.table if (row.entry, row.metric, row.horizon) == (entry, metric, horizon)]
        if not found:
            raise KeyError((entry, metric, horizon))
        return found[0]

    def headline_figures(self) -> dict[str, float]:
        """The few numbers that a list of reports shows."""
        decisive = self.metrics[0].id
        return {
            decisive: self.row(self.entry, decisive).value,
            f"{decisive} of {self.best_baseline}": self.row(self.best_baseline, decisive).value,
            "p": self.judgement.p_adjusted,
            "milliseconds": self.resources.milliseconds,
        }
