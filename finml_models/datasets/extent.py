"""What can be said of a registered dataset without reading it: how many rows it has at most, and whether it may have changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from finml_models.core.errors import UnknownName

from .origins import CsvOrigin, DownloadOrigin, ParquetOrigin, SqlOrigin
from .registry import datasets, settings_file
from .spec import DatasetSpec, SimulatedSpec

COUNTED_BYTES = 64 * 1024 * 1024
"""A larger file is taken for large enough: nobody waits while its lines are counted."""
ROWS = frozenset({"loans", "news"})
"""Kinds whose simulator makes as many rows as its size says."""


def most_rows(dataset_id: str) -> int | None:
    """No more rows than this; None where that takes reading them. Raises `UnknownName`, `DataError` on wrong settings."""
    spec = _known(dataset_id)
    if isinstance(spec, SimulatedSpec):
        return spec.size if spec.kind in ROWS else None
    file = _file(spec)
    if file is None or not file.is_file() or file.stat().st_size > COUNTED_BYTES:
        return None
    if isinstance(spec, ParquetOrigin):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            rows, columns = ParquetFile(file).metadata.num_rows, ParquetFile(file).metadata.num_columns
        except (ArrowException, OSError):
            return None
    elif file.suffix == ".csv" and isinstance(spec, CsvOrigin):
        # The header is a line too; a line break inside quotes makes this too many, never too few.
        with file.open("rb") as lines:
            columns = lines.readline().count(spec.separator.encode()) + 1
            rows = sum(1 for _ in lines)
    else:
        return None
    return rows * (columns - 1) if getattr(spec, "layout", "long") == "wide" else rows


def unchanged_since(dataset_id: str, moment: datetime) -> bool:
    """Whether the rows are surely those of an aware moment: nobody can say it of a database. Raises as `most_rows`."""
    spec = _known(dataset_id)
    if isinstance(spec, SqlOrigin):
        return False
    files = [file for file in (_file(spec), settings_file()) if file is not None and file.is_file()]
    # What is embedded, and what is downloaded by its hash, changes with its settings alone.
    return all(datetime.fromtimestamp(file.stat().st_mtime, UTC) < moment for file in files)


def _known(dataset_id: str) -> DatasetSpec:
    known = datasets()
    if dataset_id not in known:
        raise UnknownName("dataset", dataset_id, known)
    return known[dataset_id]


def _file(spec: DatasetSpec) -> Path | None:
    return settings_file().parent / spec.path if isinstance(spec, CsvOrigin | ParquetOrigin) and not isinstance(spec, DownloadOrigin) else None
