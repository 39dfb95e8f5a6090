"""What a client sends and gets where market rows go in: raw bars or closes, never features."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, FailFast, Field

from finml_models.core.asking import ReadAsColumns

if TYPE_CHECKING:
    from pandas import DataFrame

    from finml_models.datasets.market.clean import Rows
    from finml_models.datasets.market.panel import Panel
    from finml_models.datasets.market.policy import Policy

MOST_ROWS = 20_000


class Strict(BaseModel):
    """No coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Price = Annotated[float, Field(gt=0, lt=1e12)]


class Bar(Strict):
    """One session of one asset: a close, adjusted for splits and dividends, the rest of the bar and a realised variance where there are."""

    entity: str = Field(min_length=1, max_length=64, description="the asset's name", examples=["sp500"])
    time: date = Field(description="session date of the exchange, ISO 8601", examples=["2018-12-31"])
    open: Price | None = Field(None, description="first price, in the asset's currency")
    high: Price | None = Field(None, description="highest price")
    low: Price | None = Field(None, description="lowest price")
    close: Price = Field(description="last price, adjusted", examples=[2506.85])
    volume: float | None = Field(None, ge=0, description="traded units")
    realised_variance: float | None = Field(
        None,
        gt=0,
        lt=1e12,
        description="variance of the session's log return from intraday returns, the sum of their squares, neither in per cent nor annualised; "
        "on all rows of an asset or on none",
        examples=[1.0e-4],
    )


class MarketRequest(Strict):
    """Raw rows, in any order; each asset needs at least the task's history."""

    # The first wrong row ends the check: half a million wrong ones would take seconds to list.
    rows: Annotated[tuple[Bar, ...], FailFast()] = Field(min_length=1, max_length=MOST_ROWS)


class MarketColumns(ReadAsColumns):
    """A `MarketRequest` that was read as columns, and holds what its schema asks for."""

    columns: Any
    """`datasets.market.clean.Rows`, in the order in which they came."""

    @property
    def entities(self) -> tuple[str, ...]:
        """The assets' names."""
        return tuple(self.columns.names)

    @property
    def latest(self) -> date:
        """The newest session."""
        newest: date = self.columns.time.max().astype("datetime64[D]").item()
        return newest


def read(body: bytes) -> MarketRequest | MarketColumns:
    """A body as a market request: as columns where each row is plainly valid, else as the schema reads it. Raises `ValidationError`."""
    from finml_models.datasets.market.columns import read_columns

    columns = read_columns(body, MOST_ROWS)
    return MarketRequest.model_validate_json(body) if columns is None else MarketColumns.model_construct(columns=columns)


Proxy = Literal["closes", "bars", "realised"]
PROXIES: tuple[Proxy, ...] = get_args(Proxy)
"""What measures a day's variance, by its number among the features."""


class HorizonVolatility(Strict):
    """One horizon's forecast. Volatilities are annualised with 252 sessions; `variance` is of one average day."""

    horizon: int = Field(description="sessions ahead")
    volatility: float
    low: float
    high: float
    variance: float


class AssetVolatility(Strict):
    """Forecasts of one asset from its newest row."""

    entity: str
    as_of: date = Field(description="session of the newest input row")
    proxy: Proxy = Field(description="what a day's variance is measured by: closes and bars reach from close to close, realised is the session alone")
    forecasts: tuple[HorizonVolatility, ...]


class VolatilityResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    level: float = Field(description="nominal probability of the interval from low to high")
    assets: tuple[AssetVolatility, ...]
    warnings: tuple[str, ...] = ()


def request_rows(request: BaseModel, *, history: int) -> Rows:
    """The rows of a `MarketRequest`, sorted and under the strict rules; raises `DataError` on what they refuse."""
    from finml_models.datasets.market.settled import settled

    rows = request.columns if isinstance(request, MarketColumns) else _columns(request)
    if settled(rows, _strict(history)):
        return rows
    from collections import Counter

    from finml_models.datasets.market.clean import ruled

    return ruled(rows, _strict(history), Counter(rows_in=len(rows.labels)))[0]


def _columns(request: BaseModel) -> Rows:
    """The rows of a validated request in the order in which they came; raises `DataError` for what is no name."""
    from operator import attrgetter

    import numpy as np

    from finml_models.datasets.market.clean import VALUES, Rows, coded, is_name

    if not isinstance(request, MarketRequest):
        raise TypeError(f"request: expected MarketRequest, got {type(request).__name__}")
    labels = np.arange(len(request.rows))
    entities = [row.entity for row in request.rows]
    found = sorted(set(entities))
    if all(map(is_name, found)):
        number = {name: position for position, name in enumerate(found)}
        code, names = np.array([number[name] for name in entities], np.int64), np.array(found, object)
    else:
        code, names = coded(np.array(entities, object), labels)  # it says which row
    time = np.array([row.time for row in request.rows], "datetime64[D]").astype("datetime64[us]")
    # A client gives no labels of anomalies, which come last; None becomes NaN.
    numbers = np.full((len(labels), len(VALUES)), np.nan)
    numbers[:, :-1] = np.array([*map(attrgetter(*VALUES[:-1]), request.rows)], np.float64)
    return Rows(names, labels, code, time, numbers)


@cache
def _strict(history: int) -> Policy:
    from finml_models.datasets.market.policy import Policy

    return Policy.strict(minimum_rows=history)


def request_frame(request: BaseModel, *, history: int) -> DataFrame:
    """The rows of a `MarketRequest` as a raw market frame; raises `DataError` on what the strict rules refuse."""
    from finml_models.datasets.market.clean import framed

    return framed(request_rows(request, history=history))


def request_panel(request: BaseModel, *, history: int) -> Panel:
    """The same rows as a panel of arrays, which a small request is read from in a fraction of the time that a frame takes."""
    from finml_models.datasets.market.clean import columns_of
    from finml_models.datasets.market.panel import Panel

    rows = request_rows(request, history=history)
    return Panel.ordered(columns_of(rows), rows.names, rows.code, rows.time)
