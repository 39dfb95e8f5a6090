"""Regimes and embeddings by date."""

from __future__ import annotations

from fastapi import APIRouter

from finml_console.problems import documented
from finml_console.schemas.intelligence import ChoiceList, Insight
from finml_console.schemas.strict import ModelId, UseCaseId
from finml_console.views.intelligence import choices, insight

from ._inputs import Serving

router = APIRouter(prefix="/v1", tags=["intelligence"])


@router.get("/intelligence")
def list_choices(serving: Serving) -> ChoiceList:
    """The models that find regimes or embed dates, with the newest verdict of each."""
    found = choices(serving.evidence)
    return ChoiceList(choices=found, count=len(found))


@router.get("/intelligence/{use_case}/{model_id}", responses=documented(404, 409))
def show_states(serving: Serving, use_case: UseCaseId, model_id: ModelId) -> Insight:
    """The current regime, every regime's out-of-sample probability and a picture of the embedding by date, beside the verdict on the model."""
    return insight(serving.evidence, use_case, model_id)
