# No `from __future__ import annotations`: Dagster resolves the annotations of locally built config classes.
"""Run configuration, derived from the same classes as forms, requests and command lines."""

from functools import cache
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, create_model

from finml_models.core.catalog import Entry
from finml_models.core.estimator import TrainingConfig
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.spec import Hyperparameters
from finml_models.datasets.registry import default_of


@cache
def raw_config(source: str) -> type[dg.Config]:
    """Which registered dataset to take."""
    return create_model(
        "RawConfig", __base__=dg.Config, dataset=(str, Field(default_of(source), description="registered dataset id; `finml data list` names them"))
    )


@cache
def model_config(entry: Entry) -> type[dg.Config]:
    """Profile, hyperparameters of the entry's card, and departures from the profile's training."""
    return create_model(
        f"{entry.card.hyperparameters.__name__}Config",
        __base__=dg.Config,
        profile=(ProfileName, Field(ProfileName.FAST, description="fast for a first look, full for a verdict to act on")),
        hyperparameters=(_nested(entry.card.hyperparameters, optional=False), Field(default_factory=_nested(entry.card.hyperparameters, optional=False))),
        training=(
            _nested(TrainingConfig, optional=True),
            Field(default_factory=_nested(TrainingConfig, optional=True), description="overrides of the profile"),
        ),
    )


def resolve(entry: Entry, config: dg.Config) -> tuple[Hyperparameters, TrainingConfig, tuple[int, ...]]:
    """The validated hyperparameters, training configuration and seeds of a run config; raises pydantic's `ValidationError`."""
    given: dict[str, Any] = config.model_dump()
    profile = PROFILES[ProfileName(given["profile"])]
    overrides = {name: value for name, value in given["training"].items() if value is not None}
    training = TrainingConfig.model_validate(profile.training.model_dump() | overrides)
    seeds = (training.seed,) if "seed" in overrides else profile.seeds_for(entry.card)
    return entry.card.hyperparameters.model_validate(given["hyperparameters"]), training, seeds


@cache
def _nested(model: type[BaseModel], *, optional: bool) -> type[dg.Config]:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        fields[name] = (annotation | None, Field(None, description=field.description)) if optional else (annotation, field)
    return create_model(f"{model.__name__}Fields", __base__=dg.Config, **fields)
