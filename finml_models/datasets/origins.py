"""Where the rows of a dataset lie: a file beside the settings, a database, or a public file with its hash."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from finml_models.core.spec import Frozen

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Path = Annotated[str, Field(min_length=1, description="relative to the settings file, inside its folder")]
Separator = Annotated[str, Field(min_length=1, max_length=1)]


class CsvOrigin(Frozen):
    """A CSV file, compressed or not."""

    source: Literal["csv"]
    path: Path
    separator: Separator = ","


class ParquetOrigin(Frozen):
    """A Parquet file."""

    source: Literal["parquet"]
    path: Path


class SqlOrigin(Frozen):
    """The result of one read-only query."""

    source: Literal["sql"]
    url_env: EnvironmentName = Field(description="environment variable that holds the SQLAlchemy URL; the URL never stands in the file")
    query: str

    @model_validator(mode="after")
    def _one_select(self) -> Self:
        query = self.query.strip().rstrip(";")
        if re.match(r"(select|with)\b", query, re.IGNORECASE) is None or ";" in query:
            raise ValueError("the query must be one SELECT (or WITH ... SELECT) statement: it only reads")
        return self


class DownloadOrigin(Frozen):
    """A public file, downloaded by `finml data fetch` only, and taken only with the hash that stands here."""

    source: Literal["download"]
    url: str = Field(pattern=r"^(https://[^@\s]+|http://127\.0\.0\.1:\d+/\S*)$", description="https, without a user or password; http on this machine only")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file's bytes as they are downloaded")
    terms: str = Field(min_length=1, description="licence, and whom to cite")
    format: Literal["csv", "parquet"] = "csv"
    separator: Separator = ","


TableOrigin = CsvOrigin | ParquetOrigin | SqlOrigin | DownloadOrigin
