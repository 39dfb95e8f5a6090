"""Requests: what one is that was not read row by row, and from raw rows to the one that a client would send."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from datetime import date

    from pandas import DataFrame

    from .task import Task


class ReadAsColumns(BaseModel):
    """A validated request whose rows were read as columns. Made by `Task.read` alone, never from JSON."""

    @property
    @abstractmethod
    def entities(self) -> tuple[str, ...]:
        """The names that its rows are about, ascending."""

    @property
    @abstractmethod
    def latest(self) -> date:
        """The date of its newest row."""


def as_request(use_case: type[Task], frame: DataFrame) -> BaseModel:
    """Raw rows as a client would send them: JSON with ISO times, whole numbers where the request wants them, and nothing that it does not ask for."""
    from pydantic import AwareDatetime

    (row, *_) = get_args(use_case.request.model_fields["rows"].annotation)
    properties = row.model_json_schema()["properties"]
    plain = frame[[name for name in properties if name in frame]].copy()
    # Times of raw frames are UTC, or the exchange's own; a request that wants a zone wants the former.
    zone = "Z" if row.model_fields["time"].annotation is AwareDatetime else ""
    plain["time"] = frame["time"].dt.strftime("%Y-%m-%d" if properties["time"].get("format") == "date" else f"%Y-%m-%dT%H:%M:%S{zone}")
    for name in plain.columns:
        choices = [properties[name], *properties[name].get("anyOf", ())]
        if any(choice.get("type") == "integer" for choice in choices):
            plain[name] = plain[name].astype("Int64")
    # pandas writes NaN as null, and 15 digits, which every float64 survives.
    rows = plain.to_json(orient="records", double_precision=15)
    return use_case.request.model_validate_json(f'{{"rows": {rows}}}')
