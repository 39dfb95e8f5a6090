"""Models, use cases and what was measured of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from finml_ledger import Role
from finml_models.core.documents import CategoryCount, ModelDetail, UseCaseSummary
from finml_models.core.recommend import Recommendation
from finml_models.core.spec import Category, Kind, Level
from finml_models.evaluation.verdict import Verdict

from .strict import Strict


class CategoryList(Strict):
    """The six families, with the number of models in each."""

    categories: tuple[CategoryCount, ...]
    count: int


class UseCaseList(Strict):
    """The use cases: what is asked, how it is scored, who competes, and under which gate."""

    use_cases: tuple[UseCaseSummary, ...]
    count: int


class Source(Strict):
    """Where a number comes from: the version that was measured, the run that measured it, and its report."""

    use_case: str
    version: str
    run_id: str | None = Field(description="the Dagster run; null where it was judged outside of one")
    report: str = Field(description="path of the report")


class Measurement(Strict):
    """What the newest report of a model says in a use case."""

    source: Source
    verdict: Verdict
    gate_passed: bool
    failed: tuple[str, ...] = Field(description="the checks of the gate that decide and failed")
    sentence: str
    metric: str
    lower_is_better: bool
    value: float
    low: float = Field(description="of the 95 % interval of the value")
    high: float
    baseline: str
    baseline_value: float
    milliseconds: float = Field(description="one prediction on one CPU core")
    megabytes: float = Field(description="the artifact")
    training_seconds: float
    dataset: str
    rows: int = Field(description="raw rows of the data")


class Claim(Strict):
    """A claim of the card beside what was measured. `holds` is null where the measurement does not decide it."""

    name: Literal["production_ready", "latency_class", "data_requirements", "memory_mb", "gpu"]
    claimed: str
    measured: str | None
    holds: bool | None
    source: Source | None


class ModelPage(ModelDetail):
    """The whole card, and beside each claim what was measured."""

    measurements: tuple[Measurement, ...]
    claims: tuple[Claim, ...]
    measured_weaknesses: tuple[str, ...] = Field(description="where its newest version is not better than the best baseline")


class DataThereIs(Strict):
    """The data that the newest reports of a use case were made on."""

    dataset: str
    snapshot: str
    rows: int


class Place(Recommendation):
    """A place of the ranking, with the source of its evidence."""

    source: Source | None = None


class RecommendationPage(Strict):
    """The models of a use case in the order in which to try them; the baseline first where no model is better."""

    use_case: str
    data: DataThereIs | None = Field(description="null where nothing was measured yet")
    recommendations: tuple[Place, ...]


class Deployed(Strict):
    """A version that serves, and as what."""

    model_id: str
    name: str
    is_baseline: bool
    use_case: str
    version: str
    role: Role
    share: float = Field(ge=0, le=1, description="part of the traffic that it answers; 0 for a shadow")
    since: datetime | None = Field(description="when it took the role")
    revision: int = Field(description="of the use case's deployment")
    gate_report: str = Field(description="path of the report that its gate decided on")
    run_id: str | None


class DeployedList(Strict):
    """Everything that serves now."""

    deployed: tuple[Deployed, ...]
    count: int


class Cell(Strict):
    """A model in a use case that it fits."""

    use_case: str
    model_id: str
    category: Category | None = Field(description="null for a baseline")
    kind: Kind = Field(description="the view through which it sees the data")
    built: bool
    gap: str | None
    verdict: str | None = Field(description="null while nothing was measured")
    gate_passed: bool | None
    version: str | None
    run_id: str | None
    role: Role | None = Field(description="what its newest version serves as")


class Matrix(Strict):
    """Every use case × model that fits, baselines included."""

    cells: tuple[Cell, ...]
    count: int


class DatasetEntry(Strict):
    """A registered dataset. Where its rows lie is nobody's business but the server's."""

    id: str
    kind: str
    source: str
    title: str
    fetched: bool | None = Field(description="whether the file of a download is there; null for every other source")
    use_cases: tuple[str, ...] = Field(description="use cases that can be run on it")
    default_of: tuple[str, ...] = Field(description="use cases that are run on it where none is named")


class DatasetList(Strict):
    """What may be trained on."""

    datasets: tuple[DatasetEntry, ...]
    count: int


class Levels(Strict):
    """The three claims of a card."""

    latency_class: Level
    data_requirements: Level
    explainability: Level
