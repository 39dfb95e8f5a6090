"""`finml explain`: why a version predicts what it predicts, by the path that the service takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finml_models.core import catalog

from . import releases, render

if TYPE_CHECKING:
    from pydantic import BaseModel

    from finml_models.core.artifact import Artifact
    from finml_models.core.explained import ExplainedRow, ExplainResponse, Part

TOLD = 10
"""Inputs of a table; the rest are one line, and all are in the JSON."""


def explain(
    pair: Annotated[str, typer.Argument(metavar="PAIR[:VERSION]", help="<use case>-<model or baseline>, for example volatility_forecasting-gru")],
    *,
    entities: Annotated[list[str] | None, typer.Option("--entity", "-e", help="Only this asset, account or applicant; may be repeated.")] = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, max=releases.MOST_ENTITIES, help="Entities to explain where none is named, newest first.")] = 3,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Explain this dataset's newest rows.")] = None,
    as_json: render.AsJson = False,
) -> None:
    """Explain the newest predictions: which inputs moved them, by how much, and by what method that was found.

    Asks the newest release, or the newest version where nothing was released.

    Example: `finml explain volatility_forecasting-gru --rows 1`
    """
    released, folder = releases.named_artifact(pair)
    use_case = catalog.pair(pair.partition(":")[0]).task
    request = releases.newest_rows(use_case, dataset, only=tuple(entities or ()))
    from finml_models.core import artifact, explained

    held = artifact.load(folder)
    found = explained.explain(held, request, entities or _newest(held, request, rows))
    if as_json:
        render.print_json(found)
    else:
        _print(found, released=released)


def _newest(held: Artifact, request: BaseModel, rows: int) -> list[str]:
    """The entities with the newest rows of a request, at most so many."""
    import numpy as np

    from finml_models.core import serving

    batch, _ = serving.asked(held, request)
    return [str(batch.entity[row]) for row in np.argsort(batch.time, kind="stable")[::-1][:rows]]


def _print(found: ExplainResponse, *, released: bool) -> None:
    typer.echo(f"{found.task}-{found.model} {found.version}{'' if released else ', not released'}\nmethod: {found.method}")
    for name, meaning in {part.name: part.meaning for row in found.rows for part in row.parts}.items():
        typer.echo(f"{name}: {meaning}")
    for row in found.rows:
        typer.echo(f"\n{row.entity}, {row.time:%Y-%m-%d %H:%M}{_told(found, row)}".replace(" 00:00", ""))
        for part in row.parts:
            render.table("", (part.name, "contribution" if part.adds else "weight", "share"), _lines(part))
    typer.echo(found.caveat)
    for warning in found.warnings:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)


def _told(found: ExplainResponse, row: ExplainedRow) -> str:
    if row.value is None:
        return ""
    return f": {found.output} {render.number(row.value)}, {render.number(row.start)} to start from, {render.number(row.gap, 1)} left unexplained"


def _lines(part: Part) -> list[tuple[object, ...]]:
    lines = [(one.name, _signed(one.weight, signed=part.adds), f"{one.share:.1%}") for one in part.inputs[:TOLD]]
    rest = part.inputs[TOLD:]
    if rest or part.left_out:
        weight = sum(one.weight for one in rest) + part.left_out_weight
        share = max(1 - sum(one.share for one in part.inputs[:TOLD]), 0.0)
        lines.append((f"{len(rest) + part.left_out} others", _signed(weight, signed=part.adds), f"{share:.1%}"))
    return lines or [("none", None, None)]


def _signed(weight: float, *, signed: bool) -> str:
    return f"{weight:+.4g}" if signed else f"{weight:.4g}"
