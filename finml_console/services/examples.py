"""A request that a use case could be asked: the newest that was answered, else the newest rows of what the version was trained on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from finml_ledger import Ledger, Slot
from finml_ledger.predictions import PredictionLog
from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.core.home import home

LOOKED_AT = 20
"""Newest predictions among which one that was answered is looked for."""


class Example(NamedTuple):
    """A request as JSON, and where its rows come from."""

    request: dict[str, Any]
    source: str


def example_of(ledger: Ledger, use_case: str, slot: Slot | None) -> Example:
    """A request that the version can answer. Raises `UnknownName`, and `DataError` where there are no rows to make one of."""
    task = catalog.task(use_case).id()
    answered = next((row for row in PredictionLog(ledger).page(task, limit=LOOKED_AT) if row.status < 400), None)
    if answered is not None:
        return Example(answered.request, "the newest request that was answered")
    if slot is None:
        raise DataError("nothing is deployed that it could be asked of; deploy a version first")
    snapshot = str(ledger.release(task, slot.entry, slot.version).fingerprint.get("snapshot"))
    path = home() / "data" / f"{Path(snapshot).name}.parquet"
    if not path.is_file():
        raise DataError(f"the rows of snapshot {snapshot[:12]} are not in the state folder any more; paste a request of your own")
    return Example(_newest_rows(task, path), "the newest rows of its training data")


@lru_cache(maxsize=16)
def _newest_rows(task: str, path: Path) -> dict[str, Any]:
    import pandas as pd

    from finml_models.core.asking import as_request

    use_case, frame = catalog.task(task), pd.read_parquet(path)
    # Where other entities are part of an input, an answer about one needs them all.
    entities = frame["entity"].nunique() if use_case.cross_section or use_case.whole else 1
    made = as_request(use_case, use_case().asked(frame, entities)).model_dump(mode="json", exclude_none=True)
    return dict(made)
