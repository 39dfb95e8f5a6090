"""The documents that every interface shows: one typed form of the catalogue for command line, REST and console."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field

from . import catalog
from .recommend import Evidence, Recommendation, recommend
from .spec import THRESHOLDS, Category, Deployment, Frozen, Kind, Level, Objective, Paper, Training
from .task import Gate, Task


class ModelSummary(Frozen):
    """A model in a list. The three levels are claims; `production_ready` is derived from the newest version's gate."""

    id: str
    name: str
    category: Category | None = Field(description="None for a baseline")
    use_cases: tuple[str, ...]
    description: str
    production_ready: bool
    latency_class: Level
    data_requirements: Level
    explainability: Level


class ModelList(Frozen):
    """The models that hold every given condition."""

    models: tuple[ModelSummary, ...]
    count: int


class HyperparameterForm(Frozen):
    """The JSON Schema that is form, request body, run config and search space, with its defaults."""

    defaults: dict[str, Any]
    json_schema: dict[str, Any]


class ModelDetail(ModelSummary):
    """The whole card, and whether its code is there."""

    kinds: tuple[Kind, ...]
    objectives: tuple[Objective, ...]
    strengths: tuple[str, ...]
    weaknesses: tuple[str, ...]
    best_for: tuple[str, ...]
    thresholds: dict[str, dict[Level, str]]
    hyperparameters: HyperparameterForm
    training: Training
    deployment: Deployment
    references: tuple[Paper, ...]
    implementation: str | None
    module: str
    built: bool
    gap: str | None


class UseCaseSummary(Frozen):
    """A use case: its definition, how it is judged, and who competes."""

    id: str
    name: str
    description: str
    dataset: str
    objective: Objective
    kinds: tuple[Kind, ...]
    horizons: tuple[int, ...]
    metrics: tuple[str, ...]
    baselines: tuple[str, ...]
    gate: Gate
    models: tuple[str, ...]
    included: dict[str, str] = Field(description="models beyond the rule of kinds and objectives, with the reason")
    excluded: dict[str, str] = Field(description="models that the rule admits and the use case does not, with the reason")
    built: bool
    gap: str | None


class CategoryCount(Frozen):
    """A family and the number of its models."""

    id: Category
    count: int


class RecommendationList(Frozen):
    """The ranking of a use case's models."""

    use_case: str
    recommendations: tuple[Recommendation, ...]


def model_summary(entry: catalog.Entry, *, ready: Collection[str] = ()) -> ModelSummary:
    """A model or baseline in short; `ready` are the ids whose newest version passed its gate."""
    return ModelSummary(**_summary(entry, ready))


def model_detail(entry: catalog.Entry, *, ready: Collection[str] = ()) -> ModelDetail:
    """The whole card of a model or baseline; loads no network."""
    card = entry.card
    return ModelDetail(
        **_summary(entry, ready),
        kinds=tuple(sorted(card.kinds)),
        objectives=tuple(sorted(card.objectives)),
        strengths=card.strengths,
        weaknesses=card.weaknesses,
        best_for=card.best_for,
        thresholds=THRESHOLDS,
        hyperparameters=HyperparameterForm(defaults=card.hyperparameters().model_dump(mode="json"), json_schema=card.hyperparameters.model_json_schema()),
        training=card.training,
        deployment=card.deployment,
        references=card.references,
        implementation=card.implementation,
        module=entry.module,
        built=entry.gap is None,
        gap=entry.gap,
    )


def model_list(*, category: str | None = None, use_case: str | None = None, production_ready: bool | None = None, ready: Collection[str] = ()) -> ModelList:
    """The models that hold every given condition; raises `UnknownName` for a value that is not there."""
    found = catalog.select(category=category, use_case=use_case, production_ready=production_ready, ready=ready)
    return ModelList(models=tuple(model_summary(e, ready=ready) for e in found), count=len(found))


def use_case_summary(use_case: type[Task]) -> UseCaseSummary:
    """A use case with the models that fit it."""
    gap = catalog.task_gap(use_case)
    return UseCaseSummary(
        id=use_case.id(),
        name=use_case.name,
        description=use_case.description,
        dataset=use_case.dataset,
        objective=use_case.objective,
        kinds=use_case.kinds,
        horizons=use_case.horizons,
        metrics=use_case.metrics,
        baselines=use_case.baselines,
        gate=use_case.gate,
        models=tuple(pair.entry.id for pair in catalog.pairs(use_case.id())),
        included=dict(use_case.include),
        excluded=dict(use_case.exclude),
        built=gap is None,
        gap=gap,
    )


def use_case_list() -> tuple[UseCaseSummary, ...]:
    """Every use case."""
    return tuple(use_case_summary(use_case) for use_case in catalog.tasks().values())


def category_list() -> tuple[CategoryCount, ...]:
    """Every family with the number of its models."""
    return tuple(CategoryCount(id=category, count=count) for category, count in catalog.categories().items())


def recommendation_list(use_case: str, *, evidence: Mapping[str, Evidence] | None = None, rows: int | None = None) -> RecommendationList:
    """The ranking of `recommend` as a document."""
    return RecommendationList(use_case=use_case, recommendations=tuple(recommend(use_case, evidence=evidence, rows=rows)))


def _summary(entry: catalog.Entry, ready: Collection[str]) -> dict[str, Any]:
    card = entry.card
    referees = tuple(task_id for task_id, use_case in catalog.tasks().items() if entry.id in use_case.baselines)
    return {
        "id": entry.id,
        "name": card.name,
        "category": entry.category,
        "use_cases": referees if entry.is_baseline else catalog.use_cases(entry.id),
        "description": card.description,
        "production_ready": entry.id in ready,
        "latency_class": card.latency_class,
        "data_requirements": card.data_requirements,
        "explainability": card.explainability,
    }
