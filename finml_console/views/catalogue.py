"""The ranking of a use case, the matrix, the datasets."""

from __future__ import annotations

from finml_console.schemas.catalogue import Cell, DatasetEntry, DataThereIs, Place, RecommendationPage
from finml_console.services.evidence import Evidences
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.core.recommend import recommend

from .measurements import source_of
from .serving_now import Roles


def recommendation(evidence: Evidences, use_case: str) -> RecommendationPage:
    """The models of a use case in the order in which to try them, against the data that the newest report was made on."""
    task = catalog.task(use_case)
    found = {judged.release.entry: judged for judged in evidence.of_task(task.id())}
    newest = max(found.values(), key=lambda judged: judged.release.judged, default=None)
    data = newest.report.data if newest else None
    places = recommend(task.id(), evidence=evidence.measured(task.id()), rows=data.rows if data else None)
    return RecommendationPage(
        use_case=task.id(),
        data=DataThereIs(dataset=data.dataset, snapshot=data.snapshot, rows=data.rows) if data else None,
        recommendations=tuple(Place(**place.model_dump(), source=source_of(found[place.id].release) if place.id in found else None) for place in places),
    )


def cells(newest: dict[tuple[str, str], Release], serving: Roles) -> tuple[Cell, ...]:
    """Every use case × model that fits, its baselines behind them."""
    found = []
    for use_case in catalog.tasks().values():
        pairs = [*catalog.pairs(use_case.id()), *(catalog.pair(f"{use_case.id()}-{name}") for name in use_case.baselines)]
        for pair in pairs:
            release = newest.get((use_case.id(), pair.entry.id))
            serves = serving.get((use_case.id(), pair.entry.id, release.version), ()) if release else ()
            found.append(
                Cell(
                    use_case=use_case.id(),
                    model_id=pair.entry.id,
                    category=pair.entry.category,
                    kind=pair.kind,
                    built=pair.gap is None,
                    gap=pair.gap,
                    verdict=release.verdict if release else None,
                    gate_passed=release.gate_passed if release else None,
                    version=release.version if release else None,
                    run_id=release.run_id if release else None,
                    role=serves[0] if serves else None,
                )
            )
    return tuple(found)


def dataset_entries() -> tuple[DatasetEntry, ...]:
    """The registered datasets, without where their rows lie."""
    from finml_models import datasets

    entries = []
    for name, spec in sorted(datasets.datasets().items()):
        tasks = [task for task in catalog.tasks().values() if task.dataset == spec.kind]
        entries.append(
            DatasetEntry(
                id=name,
                kind=spec.kind,
                source=spec.source,
                title=spec.title,
                fetched=datasets.fetched(spec),
                use_cases=tuple(task.id() for task in tasks),
                default_of=tuple(task.id() for task in tasks if datasets.default_of(task.source()) == name),
            )
        )
    return tuple(entries)
