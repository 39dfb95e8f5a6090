"""What a training asks of the pipeline: which assets, under which configuration, for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from finml_models.core import catalog, keys
from finml_models.core.catalog import Pair
from finml_models.core.errors import DataError, FinmlError, TooFewSamples, UnknownName
from finml_models.core.keys import Key
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.task import Task
from finml_models.datasets.extent import most_rows, unchanged_since
from finml_models.datasets.registry import datasets, default_of

from .dagster import Made, Run

USE_CASE, MODEL, CONFIG, DATASET, PROFILE, ACTOR = (f"finml/{name}" for name in ("use_case", "entry", "config_id", "dataset", "profile", "actor"))
TRIALS = "finml/trials"
ACTIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


@dataclass(frozen=True, slots=True)
class Order:
    """One training: a pair with its configuration on a registered dataset, and the baselines that are trained beside it."""

    pair: Pair
    dataset: str
    profile: ProfileName
    hyperparameters: Mapping[str, Any]
    training: Mapping[str, Any]
    """What departs from the profile."""
    config_id: str
    actor: str
    baselines: tuple[Pair, ...] = ()

    def assets(self) -> list[Key]:
        """The assets to make: raw data and features, the models, and what follows from the one that was asked for."""
        task, own = self.pair.task, [keys.model(self.pair), keys.report(self.pair), keys.service(self.pair)]
        return [keys.raw(task.source()), keys.features(task.id()), *(keys.model(other) for other in self.baselines), *own, keys.leaderboard(task.id())]

    def ops(self) -> dict[str, dict[str, Any]]:
        """The run configuration: by op, for those that have one. An enumeration is told by its member's name."""
        found: dict[str, dict[str, Any]] = {keys.op(keys.raw(self.pair.task.source())): {"dataset": self.dataset}}
        for other in self.baselines:
            found[keys.op(keys.model(other))] = {"profile": self.profile.name}
        found[keys.op(keys.model(self.pair))] = {
            "profile": self.profile.name,
            "hyperparameters": dict(self.hyperparameters),
            "training": dict(self.training),
        }
        return found

    def tags(self) -> dict[str, str]:
        """What the run says of itself."""
        return {
            USE_CASE: self.pair.task.id(),
            MODEL: self.pair.entry.id,
            CONFIG: self.config_id,
            DATASET: self.dataset,
            PROFILE: self.profile.value,
            ACTOR: self.actor,
        }


def pair_of(model_id: str, use_case: str | None, dataset: str | None = None) -> Pair:
    """The pair of a model or baseline and a use case; where none is named, the only one that it fits, with this dataset's kind if given.

    Raises `UnknownName`, `NotBuilt` for one without code, and `FinmlError` where a use case must be named.
    """
    catalog.entry(model_id)
    if use_case is None:
        fitting = use_cases_of(model_id)
        if dataset is not None:
            kind = spec_kind(dataset)
            fitting = [name for name in fitting if catalog.task(name).dataset == kind] or fitting
        if len(fitting) != 1:
            raise FinmlError(f"use_case: {model_id} does {', '.join(fitting) or 'none'}; name the one to train it for")
        use_case = fitting[0]
    catalog.task(use_case)
    pair = catalog.pair(f"{use_case}-{model_id}")
    if pair.gap:
        raise FinmlError(f"model_id: {pair.id} cannot be trained: {pair.gap}")
    return pair


def use_cases_of(model_id: str) -> list[str]:
    """The use cases that a model or baseline is for."""
    return [task.id() for task in catalog.tasks().values() if model_id in task.baselines] + list(catalog.use_cases(model_id))


def spec_kind(dataset: str) -> str:
    """The kind of data of a registered dataset; raises `UnknownName` for one that is not registered."""
    known = datasets()
    if dataset not in known:
        raise UnknownName("dataset", dataset, known)
    return known[dataset].kind


def dataset_of(task: type[Task], dataset: str | None) -> str:
    """The dataset to train on, the use case's own by default. Raises `UnknownName`, and `DataError` for data of another kind."""
    chosen = dataset or default_of(task.source())
    if (kind := spec_kind(chosen)) != task.dataset:
        raise DataError(f"data_source: {chosen} holds {kind} data, {task.id()} needs {task.dataset}; name a dataset of that kind")
    return chosen


def check_size(pair: Pair, dataset: str) -> list[str]:
    """Warnings on the number of rows, as far as it is known without reading them. Raises `TooFewSamples` below the card's minimum."""
    most, needs = most_rows(dataset), pair.entry.card.training
    if most is None:
        return []
    if most < needs.minimum_samples:
        raise TooFewSamples(
            f"data_source: {dataset} has at most {most} rows, {pair.entry.id} is not trained on fewer than {needs.minimum_samples}; "
            "name a longer dataset, or a baseline that needs less"
        )
    if most < needs.recommended_samples:
        return [f"{dataset} has at most {most} rows; {pair.entry.id} is recommended for {needs.recommended_samples} and more"]
    return []


def rivals(pair: Pair) -> list[Pair]:
    """The baselines that a report compares a pair with."""
    return [other for other in catalog.contenders(pair.task.id()) if other.entry.is_baseline and other.entry.id != pair.entry.id]


def missing(pair: Pair, dataset: str, profile: ProfileName, made: Mapping[Key, Made], active: list[Run]) -> tuple[Pair, ...]:
    """The baselines to train too: those without a model by their defaults under this profile on the snapshot that the run will have.

    All of them, where nobody can say what snapshot that will be: the data may have changed, or a run before this one brings others.
    """
    raw = made.get(keys.raw(pair.task.source()))
    others = [run for run in active if run.tags.get(DATASET, dataset) != dataset or USE_CASE not in run.tags]
    if raw is None or raw.facts.get("dataset") != dataset or others or not unchanged_since(dataset, raw.at):
        return tuple(rivals(pair))
    # One that is being trained by itself, perhaps with other settings, is not what it was when this run begins.
    taken = {run.tags[MODEL] for run in active if MODEL in run.tags and run.tags.get(USE_CASE) == pair.task.id()}
    return tuple(other for other in rivals(pair) if other.entry.id in taken or not _is_current(other, profile, raw, made.get(keys.model(other))))


def _is_current(baseline: Pair, profile: ProfileName, raw: Made, model: Made | None) -> bool:
    """Whether a baseline's newest model is one to be measured against; one with other settings would make it easy to beat."""
    if model is None or model.facts.get("snapshot") != raw.facts.get("snapshot"):
        return False
    mark = model.facts.get("fingerprint")
    defaults = baseline.entry.card.hyperparameters().model_dump(mode="json")
    training = PROFILES[profile].training.model_dump(mode="json")
    return isinstance(mark, dict) and mark.get("hyperparameters") == defaults and mark.get("config") == training


def is_late(heartbeat: datetime | None, now: datetime, seconds: float) -> bool:
    """Whether the daemon was not heard of for longer than this, or never."""
    return heartbeat is None or (now - heartbeat).total_seconds() > seconds
