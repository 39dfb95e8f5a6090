"""The evaluation report as a document: one typed tree that a page, an API and a check can all be made from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from finml_models.core.recommend import Evidence
from finml_models.core.spec import Frozen
from finml_models.core.task import Gate, Unit

from .strategy_section import StrategySection
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


class Ceiling(Frozen):
    """The best value of a metric that any forecast could have, where the truth is known: planted data, a closed form."""

    metric: str
    horizon: int | Literal["all"] = "all"
    value: float
    why: str = Field(description="how it is known")


class Slice(Frozen):
    """The primary metric in a part of the scored rows, against the best baseline there.

    A regime is a third of the rows of each entity and horizon by that baseline's own forecast, which was known at the time.
    """

    by: Literal["regime", "year", "entity"]
    name: str
    value: float
    baseline_value: float
    n: int
    higher_is_better: bool = False

    @property
    def excess(self) -> float:
        """How much worse than the baseline's the metric is, as a share of it."""
        worse = (self.value - self.baseline_value) / abs(self.baseline_value) if self.baseline_value else 0.0
        return -worse if self.higher_is_better else worse


class TrialCount(Frozen):
    """What was tried before this result: fits, and the different configurations among them, of all models of the task."""

    fits: int = Field(ge=0, description="0 while baselines alone were tried")
    configurations: int = Field(ge=1)


class CardSection(Frozen):
    """The words of the model card that are not measurements."""

    purpose: str
    best_for: tuple[str, ...]
    concept: str
    strengths: tuple[str, ...]
    references: tuple[tuple[str, str], ...] = Field((), description="title with year, and link")
    explainability: str


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
    unit: Unit = Field("date", description="what tests and intervals take for one observation")


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
    ceilings: tuple[Ceiling, ...] = ()
    slices: tuple[Slice, ...]
    regimes_of: str | None = Field(None, description="the baseline whose forecast divides the rows into regimes")
    strategy: StrategySection | None = Field(
        None,
        description="at several multiples of costs: the decisions of a task that pays some, or its forecasts traded by its rule; None where nothing is traded",
    )
    seeds: Seeds
    data: DataSection
    scored: ScoredSummary
    training: TrainingSummary
    resources: Resources
    trials: TrialCount | None = None
    card: CardSection | None = None
    predictions: str = Field("", description="sha256 of the out-of-sample predictions that were judged")
    fingerprint: dict[str, JsonValue]
    reproduce: str = Field(description="the line that makes it again, at the defaults of its profile")
    defaults: bool | None = Field(None, description="whether hyperparameters and training are those defaults; None where that is not known")
    limitations: tuple[str, ...]
    notes: tuple[str, ...] = Field((), description="what must be known of these data and this model to read the numbers")

    def evidence(self) -> Evidence:
        """What it says, in the terms of a recommendation."""
        return Evidence(
            verdict=self.verdict.value,
            metric=self.metrics[0].id,
            lower_is_better=self.metrics[0].lower_is_better is not False,
            value=self.judgement.model_value,
            baseline=self.judgement.against,
            baseline_value=self.judgement.baseline_value,
            milliseconds=self.resources.milliseconds,
            megabytes=self.resources.megabytes,
            released=self.gate.passed,
        )

    def row(self, entry: str, metric: str, horizon: int | Literal["all"] = "all") -> TableRow:
        """The table's row; raises `KeyError`."""
        found = [row for row in self.table if (row.entry, row.metric, row.horizon) == (entry, metric, horizon)]
        if not found:
            raise KeyError((entry, metric, horizon))
        return found[0]

    def cell(self, entry: str, metric: str, horizon: int | Literal["all"] = "all") -> TableRow | None:
        """The table's row, or None where the entry has no such value, as a strategy that never trades breaks even at no cost."""
        return next((row for row in self.table if (row.entry, row.metric, row.horizon) == (entry, metric, horizon)), None)

    def ceiling(self, metric: str, horizon: int | Literal["all"] = "all") -> Ceiling | None:
        """The known best value of a metric, or None where the truth is not known."""
        return next((c for c in self.ceilings if (c.metric, c.horizon) == (metric, horizon)), None)

    def headline_figures(self) -> dict[str, float]:
        """The few numbers that a list of reports shows."""
        decisive = self.metrics[0].id
        return {
            decisive: self.row(self.entry, decisive).value,
            f"{decisive} of {self.best_baseline}": self.row(self.best_baseline, decisive).value,
            "p": self.judgement.p_adjusted,
            "milliseconds": self.resources.milliseconds,
        }
