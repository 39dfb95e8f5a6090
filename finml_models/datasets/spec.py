"""What a registered dataset id means: where its rows come from, and how they are read."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from finml_models.core.spec import Frozen

from .market.policy import Policy

DatasetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Embedded = Literal["us_indices", "us_large_caps"]


class Columns(Frozen):
    """Names of the columns in the source. One that is not named here is read under its own name where the source has it;
    `false` leaves it out."""

    entity: str = "entity"
    time: str = "time"
    close: str = "close"
    open: str | Literal[False] = "open"
    high: str | Literal[False] = "high"
    low: str | Literal[False] = "low"
    volume: str | Literal[False] = "volume"
    realised_variance: str | Literal[False] = "realised_variance"


class MarketSpec(Frozen):
    """What all market sources share."""

    kind: Literal["market"] = "market"
    title: str = ""
    layout: Literal["long", "wide"] = Field("long", description="long: one row an asset and session; wide: one column of closes an asset")
    columns: Columns = Columns()
    time_zone: str | None = Field(None, description="zone of timestamps that carry none; by default the exchange's own time")
    calendar: str = Field("XNYS", description="ISO 10383 code of the exchange whose sessions the rows are held against")
    rules: Policy = Policy()


class EmbeddedSpec(MarketSpec):
    """Data inside an installed package."""

    source: Literal["embedded"]
    parts: tuple[Embedded, ...] = Field(min_length=1)


class TableSpec(MarketSpec):
    """What all files and queries share."""

    entity: str | None = Field(None, min_length=1, max_length=64, description="the one asset of a long source that has no column for it")

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.entity is not None and self.layout == "wide":
            raise ValueError("entity names the one asset of a long source; in a wide one the columns name the assets: leave it out")
        if self.entity is not None and "entity" in self.columns.model_fields_set:
            raise ValueError("entity and columns.entity are both given: name the one asset of the source, or the column that names its assets")
        return self


class CsvSpec(TableSpec):
    """A CSV file, compressed or not."""

    source: Literal["csv"]
    path: str = Field(min_length=1, description="relative to the settings file, inside its folder")
    separator: str = Field(",", min_length=1, max_length=1)


class ParquetSpec(TableSpec):
    """A Parquet file."""

    source: Literal["parquet"]
    path: str = Field(min_length=1, description="relative to the settings file, inside its folder")


class SqlSpec(TableSpec):
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


class SimulatedSpec(Frozen):
    """Rows of a kind's own seeded simulator, whose truth is known."""

    source: Literal["simulated"]
    kind: Literal["loans", "news", "orders"]
    title: str = ""
    seed: int = Field(0, ge=0, le=2**31 - 1)


DatasetSpec = Annotated[EmbeddedSpec | SimulatedSpec | CsvSpec | ParquetSpec | SqlSpec, Field(discriminator="source")]


class Settings(Frozen):
    """A settings file: one table `[datasets.<id>]` a dataset."""

    datasets: dict[DatasetId, DatasetSpec] = Field(default_factory=dict)
