"""What a registered dataset id means: where its rows come from, and how they are read.

Two families of specifications. `market` has its own, with a calendar and rules for prices. The kinds of records (loans, news,
orders, transactions) share one: a table whose columns, types and gaps their schema declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import available_timezones

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from finml_models.core.spec import Frozen

from .market.fault_policy import FaultPolicy
from .market.policy import Policy
from .origins import CsvOrigin, DownloadOrigin, ParquetOrigin, SqlOrigin
from .record_rules import RecordPolicy

DatasetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Embedded = Literal["us_indices", "us_large_caps"]
RecordKind = Literal["loans", "news", "orders", "transactions"]
KINDS: tuple[str, ...] = ("market", *get_args(RecordKind))


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
    anomaly: str | Literal[False] = "anomaly"


class MarketSpec(Frozen):
    """What all market sources share."""

    kind: Literal["market"] = "market"
    title: str = ""
    layout: Literal["long", "wide"] = Field("long", description="long: one row an asset and session; wide: one column of closes an asset")
    columns: Columns = Columns()
    time_zone: str | None = Field(None, description="zone of timestamps that carry none; by default the exchange's own time")
    calendar: str = Field("XNYS", description="ISO 10383 code of the exchange whose sessions the rows are held against")
    rules: Policy = Policy()
    faults: FaultPolicy | None = Field(None, description="faults that are put into the cleaned rows, with their labels in `anomaly`")


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


class CsvSpec(CsvOrigin, TableSpec):
    """Market data in a CSV file."""


class ParquetSpec(ParquetOrigin, TableSpec):
    """Market data in a Parquet file."""


class SqlSpec(SqlOrigin, TableSpec):
    """Market data in a database."""


class DownloadSpec(DownloadOrigin, TableSpec):
    """Market data in a public file."""


class RecordSpec(Frozen):
    """What all sources of records share. `columns` says what the source calls a column of the kind's schema; one that is not named
    there is read under its own name, and `false` leaves one out."""

    kind: RecordKind
    title: str = ""
    columns: dict[str, str | Literal[False]] = Field(default_factory=dict)
    time_zone: str | None = Field(None, description="zone of timestamps that carry none; by default they are told in `clock` already")
    clock: str | None = Field(
        None, description="zone in which the times are kept; timestamps with a zone are converted to it. News and transactions are kept in UTC"
    )
    rules: RecordPolicy = RecordPolicy()

    @field_validator("time_zone", "clock")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"{value!r} is no zone of the IANA database: write America/New_York, Europe/London, UTC")
        return value

    @model_validator(mode="after")
    def _some_in_utc(self) -> Self:
        if self.kind in {"news", "transactions"} and self.clock not in {None, "UTC"}:
            raise ValueError(f"clock = {self.clock!r}: times of {self.kind} are kept in UTC: leave it out; time_zone is the zone of timestamps that carry none")
        return self


class RecordCsv(CsvOrigin, RecordSpec):
    """Records in a CSV file."""


class RecordParquet(ParquetOrigin, RecordSpec):
    """Records in a Parquet file."""


class RecordSql(SqlOrigin, RecordSpec):
    """Records in a database."""


class RecordDownload(DownloadOrigin, RecordSpec):
    """Records in a public file."""


class SimulatedSpec(Frozen):
    """Rows of a kind's own seeded simulator, whose truth is known."""

    source: Literal["simulated"]
    kind: RecordKind
    title: str = ""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    size: int | None = Field(None, ge=100, le=1_000_000, description="loans, texts, orders or accounts; by default as many as the embedded dataset has")


MarketSource = EmbeddedSpec | CsvSpec | ParquetSpec | SqlSpec | DownloadSpec
RecordTable = RecordCsv | RecordParquet | RecordSql | RecordDownload
FAMILIES = ("market", "records")


def _family(spec: Any) -> str | None:
    kind = spec.get("kind", "market") if isinstance(spec, Mapping) else getattr(spec, "kind", None)
    return None if kind not in KINDS else "market" if kind == "market" else "records"


DatasetSpec = Annotated[
    Annotated[MarketSource, Field(discriminator="source"), Tag("market")]
    | Annotated[SimulatedSpec | RecordTable, Field(discriminator="source"), Tag("records")],
    Discriminator(_family, custom_error_type="unknown_kind", custom_error_message=f"a dataset is a table whose `kind` is one of {', '.join(KINDS)}"),
]


class Settings(Frozen):
    """A settings file: one table `[datasets.<id>]` a dataset."""

    datasets: dict[DatasetId, DatasetSpec] = Field(default_factory=dict)
