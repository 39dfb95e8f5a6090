"""What a client sends and gets where card payments are authorised: transactions as they were, never features."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, FailFast, Field

from finml_models.core.errors import DataError
from finml_models.datasets.transactions.vocabulary import CATEGORIES, COLUMNS, MATURITY_DAYS, TERMINAL, Category, Channel

from ._account_history import HISTORY

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 10_000
CHECK_COST = 10.0
"""What looking at one alert costs, in the currency of the amounts: the operating point, and that of the metric `cost_saved`."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Strict(BaseModel):
    """No coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Transaction(Strict):
    """One transaction of an account as it stood at its authorisation."""

    entity: str = Field(min_length=1, max_length=64, description="the account", examples=["C000042"])
    time: AwareDatetime = Field(description="moment of the authorisation with its offset from UTC, ISO 8601", examples=["2023-06-01T09:30:12Z"])
    number: int = Field(ge=1, le=10**12, description="which transaction of the account this is, from 1, counted without a gap", examples=[1])
    amount: float = Field(gt=0, le=1e9, description="in the account's currency", examples=[23.4])
    terminal: str = Field(min_length=1, max_length=64, description="id of the terminal, or of the online merchant", examples=["T00017"])
    channel: Channel | None = Field(None, description="how it was paid", examples=["contactless"])
    category: Category | None = Field(None, description="what the merchant sells", examples=["groceries"])
    distance_km: float | None = Field(
        None, ge=0, le=20_100, description="from the holder's home to the terminal; left out where there is no place, as online", examples=[3.2]
    )
    terminal_count_1d: Count = Field(description="transactions at the terminal in the day before, of all accounts, this one not counted", examples=[4])
    terminal_count_7d: Count = Field(description="the same of seven days", examples=[31])
    terminal_reports_28d: Count = Field(description="frauds at the terminal that were reported in the 28 days before", examples=[0])


class FraudRequest(Strict):
    """Transactions of one or more accounts, in any order; of each account the newest is judged by those before it.

    An account needs its newest 100 transactions, or all of them since its first.
    """

    # The first wrong row ends the check: ten thousand wrong ones would take long to list.
    rows: Annotated[tuple[Transaction, ...], FailFast()] = Field(min_length=1, max_length=MOST_ROWS)


class TransactionRisk(Strict):
    """The risk of an account's newest transaction."""

    entity: str
    as_of: datetime = Field(description="moment of the transaction that is judged, UTC")
    probability: float = Field(ge=0, le=1, description=f"that it is reported as a fraud within {MATURITY_DAYS} days")
    expected_loss: float = Field(ge=0, description="probability × amount")
    alert: bool = Field(description="whether the expected loss exceeds the cost of a check")


class FraudResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    check_cost: float = Field(description="cost of a check, in the currency of the amounts: where alerts begin")
    transactions: tuple[TransactionRisk, ...]
    warnings: tuple[str, ...] = ()


def request_frame(request: BaseModel) -> DataFrame:
    """The rows of a `FraudRequest` as a raw frame without labels.

    Raises `DataError` for two rows of one moment, a gap in an account's numbers, and a history that is too short.
    """
    import numpy as np
    import pandas as pd

    if not isinstance(request, FraudRequest):
        raise TypeError(f"request: expected FraudRequest, got {type(request).__name__}")
    columns = {name: [getattr(row, name) for row in request.rows] for name in Transaction.model_fields}
    texts = {"entity", "terminal", *CATEGORIES}
    frame = pd.DataFrame({name: pd.array(values, dtype="str") if name in texts else values for name, values in columns.items()})
    frame["time"] = pd.to_datetime(frame["time"], utc=True).dt.tz_localize(None).astype("datetime64[us]")
    frame[["amount", "distance_km", *TERMINAL]] = frame[["amount", "distance_km", *TERMINAL]].astype("float64")
    frame = frame.assign(reported_at=np.datetime64("NaT", "us"), fraud=np.nan, known_at=frame["time"])
    frame = frame[list(COLUMNS)].sort_values(["entity", "time"], ignore_index=True)
    _refuse_gaps(frame)
    return frame


def _refuse_gaps(frame: DataFrame) -> None:
    import numpy as np

    same = np.append(False, (frame["entity"].to_numpy(object)[1:] == frame["entity"].to_numpy(object)[:-1]))
    before = frame.shift()
    if (twice := same & (frame["time"] == before["time"]).to_numpy()).any():
        row = frame[twice].iloc[0]
        raise DataError(f"rows: account {row['entity']} has more than one transaction at {row['time']}; send one row a moment")
    if (gaps := same & (frame["number"] != before["number"] + 1).to_numpy()).any():
        row = frame[gaps].iloc[0]
        raise DataError(f"rows: number {row['number']} of account {row['entity']} does not follow the one before it; send all of them, without a gap")
    accounts = frame.groupby("entity")["number"].agg(["min", "size"])
    if (short := (accounts["min"] > 1) & (accounts["size"] < HISTORY)).any():
        name, (least, rows) = next(iter(accounts[short].iterrows()))
        raise DataError(f"rows: account {name} has {rows} transactions from number {least} on; send its newest {HISTORY}, or all since number 1")
