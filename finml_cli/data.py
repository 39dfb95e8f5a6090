"""`finml data`: the registered datasets."""

from __future__ import annotations

import typer
from pydantic import BaseModel

from . import render

app = typer.Typer(no_args_is_help=True, help="The registered datasets.")


class RegisteredDataset(BaseModel):
    """A dataset id and where its rows come from."""

    id: str
    kind: str
    source: str
    title: str
    default: bool


@app.command("list")
def list_datasets(*, as_json: render.AsJson = False) -> None:
    """List the embedded datasets and those of your `data/datasets.toml`.

    Example: `finml data list`, then `finml run --dataset us_indices`
    """
    from finml_models.datasets import DEFAULTS, datasets, settings_file

    found = [
        RegisteredDataset(id=name, kind=spec.kind, source=spec.source, title=spec.title, default=DEFAULTS.get(spec.kind) == name)
        for name, spec in datasets().items()
    ]
    if as_json:
        render.print_json(found)
    else:
        render.table("", ("id", "kind", "source", "title"), [(f"{d.id}{' (default)' if d.default else ''}", d.kind, d.source, d.title) for d in found])
        typer.echo(f"Register your own in {settings_file()}; README.md of data/ shows how.")
