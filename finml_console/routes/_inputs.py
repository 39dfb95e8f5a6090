"""What several routes take: services, who asks, a page of a list, the revision that a change was decided on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Query

from finml_console.problems import Problem
from finml_console.schemas.problem import FieldError
from finml_console.schemas.strict import Cursor
from finml_console.services import Services, actor_of, of_request

Serving = Annotated[Services, Depends(of_request)]
Actor = Annotated[str, Depends(actor_of)]
Limit = Annotated[int, Query(ge=1, le=200, description="items of a page")]
CursorQuery = Annotated[Cursor | None, Query(description="`next` of the page before; left out for the first")]
ETAG = re.compile(r'"([0-9]{1,9})"')
T = TypeVar("T")


async def expected_revision(
    if_match: Annotated[str | None, Header(description="ETag of the deployment that the change was decided on; without it, or with *, whichever holds")] = None,
) -> int | None:
    """The revision in `If-Match`."""
    if if_match is None or if_match.strip() == "*":
        return None
    if not (found := ETAG.fullmatch(if_match.strip())):
        message = 'must be the ETag of the deployment, such as "3", or *'
        raise Problem(422, f"If-Match {message}", errors=[FieldError(field="header.If-Match", message=message)])
    return int(found[1])


Expected = Annotated[int | None, Depends(expected_revision)]


def one_of(name: str, value: str | None, allowed: Sequence[str]) -> None:
    """Refuse a filter's value that does not exist, with the values that do."""
    if value is not None and value not in allowed:
        message = f"{value!r} is none of {', '.join(allowed)}"
        raise Problem(422, f"{name}: {message}", errors=[FieldError(field=f"query.{name}", message=message)], allowed=list(allowed))


def behind(cursor: str | None) -> int | None:
    """The position that a cursor stands for."""
    return None if cursor is None else int(cursor)


def cut(rows: Sequence[T], limit: int, position: Any) -> tuple[Sequence[T], str | None]:
    """The rows of a page of which one too many was read, and the cursor of the next one."""
    return (rows, None) if len(rows) <= limit else (rows[:limit], str(position(rows[limit - 1])))
