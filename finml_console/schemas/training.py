"""Configurations, trainings, runs and tuning, as the API takes and answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model

from finml_models.core.estimator import TrainingConfig
from finml_models.core.profile import ProfileName

from .strict import ModelId, Page, Strict, UseCaseId

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
RunId = Annotated[str, StringConstraints(pattern=UUID), Field(examples=["5f9d2c1e-0b9d-4a57-9a53-0d3c0f6a7e11"])]
"""Of a Dagster run; a training's job is one."""
ConfigId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$"), Field(description="hash of the configuration's content")]
DatasetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$"), Field(description="id of a registered dataset", examples=["us_market"])]
State = Literal["queued", "starting", "running", "succeeded", "failed", "cancelling", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})


def _overrides() -> dict[str, Any]:
    """The fields of a training configuration under their own bounds, none of them required."""
    found: dict[str, Any] = {}
    for name, field in TrainingConfig.model_fields.items():
        bounded: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        found[name] = (bounded | None, Field(None, description=field.description))
    return found


class _Effort(Strict):
    profile: ProfileName = Field(ProfileName.FAST, description="fast for a first look, full for a verdict to act on")


TrainingChoice = create_model("TrainingChoice", __base__=_Effort, __doc__="A profile, and departures from its training.", **_overrides())


class ConfigureRequest(Strict):
    """What to train a model with. What is left out is the card's default, or the profile's."""

    model_id: ModelId
    use_case: UseCaseId | None = Field(None, description="where it is left out and the model has several, the training names one")
    hyperparameters: dict[str, bool | int | float | str] = Field(default_factory=dict, max_length=100, description="by the schema of the model's card")
    training_config: TrainingChoice = Field(default_factory=TrainingChoice)


class Configuration(Strict):
    """A validated configuration. The same content has the same id, whoever sends it and how often."""

    config_id: ConfigId
    model_id: ModelId
    use_case: UseCaseId | None
    hyperparameters: dict[str, Any] = Field(description="every one, defaults included")
    training: dict[str, Any] = Field(description="the profile and what departs from it")
    created_at: datetime


class TrainRequest(Strict):
    """Which configuration to train on which registered dataset."""

    model_id: ModelId
    config_id: ConfigId
    data_source: DatasetId | None = Field(None, description="id of a registered dataset, never a path or address; the use case's own by default")
    use_case: UseCaseId | None = Field(None, description="where the configuration names none and the model has several")


class Links(Strict):
    """Where to go on."""

    status: str
    events: str
    cancel: str
    dagster: str = Field(description="the run's page in Dagster")


class Accepted(Strict):
    """A run that was accepted and will begin when its turn comes."""

    job_id: RunId
    state: State
    use_case: UseCaseId
    model_id: ModelId
    config_id: ConfigId | None
    data_source: DatasetId
    profile: ProfileName
    baselines: tuple[ModelId, ...] = Field((), description="trained beside it, for want of a current model on these data")
    warnings: tuple[str, ...] = ()
    links: Links


class RunSummary(Strict):
    """A run of the pipeline. What a run that was not started here does not tell of itself is null."""

    job_id: RunId
    kind: Literal["training", "tuning", "other"]
    state: State
    use_case: str | None = None
    model_id: str | None = None
    config_id: str | None = None
    data_source: str | None = None
    profile: str | None = None
    actor: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    links: Links


class RunPage(Page):
    """Runs, newest first."""

    items: tuple[RunSummary, ...]


class Result(Strict):
    """What a training came to."""

    version: str
    verdict: str
    gate_passed: bool
    bento_tag: str | None = Field(description="null where nothing was packaged")
    report: str | None = Field(description="path of the report under the state folder")


class RunStatus(RunSummary):
    """A run as far as it has come."""

    step: str | None = Field(None, description="the asset that is being made, such as model/volatility_forecasting/gru")
    steps_done: int = 0
    steps: int = 0
    percentage: float | None = Field(None, ge=0, le=100, description="of the whole run; it never falls. Null where the run's steps are not known")
    fit: str | None = Field(None, description="which of the training's fits the next figures are of")
    epoch: int | None = None
    epochs: int | None = None
    metrics: dict[str, float] = Field(default_factory=dict, description="newest loss and validation loss")
    eta_seconds: float | None = Field(None, description="by the pace so far; early stopping may end it sooner")
    error: str | None = None
    result: Result | None = None
    warnings: tuple[str, ...] = ()


class RunEvent(Strict):
    """One event of a run. Ids rise in the order of the run's log, and are the same for everyone who watches."""

    id: int = Field(ge=1)
    kind: Literal["state", "step", "progress", "check", "asset", "message"]
    at: datetime
    state: State
    percentage: float | None
    step: str | None = None
    change: Literal["started", "succeeded", "failed", "skipped", "retried"] | None = Field(None, description="of a step")
    fit: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    validation: float | None = None
    seconds_left: float | None = Field(None, description="of this training's fits")
    passed: bool | None = Field(None, description="of a check, such as the gate")
    message: str | None = None


class TuneRequest(Strict):
    """A search over a model's hyperparameters, on validation data that no test row is in."""

    model_id: ModelId
    use_case: UseCaseId
    data_source: DatasetId | None = None
    trials: int = Field(20, ge=1, le=1_000)
    profile: ProfileName = ProfileName.FAST
    timeout_seconds: int = Field(3_600, ge=10, le=7 * 86_400)


class Tuned(Strict):
    """The best configuration so far, by its mean over folds and seeds."""

    hyperparameters: dict[str, Any]
    metric: str
    value: float


class TuningStatus(RunSummary):
    """A search as far as it has come."""

    trials: int | None = Field(None, description="how many were asked for")
    trials_done: int = 0
    percentage: float | None = Field(None, ge=0, le=100)
    eta_seconds: float | None = None
    best: Tuned | None = None
    error: str | None = None
