"""Out-of-sample predictions of several entries, checked to be of the very same rows, and what metrics make of them.

A comparison of two models on different rows is no comparison: `align` refuses it. The units of a comparison are dates, or the
entities of a task whose rows are independent of one another, such as applicants and documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.errors import DataError
from finml_models.core.task import TradingRule, Unit

from .scored import GUARD, KEY, Rows, Scored, is_rowwise, score

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["GUARD", "KEY", "Scores", "align", "content_hash", "is_rowwise"]


@dataclass(frozen=True)
class Scores(Mapping[str, Scored]):
    """What each entry scored, by its name; `rows` are those of all of them."""

    rows: Rows
    entries: Mapping[str, Scored]

    @classmethod
    def of(cls, entries: Mapping[str, Scored]) -> Scores:
        """Raises `DataError` when two entries differ in their rows or targets."""
        if not entries:
            raise DataError("align: no predictions were given; pass at least one entry's frame")
        (first, own), *others = entries.items()
        for name, other in others:
            if not own.rows.same(other.rows):
                raise DataError(
                    f"{name}: its {len(other.rows)} scored rows a seed (seeds {list(other.seeds)}) are not the {len(own.rows)} rows of {first} "
                    "in time, entity, horizon, fold and target; predict all entries on the same folds of the same data"
                )
        return cls(own.rows, entries)

    def __getitem__(self, entry: str) -> Scored:
        return self.entries[entry]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def align(
    frames: Mapping[str, DataFrame], metrics: Sequence[str], *, interval: float | None = None, unit: Unit = "date", trading: TradingRule | None = None
) -> Scores:
    """Score prediction frames by entry. `interval` is the level whose coverage is kept under `GUARD`, where there is one; `trading` is
    the rule by which forecasts of returns are traded.

    Raises `DataError` when two entries, or two seeds of one, differ in their rows or targets, or hold a row twice.
    """
    return Scores.of({name: score(name, frame, metrics, interval=interval, unit=unit, trading=trading) for name, frame in frames.items()})


def content_hash(frame: DataFrame) -> str:
    """sha256 of a predictions frame: of its values in canonical order, not of a file's bytes."""
    ordered = frame.sort_values([*KEY, "seed"], ignore_index=True)
    digest = hashlib.sha256(json.dumps([sorted(frame.columns), len(frame)]).encode())
    for name in sorted(frame.columns):
        column = ordered[name]
        if name == "entity":
            digest.update(json.dumps(column.astype(str).tolist()).encode())
        elif name == "time":
            digest.update(column.to_numpy("datetime64[us]").astype("<i8").tobytes())
        else:
            digest.update(column.to_numpy(np.float64).astype("<f8").tobytes())
    return digest.hexdigest()
