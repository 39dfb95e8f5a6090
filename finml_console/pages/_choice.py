"""What the page Train chooses among, what a choice would come to, and what its form is filled with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from finml_console.problems import Problem
from finml_console.schemas.catalogue import DatasetEntry
from finml_console.services import Services, orders
from finml_console.services.evidence import Judged
from finml_console.services.training import Training
from finml_console.views.catalogue import dataset_entries
from finml_models.core import catalog
from finml_models.core.catalog import Pair
from finml_models.core.errors import CorruptArtifact, NotBuilt, TooFewSamples
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.spec import Training as Needs
from finml_models.datasets.extent import most_rows


@dataclass(frozen=True, slots=True)
class Option:
    """One of a list. `gap` says why it cannot be chosen."""

    value: str
    label: str
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A pair on a dataset, and what else could be chosen."""

    pair: Pair
    dataset: DatasetEntry
    use_cases: tuple[Option, ...]
    models: tuple[Option, ...]
    baselines: tuple[Option, ...]
    datasets: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a training before it begins. `refusal` is what the API would refuse it with."""

    needs: Needs
    most: int | None
    """No more rows than this, where that is known without reading them."""
    warnings: tuple[str, ...] = ()
    refusal: str | None = None
    measured: Judged | None = None
    """The newest release of the pair: what its training took."""


@dataclass(frozen=True, slots=True)
class Filling:
    """Values that stand in the form in place of defaults, and where they come from."""

    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    said: str | None = None


def choose(services: Services, use_case: str | None, model_id: str | None, data_source: str | None) -> Choice:
    """The choice that was asked for; what was left out is the first that fits. Raises `UnknownName`, `DataError` for what does not fit."""
    tasks = catalog.tasks()
    if model_id is not None:
        catalog.entry(model_id)
    fitting = orders.use_cases_of(model_id) if model_id is not None else list(tasks)
    task = catalog.task(use_case or next((name for name in fitting if catalog.task_gap(tasks[name]) is None), next(iter(tasks))))
    models, expert = catalog.pairs(task.id()), [catalog.pair(f"{task.id()}-{name}") for name in task.baselines]
    first = next((one for one in (*models, *expert) if one.gap is None), models[0])
    pair = first if model_id is None else catalog.pair(f"{task.id()}-{model_id}")
    verdicts = {entry: release.verdict for (_, entry), release in services.evidence.newest(task.id()).items()}
    found = {entry.id: entry for entry in dataset_entries() if task.id() in entry.use_cases}
    chosen = found[orders.dataset_of(task, data_source)]
    return Choice(
        pair=pair,
        dataset=chosen,
        use_cases=tuple(Option(name, one.name, catalog.task_gap(one)) for name, one in tasks.items()),
        models=tuple(_option(one, verdicts) for one in models),
        baselines=tuple(_option(one, verdicts) for one in expert),
        datasets=tuple(_dataset(entry, task.id()) for entry in sorted(found.values(), key=lambda entry: (task.id() not in entry.default_of, entry.id))),
    )


def outlook(services: Services, chosen: Choice) -> Outlook:
    """What a training of this choice would meet, as far as it is known."""
    pair, dataset = chosen.pair, chosen.dataset.id
    needs, most = pair.entry.card.training, None
    measured = _measured(services, pair)
    if chosen.dataset.fetched is False:
        return Outlook(needs, None, refusal=not_fetched(dataset), measured=measured)
    try:
        most = most_rows(dataset)
        return Outlook(needs, most, tuple(orders.check_size(pair, dataset)), pair.gap, measured)
    except TooFewSamples as error:
        return Outlook(needs, most, refusal=str(error), measured=measured)


def fill(services: Services, training: Training, pair: Pair, version: str | None, config_id: str | None, hyperparameters: str | None) -> Filling:
    """What the form is filled with: the configuration of a version, one that was kept, or hyperparameters as a JSON object.

    Raises `UnknownName`, and a `Problem` for text that is no JSON object.
    """
    if version is not None:
        try:
            report = services.evidence.report_of(services.ledger.release(pair.task.id(), pair.entry.id, version))
        except (CorruptArtifact, NotBuilt) as error:
            return Filling(said=f"The form holds the defaults: {error}.")
        profile = ProfileName(report.training.profile)
        training_config = {"profile": profile.value, **PROFILES[profile].departures(report.fingerprint.get("config"))}
        return _checked(pair, report.fingerprint.get("hyperparameters"), training_config, f"version {version}")
    if config_id is not None:
        kept = training.configuration(config_id)
        return _checked(pair, kept.hyperparameters if kept.model_id == pair.entry.id else None, kept.training, f"configuration {config_id}")
    if hyperparameters is not None:
        try:
            given = json.loads(hyperparameters)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Problem(422, "hyperparameters: must be a JSON object")
        return _checked(pair, given, {}, "the address of this page")
    return Filling()


def not_fetched(dataset: str) -> str:
    """Why a download cannot be trained on yet."""
    return f"data_source: {dataset} is a download that was not fetched; run finml data fetch {dataset}"


def _option(pair: Pair, verdicts: Mapping[str, str]) -> Option:
    said = f" ({verdicts[pair.entry.id].replace('_', '-')})" if pair.entry.id in verdicts else ""
    return Option(pair.entry.id, f"{pair.entry.card.name}{said}", pair.gap)


def _dataset(entry: DatasetEntry, use_case: str) -> Option:
    default = " (default)" if use_case in entry.default_of else ""
    return Option(entry.id, f"{entry.id}{default}: {entry.title}", "not fetched" if entry.fetched is False else None)


def _measured(services: Services, pair: Pair) -> Judged | None:
    release = services.evidence.newest(pair.task.id(), pair.entry.id).get((pair.task.id(), pair.entry.id))
    if release is None:
        return None
    try:
        return Judged(release, services.evidence.report_of(release))
    except (CorruptArtifact, NotBuilt):
        return None


def _checked(pair: Pair, hyperparameters: Any, training: Mapping[str, Any], where: str) -> Filling:
    """A filling that the present card accepts; the defaults where it does not."""
    try:
        whole = pair.entry.card.hyperparameters.model_validate(hyperparameters)
    except ValidationError:
        return Filling(said=f"The form holds the defaults: what {where} says does not fit the present card of {pair.entry.card.name}.")
    return Filling(whole.model_dump(mode="json"), dict(training), f"Filled with what {where} says.")
