"""The catalogue: models, tasks and baselines found by scanning packages, and the pairs that follow from them.

There is no table to keep. A model is a folder `<package>/<category>/<id>/` with `card.py` (light) and `model.py`
(heavy); a task or a baseline is one file. Other people's packages join through the entry-point group `finml.models`.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

from .errors import NotBuilt, UnknownName
from .estimator import Estimator
from .spec import Category, Kind, Level, ModelCard
from .task import Task

ENTRY_POINTS = "finml.models"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model or baseline of the catalogue: its card, and where its code is (or why it is not there)."""

    id: str
    card: ModelCard = field(hash=False)
    module: str
    category: Category | None
    gap: str | None

    @property
    def is_baseline(self) -> bool:
        """Baselines have no family; they stand beside every model."""
        return self.category is None

    def estimator(self) -> type[Estimator[Any]]:
        """The estimator's class; this import is the heavy one. Raises `NotBuilt`."""
        if self.gap:
            raise NotBuilt(f"{self.id} cannot be trained: {self.gap}")
        return _only_subclass(self.module, Estimator)


@dataclass(frozen=True, slots=True)
class Pair:
    """A task and an entry that fits it, and the view through which it sees the task's data."""

    task: type[Task]
    entry: Entry
    kind: Kind

    @property
    def id(self) -> str:
        """`<task>-<entry>`: the name of the pair's bento, asset group member and command-line argument."""
        return f"{self.task.id()}-{self.entry.id}"

    @property
    def gap(self) -> str | None:
        """Why the pair cannot run yet, or None when it can."""
        return task_gap(self.task) or self.entry.gap


@cache
def models() -> dict[str, Entry]:
    """Every model by id, in the order of the categories."""
    packages = ["finml_models", *(point.value for point in entry_points(group=ENTRY_POINTS))]
    found: dict[str, Entry] = {}
    for category in Category:
        for package in packages:
            for entry in _scan(f"{package}.{category}", category):
                if entry.id in found:
                    raise ValueError(f"model id {entry.id!r} is taken by {found[entry.id].module} and {entry.module}")
                found[entry.id] = entry
    return found


@cache
def tasks() -> dict[str, type[Task]]:
    """Every use case by id."""
    return {name: _only_subclass(f"finml_models.tasks.{name}", Task) for name in _names("finml_models.tasks")}


def task_gap(use_case: type[Task]) -> str | None:
    """Why a use case cannot run yet, or None when it can."""
    return f"the use case {use_case.id()} is described and not built yet" if inspect.isabstract(use_case) else None


def categories() -> dict[Category, int]:
    """The number of models in each family, empty ones too."""
    return {category: sum(e.category == category for e in models().values()) for category in Category}


def model(model_id: str) -> Entry:
    """The model of this id; `UnknownName` lists near matches."""
    return _pick("model", model_id, models())


def task(task_id: str) -> type[Task]:
    """The use case of this id; `UnknownName` lists near matches."""
    return _pick("use case", task_id, tasks())


def baselines() -> tuple[str, ...]:
    """The ids of all baselines that are built; loads none of them."""
    return _names("finml_models.baselines")


@cache
def baseline(baseline_id: str) -> Entry:
    """The baseline of this id; loads its file, which imports numpy."""
    if baseline_id not in baselines():
        raise UnknownName("baseline", baseline_id, baselines())
    module = f"finml_models.baselines.{baseline_id}"
    return Entry(baseline_id, import_module(module).CARD, module, None, None)


def entry(entry_id: str) -> Entry:
    """The model or baseline of this id."""
    if entry_id in models():
        return models()[entry_id]
    if entry_id in baselines():
        return baseline(entry_id)
    raise UnknownName("model or baseline", entry_id, [*models(), *baselines()])


def fits(candidate: Entry, use_case: type[Task]) -> Kind | None:
    """The kind of view through which a model serves a task, or None: the rule that the matrix follows from."""
    if candidate.id in use_case.exclude:
        return None
    shared = [kind for kind in use_case.kinds if kind in candidate.card.kinds]
    if use_case.objective in candidate.card.objectives or candidate.id in use_case.include:
        return shared[0] if shared else None
    return None


