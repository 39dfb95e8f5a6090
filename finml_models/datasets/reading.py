"""Files, query results and downloads as tables, before anything is known of their columns."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from finml_models.core.errors import DataError

from .downloads import verified
from .origins import CsvOrigin, DownloadOrigin, ParquetOrigin, SqlOrigin, TableOrigin

NOT_A_NUMBER = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]


def table(origin: TableOrigin, folder: Path, *, text: Collection[str]) -> pd.DataFrame:
    """The rows as the source has them; `folder` is the settings file's, `text` names the columns whose values are read as they are.

    Raises `DataError`, for a download also where its file is not there.
    """
    match origin:
        case SqlOrigin():
            return _sql(origin.url_env, origin.query)
        case DownloadOrigin():
            file = verified(origin, folder)
            return _parquet(file) if origin.format == "parquet" else _csv(file, origin.separator, text)
        case CsvOrigin():
            return _csv(_inside(folder, origin.path), origin.separator, text)
        case ParquetOrigin():
            return _parquet(_inside(folder, origin.path))


def _inside(folder: Path, path: str) -> Path:
    root = folder.resolve()
    file = (root / path).resolve()
    if Path(path).is_absolute() or not file.is_relative_to(root):
        raise DataError(f"path {path!r} leaves {root}: put the file beside the settings file and name it relative to that")
    if not file.is_file():
        raise DataError(f"path {path!r}: no file at {file}: put it there or correct the path in the settings file")
    return file


def _csv(file: Path, separator: str, text: Collection[str]) -> pd.DataFrame:
    """Times and names are read as text, so that a ticker such as NA or TRUE stays what it is."""
    try:
        header = pd.read_csv(file, sep=separator, nrows=0).columns
        kept = {name for name in text if name in header}
        blank = {name: NOT_A_NUMBER for name in header if name not in kept}
        return pd.read_csv(file, sep=separator, dtype=dict.fromkeys(kept, str), na_values=blank, keep_default_na=False, low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"{file.name} is not a CSV file that can be read: {error}: check separator, encoding (UTF-8) and compression") from error


def _parquet(file: Path) -> pd.DataFrame:
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(file)
    except (ArrowException, OSError) as error:
        raise DataError(f"{file.name} is not a Parquet file that can be read: {error}: write it again") from error


def _sql(url_env: str, query: str) -> pd.DataFrame:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = os.environ.get(url_env)
    if not url:
        raise DataError(f"environment variable {url_env} is not set: put the database's SQLAlchemy URL there, postgresql+psycopg://...")
    try:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            return pd.read_sql_query(text(query), connection)
    except (SQLAlchemyError, pd.errors.DatabaseError, ImportError) as error:
        # Only the driver's own words: SQLAlchemy's carry the statement, and a chained traceback could carry the URL.
        cause = error.__cause__ or error
        reason = getattr(cause, "orig", None) or type(cause).__name__
        raise DataError(f"the database of {url_env} did not answer the query: {reason}: check the URL, its driver and the query") from None
