"""Versions, and several of them side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from finml_ledger import Role
from finml_models.core.documents import ModelDetail
from finml_models.evaluation.document import DataSection, MetricNote, TrainingSummary
from finml_models.evaluation.verdict import Verdict

from .catalogue import Claim, Levels, Measurement, Source
from .strict import Page, Strict


class Version(Strict):
    """A version that was trained and judged."""

    use_case: str
    model_id: str
    version: str
    verdict: str
    gate_passed: bool
    packaged: bool = Field(description="whether there is a bento of it")
    headline: dict[str, Any] = Field(description="the few numbers that a list shows")
    created_at: datetime
    run_id: str | None
    roles: tuple[Role, ...] = Field(description="what it serves as now")
    report: str | None = Field(description="path of its report as JSON")
    page: str | None = Field(description="path of its report as a page")
    card: str


class VersionPage(Page):
    """Versions, the one that was judged last first."""

    items: tuple[Version, ...]


class VersionCard(Strict):
    """The model card of a version: what it is, how it was trained, on what, what was found, and its limits."""

    version: Version
    model: ModelDetail
    hyperparameters: dict[str, JsonValue]
    training: TrainingSummary
    data: DataSection
    measurement: Measurement
    claims: tuple[Claim, ...]
    limitations: tuple[str, ...]
    notes: tuple[str, ...]


class MetricValue(Strict):
    """A value with its interval."""

    metric: str
    horizon: int | Literal["all"]
    value: float
    low: float
    high: float
    n: int = Field(description="rows")


class Costs(Strict):
    """What an entry takes."""

    milliseconds: float
    megabytes: float
    training_seconds: float
    fits: int
    parameters: int | None


class Column(Strict):
    """One version of a comparison."""

    model_id: str
    name: str
    is_baseline: bool
    source: Source
    verdict: Verdict
    sentence: str
    gate_passed: bool
    failed: tuple[str, ...]
    metrics: tuple[MetricValue, ...]
    resources: Costs
    suitability: Levels


class Comparison(Strict):
    """Several versions of a use case side by side, best first by the metric that decides."""

    use_case: str
    metrics: tuple[MetricNote, ...] = Field(description="how to read them; the first decides")
    interval_level: float
    comparable: bool = Field(description="whether all were scored on the same rows")
    warnings: tuple[str, ...]
    columns: tuple[Column, ...]
    best: str | None = Field(description="the best that passed its gate; null where none did, or where they do not compare")