@cache
def pairs(use_case: str | None = None) -> tuple[Pair, ...]:
    """Every model × task that fits, task by task."""
    chosen = tasks().values() if use_case is None else [task(use_case)]
    return tuple(Pair(t, e, kind) for t in chosen for e in models().values() if (kind := fits(e, t)))


def contenders(use_case: str) -> tuple[Pair, ...]:
    """The pairs of a task that can run, its baselines first."""
    chosen = task(use_case)
    if gap := task_gap(chosen):
        raise NotBuilt(gap)
    references = (baseline(name) for name in chosen.baselines)
    expert = tuple(Pair(chosen, e, next(k for k in chosen.kinds if k in e.card.kinds)) for e in references)
    return expert + tuple(pair for pair in pairs(use_case) if pair.gap is None)


def pair(pair_id: str) -> Pair:
    """The pair `<task>-<entry>`, model or baseline; `UnknownName` lists near matches."""
    use_case, _, entry_id = pair_id.partition("-")
    if use_case in tasks():
        chosen = task(use_case)
        if entry_id in chosen.baselines:
            e = baseline(entry_id)
            return Pair(chosen, e, next(k for k in chosen.kinds if k in e.card.kinds))
        if entry_id in models() and (kind := fits(models()[entry_id], chosen)):
            return Pair(chosen, models()[entry_id], kind)
    raise UnknownName("pair", pair_id, (f"{t.id()}-{e}" for t in tasks().values() for e in [*t.baselines, *(p.entry.id for p in pairs(t.id()))]))


def use_cases(model_id: str) -> tuple[str, ...]:
    """The use cases that a model fits."""
    return tuple(p.task.id() for p in pairs() if p.entry.id == model_id)


def select(
    *,
    category: str | None = None,
    use_case: str | None = None,
    production_ready: bool | None = None,
    ready: Collection[str] = (),
    latency_class: Level | None = None,
    data_requirements: Level | None = None,
    explainability: Level | None = None,
) -> list[Entry]:
    """The models that hold every given condition; `ready` are the ids whose newest version passed its gate.

    Raises `UnknownName` for a category or use case that is not there.
    """
    family = None if category is None else _pick("category", category, {str(c): c for c in Category})
    wanted = None if use_case is None else {p.entry.id for p in pairs(use_case)}
    claims = {"latency_class": latency_class, "data_requirements": data_requirements, "explainability": explainability}
    return [
        e
        for e in models().values()
        if (family is None or e.category == family)
        and (wanted is None or e.id in wanted)
        and (production_ready is None or (e.id in ready) == production_ready)
        and all(level is None or getattr(e.card, name) == level for name, level in claims.items())
    ]


def _scan(package: str, category: Category) -> Iterator[Entry]:
    for name in _names(package):
        folder = f"{package}.{name}"
        gap = None if find_spec(f"{folder}.model") else f"there is no model.py beside its card in {folder.replace('.', '/')}"
        yield Entry(name, import_module(f"{folder}.card").CARD, f"{folder}.model", category, gap)


@cache
def _names(package: str) -> tuple[str, ...]:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        return ()
    if spec is None or spec.submodule_search_locations is None:
        return ()
    paths = [str(Path(location)) for location in spec.submodule_search_locations]
    return tuple(sorted(module.name for module in iter_modules(paths) if not module.name.startswith("_")))


def _only_subclass(module: str, base: type) -> type[Any]:
    loaded = import_module(module)
    found = [c for c in vars(loaded).values() if inspect.isclass(c) and issubclass(c, base) and c.__module__ == module and not c.__name__.startswith("_")]
    if len(found) != 1:
        raise TypeError(f"{module} must define exactly one public {base.__name__}, found {[c.__name__ for c in found]}")
    return found[0]


def _pick(noun: str, key: str, known: Mapping[str, Found]) -> Found:
    if key not in known:
        raise UnknownName(noun, key, known)
    return known[key]
