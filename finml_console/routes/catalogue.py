"""The catalogue: what there is, for what, and which one to take."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query, Response

from finml_console.problems import documented
from finml_console.schemas.catalogue import CategoryList, DatasetEntry, DatasetList, Matrix, ModelPage, RecommendationPage, UseCaseList
from finml_console.schemas.strict import DatasetId, ModelId
from finml_console.views import serving_now
from finml_console.views.catalogue import cells, dataset_entries, recommendation
from finml_console.views.measurements import model_page
from finml_models.core import catalog
from finml_models.core.documents import ModelList, category_list, model_list, use_case_list
from finml_models.core.errors import UnknownName

from ._inputs import Serving, one_of

router = APIRouter(tags=["catalogue"])
Category = Annotated[str | None, Query(description="a family", max_length=64)]
UseCase = Annotated[str | None, Query(description="only models that fit it", max_length=64)]
Ready = Annotated[bool | None, Query(description="whether the newest version in some use case passed its gate")]


@router.get("/models/list", response_model=ModelList)
async def list_models(serving: Serving, category: Category = None, use_case: UseCase = None, production_ready: Ready = None) -> Response:
    """The models that hold every given condition; an unknown value is refused with the allowed ones."""
    one_of("category", category, [str(name) for name in catalog.categories()])
    one_of("use_case", use_case, list(catalog.tasks()))
    return Response(listed(category, use_case, production_ready, await serving.evidence.ready_lately()), media_type="application/json")


@lru_cache(maxsize=256)
def listed(category: str | None, use_case: str | None, production_ready: bool | None, ready: frozenset[str]) -> bytes:
    """The encoded list: cards do not change while a process runs, so that it follows from the filters and what passed."""
    return model_list(category=category, use_case=use_case, production_ready=production_ready, ready=ready).model_dump_json().encode()


@router.get("/models/categories")
def list_categories() -> CategoryList:
    """The six families, with the number of models in each."""
    found = category_list()
    return CategoryList(categories=found, count=len(found))


@router.get("/models/use-cases")
def list_use_cases() -> UseCaseList:
    """The use cases: definition, metrics, baselines, gate, and the models that fit."""
    found = use_case_list()
    return UseCaseList(use_cases=found, count=len(found))


@router.get("/models/recommend")
def recommend_models(serving: Serving, use_case: Annotated[str, Query(max_length=64)]) -> RecommendationPage:
    """The models of a use case in the order in which to try them, each with its reason; the baseline first where no model is better."""
    one_of("use_case", use_case, list(catalog.tasks()))
    return recommendation(serving.evidence, use_case)


@router.get("/models/{model_id}", responses=documented(404))
def show_model(serving: Serving, model_id: ModelId) -> ModelPage:
    """The whole card of a model or baseline; beside each claim what was measured, by which run."""
    return model_page(catalog.entry(model_id), serving.evidence.of_entry(model_id), ready=serving.evidence.ready())


@router.get("/v1/matrix")
def matrix(serving: Serving) -> Matrix:
    """Every use case × model that fits, with the newest verdict of each."""
    found = cells(serving.evidence.newest(), serving_now.roles(serving.deployments))
    return Matrix(cells=found, count=len(found))


@router.get("/v1/datasets")
def list_datasets() -> DatasetList:
    """The registered datasets: what may be trained on."""
    found = dataset_entries()
    return DatasetList(datasets=found, count=len(found))


@router.get("/v1/datasets/{dataset_id}", responses=documented(404))
def show_dataset(dataset_id: DatasetId) -> DatasetEntry:
    """A registered dataset."""
    found = {entry.id: entry for entry in dataset_entries()}
    if dataset_id not in found:
        raise UnknownName("dataset", dataset_id, found)
    return found[dataset_id]
