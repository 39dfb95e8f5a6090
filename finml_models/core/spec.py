"""What the catalogue claims of a model: the card, its levels with their thresholds, and its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Category(StrEnum):
    """The six families. The value is the name of the package that holds them."""

    TIME_SERIES = "time_series"
    REPRESENTATION = "representation"
    GRAPH = "graph"
    REINFORCEMENT = "reinforcement"
    NLP = "nlp"
    TABULAR = "tabular"


class Kind(StrEnum):
    """The five kinds of data. A task offers a view a kind; the view's method has the kind's name."""

    WINDOWS = "windows"
    GRAPHS = "graphs"
    MARKET = "market"
    TEXTS = "texts"
    TABLE = "table"


class Objective(StrEnum):
    """What is asked of a model; it fixes the shape of a prediction."""

    FORECAST = "forecast"
    CLASSIFY = "classify"
    REGIMES = "regimes"
    SCORE = "score"
    CONTROL = "control"


class Level(StrEnum):
    """A claim in three steps; `THRESHOLDS` says what each step means."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


THRESHOLDS: dict[str, dict[Level, str]] = {
    "latency_class": {
        Level.LOW: "one prediction in under 10 ms on one CPU core",
        Level.MEDIUM: "10 to 50 ms on one CPU core",
        Level.HIGH: "over 50 ms on one CPU core",
    },
    "data_requirements": {
        Level.LOW: "useful from 5,000 training samples",
        Level.MEDIUM: "useful from 50,000 training samples",
        Level.HIGH: "wants more than 50,000 training samples or pre-trained weights",
    },
    "explainability": {
        Level.LOW: "attributions after the fact only (integrated gradients, replacement of inputs), or none",
        Level.MEDIUM: "weights inside the model show what it looked at",
        Level.HIGH: "the model names the inputs that it used, input by input",
    },
}


class Frozen(BaseModel):
    """Immutable, closed to unknown fields, and closed to NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Hyperparameters(Frozen):
    """Base of every model's hyperparameters: flat bounded scalars whose every combination can be built.

    The JSON Schema of a subclass is the form of the console, the request body, the run config and the search space.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, field in cls.model_fields.items():
            if field.is_required() or not field.description:
                raise TypeError(f"{cls.__name__}.{name}: a hyperparameter needs a default and a description")


class Paper(Frozen):
    """A publication: title, year and link."""

    title: str
    year: int = Field(ge=1900, le=2100)
    link: str = Field(pattern=r"^https://", description="a resolvable address: https://arxiv.org/abs/… or https://doi.org/…")


class Training(Frozen):
    """What a model needs to be trained. Training below `minimum_samples` is refused; below `recommended_samples` it warns."""

    minimum_samples: int = Field(ge=1)
    recommended_samples: int = Field(ge=1)
    online_learning: bool = Field(False, description="has a working `update` and a test for it")
    transfer_learning: bool = Field(False, description="has a working warm start and a test for it")


class Deployment(Frozen):
    """What a model needs to be served: claims that the pipeline measures."""

    gpu: bool = Field(False, description="needs a GPU to answer within its latency class")
    memory_mb: int = Field(gt=0, description="resident memory that one more loaded version adds, at most")


class ModelCard(Frozen):
    """Everything the catalogue says of a model. Id and category come from the folder, use cases from the tasks.

    `production_ready` is not here on purpose: it is derived from the newest version's gate.
    """

    name: str
    description: str = Field(min_length=40)
    kinds: frozenset[Kind] = Field(min_length=1)
    objectives: frozenset[Objective] = Field(min_length=1)
    hyperparameters: type[Hyperparameters]
    ablations: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="what a report compares it with: name, and the hyperparameters it changes"
    )
    strengths: tuple[str, ...] = Field(min_length=2)
    weaknesses: tuple[str, ...] = Field(min_length=2)
    best_for: tuple[str, ...] = Field(min_length=1)
    latency_class: Level
    data_requirements: Level
    explainability: Level
    training: Training
    deployment: Deployment
    references: tuple[Paper, ...] = ()
    implementation: str | None = Field(None, description="address of a reference implementation to compare with")

    @field_validator("hyperparameters")
    @classmethod
    def _defaults_are_inside_their_bounds(cls, value: type[Hyperparameters]) -> type[Hyperparameters]:
        value.model_validate(value().model_dump())
        return value

    @model_validator(mode="after")
    def _ablations_can_be_built(self) -> Self:
        for changes in self.ablations.values():
            self.hyperparameters.model_validate(changes)
        return self
