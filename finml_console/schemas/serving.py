"""Predictions, explanations, and what is kept of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from finml_ledger import Role
from finml_models.core.explained import ExplainResponse

from .strict import ModelId, Page, Strict, UseCaseId


class PredictRequest(Strict):
    """Raw rows for a deployed model."""

    model_id: ModelId
    use_case: UseCaseId | None = Field(None, description="may be left out where the model is deployed for one use case alone")
    input_data: dict[str, Any] = Field(description="the use case's request, as its service takes it", examples=[{"rows": []}])


class PredictAnswer(Strict):
    """The prediction, with who made it."""

    model_id: str = Field(description="who answered: under a traffic split it may be the challenger")
    use_case: str
    version: str
    role: Role | None
    as_of: str | None = Field(description="time of the newest input that was used, ISO 8601")
    prediction_id: str | None = Field(description="in the log of predictions; null where it is not kept")
    prediction: dict[str, Any] = Field(description="the use case's answer: values with their interval or probabilities")
    warnings: tuple[str, ...]


class ExplainRequest(PredictRequest):
    """Raw rows whose prediction is to be explained."""


class ExplainAnswer(Strict):
    """Why the predictions are what they are."""

    model_id: str
    use_case: str
    version: str
    explanation: ExplainResponse


class Prediction(Strict):
    """A request that the gateway answered or failed to."""

    id: str
    use_case: str
    model_id: str
    version: str
    role: str
    key: str = Field(description="what the traffic split is sticky by")
    revision: int
    status: int
    milliseconds: float
    error: str | None
    at: datetime


class PredictionDetail(Prediction):
    """With what was asked and answered."""

    request: dict[str, Any]
    answer: dict[str, Any] | None


class PredictionPage(Page):
    """Predictions, newest first."""

    items: tuple[Prediction, ...]


class AuditItem(Strict):
    """Who changed what, from what to what, and why."""

    sequence: int
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    at: datetime


class AuditPage(Page):
    """The audit trail, newest first."""

    items: tuple[AuditItem, ...]


class Health(Strict):
    """That the process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(Strict):
    """What works: without the gateway nothing is predicted, without Dagster nothing is trained, and reading goes on."""

    ready: bool
    ledger: bool
    gateway: bool
    dagster: bool
