"""What came true of an answer: the entity and time that it was about, and the rows that metrics score it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Outcomes = Mapping[tuple[str, datetime], Mapping[str, Any]]
"""What is known to have come true, by entity and as-of moment (aware, UTC): the fields of the use case's `outcome`."""


@dataclass(frozen=True, slots=True)
class Realised:
    """An answered entity whose outcome is known. `rows` hold `horizon`, `target` and the columns of the prediction, as out-of-sample predictions do."""

    entity: str
    time: datetime
    rows: tuple[Mapping[str, float], ...]


def moment(text: str | datetime) -> datetime:
    """The as-of of an answer, a date or a moment in ISO 8601, as an aware moment in UTC; a date is its midnight, a moment without a zone is in UTC.

    Raises `ValueError` for anything else.
    """
    held = datetime.fromisoformat(text) if isinstance(text, str) else text
    return held.replace(tzinfo=UTC) if held.tzinfo is None else held.astimezone(UTC)


def answered(answer: Mapping[str, Any]) -> tuple[tuple[str, datetime], ...]:
    """(entity, as-of) of each row of an answer in any use case's terms: of its list of entities, or of itself where it is about one thing."""
    items = next((value for value in answer.values() if isinstance(value, list | tuple) and value and "as_of" in value[0]), None)
    rows = [answer] if items is None and "as_of" in answer else items or []
    return tuple((str(row.get("entity", "")), moment(row["as_of"])) for row in rows)
