"""What serves, asking it, and what it was asked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool

from finml_console.problems import Problem, documented
from finml_console.schemas.catalogue import DeployedList
from finml_console.schemas.serving import ExplainAnswer, ExplainRequest, PredictAnswer, Prediction, PredictionDetail, PredictionPage, PredictRequest
from finml_console.schemas.strict import ModelId, PredictionId, UseCaseId, VersionId
from finml_console.services import Services
from finml_console.views.serving_now import deployed
from finml_ledger import Role
from finml_ledger.models import ServedPrediction
from finml_ledger.predictions import PredictionLog
from finml_models.core import catalog
from finml_models.core.errors import Conflict
from finml_models.core.explained import ExplainResponse

from ._inputs import CursorQuery, Limit, Serving, behind, cut, one_of

router = APIRouter(tags=["serving"])
Key = Annotated[str | None, Header(alias="X-Finml-Key", max_length=200, description="what a traffic split is sticky by; an entity by default")]


@router.get("/models/deployed")
def list_deployed(serving: Serving) -> DeployedList:
    """Everything that serves now, with its share of the traffic and the report that its gate decided on."""
    found = deployed(serving.ledger, serving.deployments)
    return DeployedList(deployed=found, count=len(found))


@router.post("/models/predict", responses=documented(404, 409))
async def predict(serving: Serving, body: PredictRequest, key: Key = None) -> PredictAnswer:
    """The deployed version's prediction, with interval or probabilities."""
    use_case, warning = await run_in_threadpool(_deployed_for, serving, body)
    answered = await serving.gateway.predict(use_case, body.input_data, key=key)
    other = warning if answered.entry != body.model_id else ()
    return PredictAnswer(
        model_id=answered.entry,
        use_case=use_case,
        version=answered.version,
        role=answered.role,
        as_of=_as_of(answered.body),
        prediction_id=answered.prediction,
        prediction=answered.body,
        warnings=(*answered.body.get("warnings", ()), *other),
    )


@router.post("/v1/explain", responses=documented(404, 409))
async def explain(serving: Serving, body: ExplainRequest, key: Key = None) -> ExplainAnswer:
    """Why the deployed version predicts what it predicts."""
    use_case, _ = await run_in_threadpool(_deployed_for, serving, body)
    answered = await serving.gateway.explain(use_case, body.input_data, key=key)
    return ExplainAnswer(
        model_id=answered.entry, use_case=use_case, version=answered.version, explanation=ExplainResponse.model_validate(answered.body, strict=False)
    )


@router.get("/v1/predictions")
def list_predictions(
    serving: Serving,
    use_case: Annotated[UseCaseId | None, Query()] = None,
    model_id: Annotated[ModelId | None, Query()] = None,
    version: Annotated[VersionId | None, Query()] = None,
    role: Annotated[Role | None, Query()] = None,
    cursor: CursorQuery = None,
    limit: Limit = 50,
) -> PredictionPage:
    """The log of predictions, newest first."""
    one_of("use_case", use_case, list(catalog.tasks()))
    found = PredictionLog(serving.ledger).page(task=use_case, entry=model_id, version=version, role=role, before=behind(cursor), limit=limit + 1)
    rows, following = cut(found, limit, lambda row: row.sequence)
    return PredictionPage(items=tuple(Prediction(**_facts(row)) for row in rows), next=following)


@router.get("/v1/predictions/{prediction_id}", responses=documented(404))
def show_prediction(serving: Serving, prediction_id: PredictionId) -> PredictionDetail:
    """A prediction, with what was asked and answered."""
    row = PredictionLog(serving.ledger).get(prediction_id)
    return PredictionDetail(**_facts(row), request=row.request, answer=row.answer)


def _facts(row: ServedPrediction) -> dict[str, Any]:
    same = ("id", "version", "role", "key", "revision", "status", "milliseconds", "error", "at")
    return {"use_case": row.task, "model_id": row.entry} | {name: getattr(row, name) for name in same}


def _deployed_for(serving: Services, body: PredictRequest) -> tuple[str, tuple[str, ...]]:
    """The use case that a model answers for, and what to say when its challenger answers instead; raises `Conflict` where it does not serve."""
    entry = catalog.entry(body.model_id)
    if body.use_case is not None:
        catalog.pair(f"{catalog.task(body.use_case).id()}-{entry.id}")
    asked = serving.deployments.all() if body.use_case is None else (serving.deployments.now(body.use_case),)
    serves = {held.task: held.state for held in asked if held.state.champion is not None}
    mine = [task for task, state in serves.items() if entry.id in {slot.entry for role, slot in state.roles().items() if role != "shadow"}]
    if not mine:
        what = {task: state.champion.entry for task, state in serves.items() if state.champion}
        instead = "; ".join(f"{task} is served by {name}" for task, name in what.items()) or "nothing is"
        where = f" for {body.use_case}" if body.use_case else ""
        raise Conflict(f"{entry.id} is not deployed{where} ({instead}); deploy a version with POST /v1/deployments/<use case>/deploy")
    if len(mine) > 1:
        raise Problem(422, f"use_case: {entry.id} is deployed for {', '.join(sorted(mine))}; say which one is asked", allowed=sorted(mine))
    (task,) = mine
    return task, (f"{task} is split between versions, and another one than {entry.id} answered",)


def _as_of(answer: dict[str, Any]) -> str | None:
    """The newest time of an answer's inputs: on top of it, or in its parts."""
    parts = [answer, *(part for value in answer.values() if isinstance(value, list) for part in value if isinstance(part, dict))]
    return max((part["as_of"] for part in parts if isinstance(part.get("as_of"), str)), default=None)
