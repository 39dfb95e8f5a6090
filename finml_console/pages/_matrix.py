"""Use case × model: what each cell of the matrix shows, in a picture and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import NamedTuple

from finml_console.schemas.catalogue import Cell
from finml_console.services.evidence import Evidences
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.core.errors import FinmlError


class Place(NamedTuple):
    """A cell: `kind` is a verdict, `unmeasured`, `unbuilt` or `unfit`; `words` say what the picture shows."""

    kind: str
    words: str
    cell: Cell | None


class Row(NamedTuple):
    """A use case over all models; `against` is the best baseline that the newest measured model was compared with."""

    use_case: str
    against: str | None
    places: tuple[Place, ...]


def families() -> list[tuple[str, list[str]]]:
    """The models, family by family, in the order of the columns."""
    entries = catalog.models().values()
    return [(str(category), [entry.id for entry in group]) for category, group in groupby(entries, key=lambda entry: entry.category)]


def grid(cells: Sequence[Cell], newest: Mapping[tuple[str, str], Release], evidence: Evidences) -> tuple[Row, ...]:
    """The matrix, row by row. One report of each use case is read, for the name of its baseline."""
    by_place = {(cell.use_case, cell.model_id): cell for cell in cells}
    columns = [name for _, names in families() for name in names]
    return tuple(
        Row(use_case, _against(use_case, columns, newest, evidence), tuple(_place(use_case, name, by_place.get((use_case, name))) for name in columns))
        for use_case in catalog.tasks()
    )


def _place(use_case: str, model_id: str, cell: Cell | None) -> Place:
    where = f"{catalog.entry(model_id).card.name}, {catalog.task(use_case).name.lower()}"
    if cell is None:
        return Place("unfit", f"{where}: does not fit", None)
    if not cell.built:
        return Place("unbuilt", f"{where}: not built: {cell.gap}", cell)
    if cell.verdict is None:
        return Place("unmeasured", f"{where}: not measured", cell)
    gate = "gate passed" if cell.gate_passed else "gate refused"
    role = f", serves as {cell.role}" if cell.role else ""
    return Place(cell.verdict, f"{where}: {cell.verdict.replace('_', '-')}, {gate}{role}", cell)


def _against(use_case: str, columns: Sequence[str], newest: Mapping[tuple[str, str], Release], evidence: Evidences) -> str | None:
    judged = [newest[use_case, name] for name in columns if (use_case, name) in newest]
    # The matrix stands without the name: a report that is lost is told where it is asked for.
    with suppress(FinmlError):
        return evidence.report_of(max(judged, key=lambda release: release.judged)).best_baseline if judged else None
    return None
