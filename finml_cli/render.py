"""How answers look: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def console(*, stderr: bool = False) -> Console:
    """A console on the streams of this moment, which tests and pipes may have replaced."""
    from rich.console import Console

    plain = Console(stderr=stderr, highlight=False)
    # A pipe has no width: tables that were cut to 80 columns there would lose ids.
    return plain if plain.is_terminal else Console(stderr=stderr, highlight=False, width=200)


def print_json(answer: BaseModel | Sequence[BaseModel]) -> None:
    """Print one document, or a list of documents, as JSON."""
    document = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else [item.model_dump(mode="json") for item in answer]
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns, the first of which is never broken; None shows as a dash."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        grid.add_column(column, no_wrap=position == 0)
    for row in rows:
        grid.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    console().print(grid)


def number(value: float | None, digits: int = 4) -> str | None:
    """A figure with this many significant digits."""
    return None if value is None else f"{value:.{digits}g}"
