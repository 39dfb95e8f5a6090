"""Files and tables as the frame that `clean` takes: canonical column names, an index that holds the source's row numbers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from finml_models.core.errors import DataError
from finml_models.datasets.spec import Columns, CsvSpec, EmbeddedSpec, ParquetSpec, SqlSpec

NOT_A_NUMBER = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]


def read(spec: EmbeddedSpec | CsvSpec | ParquetSpec | SqlSpec, folder: Path) -> pd.DataFrame:
    """The rows of a dataset, not yet cleaned; `folder` is the settings file's. Raises `DataError`."""
    match spec:
        case EmbeddedSpec():
            from . import embedded

            return embedded.read(spec.parts)
        case CsvSpec():
            table = _csv(_inside(folder, spec.path), spec)
        case ParquetSpec():
            table = _parquet(_inside(folder, spec.path))
        case SqlSpec():
            table = _sql(spec)
    frame = _long(table, spec.columns, spec.entity) if spec.layout == "long" else _wide(table, spec.columns.time)
    return frame if spec.time_zone is None else frame.assign(time=_in_zone(frame["time"], spec.time_zone))


def _inside(folder: Path, path: str) -> Path:
    root = folder.resolve()
    file = (root / path).resolve()
    if Path(path).is_absolute() or not file.is_relative_to(root):
        raise DataError(f"path {path!r} leaves {root}: put the file beside the settings file and name it relative to that")
    if not file.is_file():
        raise DataError(f"path {path!r}: no file at {file}: put it there or correct the path in the settings file")
    return file


def _csv(file: Path, spec: CsvSpec) -> pd.DataFrame:
    """Times and names are read as text, so that a ticker such as NA or TRUE stays what it is."""
    try:
        header = pd.read_csv(file, sep=spec.separator, nrows=0).columns
        text = {name for name in (spec.columns.time, spec.columns.entity) if name in header}
        blank = {name: NOT_A_NUMBER for name in header if name not in text}
        return pd.read_csv(file, sep=spec.separator, dtype=dict.fromkeys(text, str), na_values=blank, keep_default_na=False, low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"{file.name} is not a CSV file that can be read: {error}: check separator, encoding (UTF-8) and compression") from error


def _parquet(file: Path) -> pd.DataFrame:
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(file)
    except (ArrowException, OSError) as error:
        raise DataError(f"{file.name} is not a Parquet file that can be read: {error}: write it again") from error


def _sql(spec: SqlSpec) -> pd.DataFrame:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = os.environ.get(spec.url_env)
    if not url:
        raise DataError(f"environment variable {spec.url_env} is not set: put the database's SQLAlchemy URL there, postgresql+psycopg://...")
    try:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            return pd.read_sql_query(text(spec.query), connection)
    except (SQLAlchemyError, pd.errors.DatabaseError, ImportError) as error:
        # Only the driver's own words: SQLAlchemy's carry the statement, and a chained traceback could carry the URL.
        cause = error.__cause__ or error
        reason = getattr(cause, "orig", None) or type(cause).__name__
        raise DataError(f"the database of {spec.url_env} did not answer the query: {reason}: check the URL, its driver and the query") from None


def _long(table: pd.DataFrame, columns: Columns, entity: str | None) -> pd.DataFrame:
    """The named columns under their canonical names; a source of one asset takes the name `entity` instead of a column."""
    names = {canonical: source for canonical, source in columns if source is not False and (canonical != "entity" or entity is None)}
    required = {"entity", "time", "close"} | columns.model_fields_set
    absent = [f"{canonical} = {source!r}" for canonical, source in names.items() if canonical in required and source not in table.columns]
    if absent:
        one = ", or name its one asset in `entity`" if "entity" in names and names["entity"] not in table.columns else ""
        raise DataError(
            f"column(s) not in the source: {', '.join(absent)}; it has {list(map(str, table.columns))}: correct `columns` in the settings file{one}"
        )
    present = {source: canonical for canonical, source in names.items() if source in table.columns}
    frame = table[list(present)].rename(columns=present)
    return frame if entity is None else frame.assign(entity=entity)


def _wide(table: pd.DataFrame, time: str) -> pd.DataFrame:
    """Closes by column as rows. An asset begins at its first close and ends at its last; a blank in between stays, as a missing price."""
    if time not in table.columns:
        raise DataError(f"column {time!r} is not in the source, it has {list(map(str, table.columns))}: name the time's column in `columns.time`")
    closes = table.drop(columns=time)
    if closes.shape[1] == 0 or not closes.columns.is_unique:
        raise DataError(f"a wide source has the column {time!r} and one column an asset, each once; it has {list(map(str, table.columns))}")
    there = closes.notna().to_numpy()
    alive = np.logical_or.accumulate(there) & np.logical_or.accumulate(there[::-1])[::-1]
    row, asset = np.nonzero(alive)
    long = {"entity": closes.columns.astype(str).to_numpy()[asset], "time": table[time].take(row).array, "close": closes.to_numpy()[row, asset]}
    return pd.DataFrame(long, index=table.index[row])


def _in_zone(time: pd.Series, zone: str) -> pd.Series:
    """Timestamps that carry no zone, in the zone that the settings name."""
    if isinstance(time.dtype, pd.DatetimeTZDtype):
        raise DataError(f"`time_zone` = {zone!r}, but the timestamps carry the zone {time.dt.tz}: leave `time_zone` out")
    try:
        moments = pd.to_datetime(time, format=None if pd.api.types.is_datetime64_dtype(time.dtype) else "ISO8601")
        return moments.dt.tz_localize(zone)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"`time` cannot be read as local times of `time_zone` = {zone!r}: {error}: correct the zone or the timestamps") from error
