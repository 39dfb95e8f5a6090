"""Which version answers for a pair, and rows to ask it about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finml_models.core import catalog
from finml_models.core.asking import as_request
from finml_models.core.errors import NotBuilt, UnknownName
from finml_models.core.home import artifacts

from . import evidence

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel

    from finml_models.core.catalog import Pair
    from finml_models.core.task import Task

DEFAULT_USE_CASE = "volatility_forecasting"
MOST_ENTITIES = 25
"""Entities of a request that nobody chose: enough to see, few enough for every service's limits."""


def newest_release(pair_id: str | None = None) -> tuple[str, str]:
    """Pair and bento tag of the newest packaged release of a pair, or of the champion of volatility forecasting; raises `NotBuilt` without one."""
    from finml_ledger import Ledger

    pair = catalog.pair(pair_id or champion(DEFAULT_USE_CASE))
    ledger = Ledger.open()
    tags = [release.bento_tag for release in ledger.releases(pair.task.id(), pair.entry.id) if release.bento_tag]
    ledger.close()
    if not tags:
        raise NotBuilt(f"{pair.id} has no release: nothing of it has passed its gate here; see finml report {pair.id}, or finml leaderboard for what has")
    return pair.id, tags[-1]


def champion(use_case: str) -> str:
    """The pair that a use case's leaderboard names; raises `NotBuilt` when there is none."""
    for row in evidence.ranking(use_case):
        if row.champion:
            return f"{use_case}-{row.model}"
    raise NotBuilt(f"{use_case} has no champion yet; make one with: finml run --use-case {use_case}")


def trained_artifact(pair_id: str) -> Path:
    """The folder of a pair's newest artifact, released or not; raises `NotBuilt` when it was never trained."""
    from finml_pipelines import keys, records

    pair = catalog.pair(pair_id)
    record = records.get(keys.model(pair))
    if not isinstance(record, records.ModelRecord):
        raise NotBuilt(f"{pair_id} was never trained here; do it with: finml run --use-case {pair.task.id()} --model {pair.entry.id}")
    return records.locate(record.artifact)


def named_artifact(name: str) -> tuple[bool, Path]:
    """Whether it was released, and the folder, of `pair:version` or of a pair's newest release; where there is none, of its newest artifact."""
    from finml_ledger import Ledger

    pair_id, _, version = name.partition(":")
    pair = catalog.pair(pair_id)
    ledger = Ledger.open()
    released = [release.version for release in ledger.releases(pair.task.id(), pair.entry.id) if release.bento_tag]
    ledger.close()
    if version or released:
        folder = version_of(pair, version or released[-1])
        return folder.name in released, folder
    return False, trained_artifact(pair_id)


def version_of(pair: Pair, version: str) -> Path:
    """The folder of a version; raises `NotBuilt` when the pair was never trained, `UnknownName` for a version that it does not have."""
    folder = artifacts(pair.task.id(), pair.entry.id)
    known = sorted(path.name for path in folder.glob("*") if not path.name.startswith("."))
    if not known:
        raise NotBuilt(f"{pair.id} was never trained here; do it with: finml run --use-case {pair.task.id()} --model {pair.entry.id}")
    if version not in known:
        raise UnknownName(f"version of {pair.id}", version, known)
    return folder / version


def newest_rows(use_case: type[Task], dataset: str | None = None, *, entities: int = MOST_ENTITIES, only: Collection[str] = ()) -> BaseModel:
    """A request with the newest raw rows of a dataset: as many as one prediction needs, of at most so many entities, or of `only` these.

    Where other entities are part of an entity's input they stay in the request.
    """
    from finml_models import datasets

    frame = datasets.load(dataset or datasets.default_of(use_case.source())).frame
    if frame["entity"].isin(only).any():
        if use_case.cross_section:
            entities = frame["entity"].nunique()
        else:
            frame = frame[frame["entity"].isin(only)]
    return as_request(use_case, use_case().asked(frame, entities))
