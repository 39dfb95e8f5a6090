"""`finml data`: the registered datasets, what they hold, and the public files that can be fetched."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import BaseModel

from finml_models.core.errors import DataError, FinmlError, UnknownName

from . import render

if TYPE_CHECKING:
    from finml_models.datasets import DatasetSpec

app = typer.Typer(no_args_is_help=True, help="The registered datasets: list, fetch, check.")
DatasetName = Annotated[str, typer.Argument(metavar="ID", help="A dataset, see finml data list")]


class RegisteredDataset(BaseModel):
    """A dataset id and where its rows come from. `fetched` is None where there is nothing to fetch."""

    id: str
    kind: str
    source: str
    title: str
    default: bool
    fetched: bool | None
    terms: str | None


class FetchedFile(BaseModel):
    """A public file that lies here with the hash that it must have."""

    id: str
    path: str
    sha256: str
    terms: str


class CheckedDataset(BaseModel):
    """What a dataset holds once it is read, or why it cannot be. `truth` names the columns of the perfect prediction."""

    id: str
    kind: str
    source: str
    state: Literal["ok", "not fetched", "refused"]
    rows: int | None = None
    entities: int | None = None
    first: datetime | None = None
    last: datetime | None = None
    repairs: dict[str, int] | None = None
    snapshot: str | None = None
    truth: tuple[str, ...] | None = None
    problem: str | None = None


@app.command("list")
def list_datasets(*, as_json: render.AsJson = False) -> None:
    """List what comes with the installation, the public files, and the datasets of your `data/datasets.toml`.

    Example: `finml data list`, then `finml run --dataset us_indices`
    """
    from finml_models.datasets import DEFAULTS, datasets, fetched, settings_file

    found = [
        RegisteredDataset(
            id=name,
            kind=spec.kind,
            source=spec.source,
            title=spec.title,
            default=DEFAULTS.get(spec.kind) == name,
            fetched=fetched(spec),
            terms=getattr(spec, "terms", None),
        )
        for name, spec in datasets().items()
    ]
    if as_json:
        render.print_json(found)
        return
    render.table("", ("id", "kind", "source", "title"), [(f"{d.id}{' (default)' if d.default else ''}", d.kind, _source(d), d.title) for d in found])
    typer.echo(f"Register your own in {settings_file()}; README.md of data/ shows how.")


@app.command("fetch")
def fetch_dataset(dataset_id: DatasetName, *, as_json: render.AsJson = False) -> None:
    """Download a public file, once; one with another hash than the registered is refused.

    Example: `finml data fetch vix_daily`, then `finml run --dataset vix_daily`
    """
    from finml_models.datasets import datasets, fetch

    path = fetch(dataset_id)
    spec = datasets()[dataset_id]
    file = FetchedFile(id=dataset_id, path=str(path), sha256=spec.sha256, terms=spec.terms)
    if as_json:
        render.print_json(file)
    else:
        typer.echo(f"{file.id}: {file.path}, sha256 {file.sha256}. Terms: {file.terms}.")


@app.command("check")
def check_datasets(
    dataset_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="A dataset; all of them by default")] = None, *, as_json: render.AsJson = False
) -> None:
    """Read a dataset under its rules, or all of them: rows, span, repairs, the content's hash, and whether its truth is known.

    What cannot be read is an error. Of all datasets, public files that were not fetched are passed over.

    Example: `finml data check simulated_loans`
    """
    from finml_models.datasets import datasets

    known = datasets()
    if dataset_id is not None and dataset_id not in known:
        raise UnknownName("dataset", dataset_id, known)
    checked = [_checked(name, spec) for name, spec in known.items() if dataset_id in {None, name}]
    if as_json:
        render.print_json(checked)
    else:
        render.table("", ("id", "state", "rows", "entities", "span", "truth", "snapshot", "repairs"), map(_row, checked))
    problems = [one.problem for one in checked if one.state == "refused" or (one.problem and dataset_id is not None)]
    if problems:
        raise DataError("; ".join(map(str, problems)))


def _checked(dataset_id: str, spec: DatasetSpec) -> CheckedDataset:
    from finml_models.datasets import fetched, load

    known = {"id": dataset_id, "kind": spec.kind, "source": spec.source}
    try:
        data = load(dataset_id)
    except FinmlError as error:
        return CheckedDataset(**known, state="not fetched" if fetched(spec) is False else "refused", problem=str(error))
    time = data.frame["time"]
    return CheckedDataset(
        **known,
        state="ok",
        rows=len(data.frame),
        entities=data.frame["entity"].nunique(),
        first=time.min(),
        last=time.max(),
        repairs=data.repairs.counts(),
        snapshot=data.snapshot,
        truth=None if data.truth is None else tuple(name for name in data.truth.columns if name not in {"entity", "time"}),
    )


def _source(dataset: RegisteredDataset) -> str:
    return dataset.source if dataset.fetched is None else f"{dataset.source} ({'here' if dataset.fetched else 'not fetched'})"


def _row(one: CheckedDataset) -> tuple[object, ...]:
    span = None if one.first is None or one.last is None else f"{one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}"
    repairs = None if one.repairs is None else ", ".join(f"{count} × {name.replace('_', ' ')}" for name, count in one.repairs.items()) or "none"
    truth = None if one.truth is None else ", ".join(one.truth)
    return one.id, one.state, one.rows, one.entities, span, truth, None if one.snapshot is None else one.snapshot[:12], repairs
