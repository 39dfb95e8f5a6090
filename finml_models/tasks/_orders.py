"""What a client sends and gets where orders are worked, and how rows of orders become features, episodes and states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, NaiveDatetime, model_validator

from finml_models.core.errors import DataError
from finml_models.datasets.orders.vocabulary import COLUMNS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.environments.execution import ExecutionMarket, OrderStates, Rules

MOST_ROWS = 10_000
SESSION_MINUTES = 390
"""A trading day, which volatility of an interval is brought to."""
LEAST_VOLUME = 0.01
"""Of the usual volume: an interval without any trade counts as this much, so that participation and its logarithm stay finite."""

FEATURES = (
    "remaining",
    "intervals_left",
    "volume_share",
    "pace",
    "spread_bp",
    "imbalance",
    "volatility_bp",
    "expected_volatility_bp",
    "volume_surprise",
    "drift_bp",
)
RECORDED = ("interval", "intervals", "side", "quantity", "arrival", "price", "volume", "usual_volume", "expected_volume", "expected_rest", "daily_volume")
"""Raw columns that episodes are built from; like the features they say what was known at the row's moment."""


class Strict(BaseModel):
    """No coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Shares = Annotated[float, Field(gt=0, lt=1e12)]


class OrderState(Strict):
    """An order at work, as it and its market stand before the next interval. One row is enough."""

    entity: str = Field(min_length=1, max_length=64, description="the order's name", examples=["O000042"])
    time: NaiveDatetime = Field(description="now, in the exchange's own time, ISO 8601 without a zone", examples=["2019-07-15T11:30:00"])
    interval: int = Field(ge=0, lt=500, description="number of the interval that begins now, from 0", examples=[4])
    intervals: int = Field(ge=1, le=500, description="intervals of equal length in which the order must be done", examples=[16])
    side: Literal[-1, 1] = Field(description="1 a purchase, -1 a sale", examples=[1])
    quantity: Shares = Field(description="shares at arrival", examples=[80_000.0])
    remaining: Shares = Field(description="shares still to be traded", examples=[56_000.0])
    arrival: float = Field(gt=0, lt=1e12, description="mid price when the order arrived", examples=[52.31])
    price: float = Field(gt=0, lt=1e12, description="mid price now", examples=[52.38])
    spread_bp: float = Field(ge=0, le=10_000, description="ask less bid, in bp of the mid", examples=[3.8])
    imbalance: float = Field(ge=-1, le=1, description="(bid depth - ask depth) / (bid depth + ask depth) at the best prices", examples=[0.2])
    volatility_bp: float = Field(ge=0, le=10_000, description="volatility in the interval that ended now, in bp", examples=[27.0])
    expected_volatility_bp: float = Field(gt=0, le=10_000, description="usual volatility of the interval that begins now, in bp", examples=[25.0])
    volume: float = Field(ge=0, lt=1e12, description="shares that the market traded in the interval that ended now", examples=[71_000.0])
    usual_volume: Shares = Field(description="usual shares of that interval", examples=[64_000.0])
    expected_volume: Shares = Field(description="usual shares of the interval that begins now", examples=[61_000.0])
    expected_rest: Shares = Field(description="usual shares from now to the order's end", examples=[880_000.0])
    daily_volume: Shares = Field(description="usual shares a day", examples=[2_100_000.0])

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.interval >= self.intervals:
            raise ValueError(
                f"interval {self.interval} of {self.intervals}: intervals count from 0, and nothing is decided at the order's end; leave the row out"
            )
        if self.remaining > self.quantity:
            raise ValueError(f"remaining {self.remaining:g} of quantity {self.quantity:g}: give what is left of the shares at arrival")
        if self.expected_rest < self.expected_volume * (1 - 1e-9):
            raise ValueError(f"expected_rest {self.expected_rest:g} is less than expected_volume {self.expected_volume:g}, which is a part of it")
        return self


class ExecutionRequest(Strict):
    """Orders at work, in any order; of several rows of one order the newest is decided."""

    # The first wrong row ends the check: ten thousand wrong ones would take long to list.
    rows: Annotated[tuple[OrderState, ...], FailFast()] = Field(min_length=1, max_length=MOST_ROWS)


class OrderDecision(Strict):
    """What to do with an order in the interval that begins now."""

    entity: str
    as_of: NaiveDatetime = Field(description="moment of the newest input row")
    participation: float = Field(ge=0, description="share of the interval's usual volume to trade; in the last interval what completion needs")
    shares: float = Field(ge=0, description="shares to trade in the interval")
    remaining_after: float = Field(ge=0, description="shares that are left then")
    pace: float = Field(ge=0, description="participation that, held from now on, ends on time (VWAP)")
    final: bool = Field(description="whether this is the last interval, in which all that is left is traded")


class ExecutionResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    cap: float = Field(description="largest participation before the last interval")
    orders: tuple[OrderDecision, ...]
    warnings: tuple[str, ...] = ()


def request_frame(request: BaseModel) -> DataFrame:
    """The rows of an `ExecutionRequest` as a raw frame of orders; raises `DataError` for an order with two rows of one moment."""
    import pandas as pd

    if not isinstance(request, ExecutionRequest):
        raise TypeError(f"request: expected ExecutionRequest, got {type(request).__name__}")
    columns = {name: [getattr(row, name) for row in request.rows] for name in OrderState.model_fields}
    frame = pd.DataFrame({name: pd.array(values, dtype="str") if name == "entity" else values for name, values in columns.items()})
    frame["time"] = pd.to_datetime(frame["time"]).astype("datetime64[us]")
    frame["known_at"] = frame["time"]
    if (twice := frame.duplicated(["entity", "time"])).any():
        first = frame[twice].iloc[0]
        raise DataError(f"rows: order {first['entity']} has more than one row at {first['time']}; send one row a moment")
    return frame[list(COLUMNS)].sort_values(["entity", "time"], ignore_index=True)


def features_of(raw: DataFrame) -> DataFrame:
    """`FEATURES` and `RECORDED` of each row from that row alone; NaN where nothing is left to decide."""
    import numpy as np
    import pandas as pd

    r = {name: raw[name].to_numpy(np.float64) for name in COLUMNS if name not in {"entity", "time", "known_at"}}
    rest = np.where(r["expected_rest"] > 0, r["expected_rest"], np.nan)
    volume = np.maximum(r["volume"], LEAST_VOLUME * r["usual_volume"])
    features = {
        "remaining": r["remaining"] / r["quantity"],
        "intervals_left": r["intervals"] - r["interval"],
        "volume_share": r["expected_volume"] / rest,
        "pace": r["remaining"] / rest,
        "spread_bp": r["spread_bp"],
        # With the order's sign: positive is pressure on the price in the direction of the order, against its interest.
        "imbalance": r["side"] * r["imbalance"],
        "volatility_bp": r["volatility_bp"],
        "expected_volatility_bp": r["expected_volatility_bp"],
        "volume_surprise": np.log(volume / r["usual_volume"]),
        "drift_bp": r["side"] * (r["price"] / r["arrival"] - 1) * 1e4,
    }
    recorded = {name: volume if name == "volume" else r[name] for name in RECORDED}
    frame = raw[["entity", "time"]].reset_index(drop=True)
    return pd.concat([frame, pd.DataFrame({**{name: features[name] for name in FEATURES}, **recorded})], axis=1)


def whole_orders(frame: DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """(first row, number of rows, whether all of its rows are there) of each order of a frame that is sorted by entity and time."""
    import numpy as np

    names, number, last = frame["entity"].to_numpy(object), frame["interval"].to_numpy(np.int64), frame["intervals"].to_numpy(np.int64)
    first = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.zeros(0, np.int64)
    rows = np.diff(np.append(first, len(names)))
    end = first + rows - 1
    return first, rows, (number[first] == 0) & (number[end] == last[end]) & (rows == last[end] + 1)


def states(x: DataFrame) -> OrderStates:
    """Every row at which something is left to decide, by (time, entity)."""
    import numpy as np

    from finml_models.environments.execution import OrderStates

    usable = np.flatnonzero(((x["interval"] < x["intervals"]) & (x["remaining"] > 0)).to_numpy() & np.isfinite(x[list(FEATURES)].to_numpy()).all(axis=1))
    time, entity = x["time"].to_numpy()[usable], x["entity"].to_numpy(dtype=np.str_)[usable]
    order = np.lexsort((entity, time))
    rows = usable[order]
    return OrderStates(
        values=x[list(FEATURES)].to_numpy(np.float32)[rows],
        columns=FEATURES,
        times=time[order],
        entities=entity[order],
        quantity=x["quantity"].to_numpy(np.float64)[rows],
        left=(x["remaining"] * x["quantity"]).to_numpy(np.float64)[rows],
        expected_volume=x["expected_volume"].to_numpy(np.float64)[rows],
    )


def episodes(x: DataFrame, y: DataFrame, rules: Rules) -> ExecutionMarket:
    """The orders whose end is known, each with its market from arrival to end, by (time, entity)."""
    import numpy as np

    from finml_models.environments.execution import ExecutionMarket

    first, rows, whole = whole_orders(x)
    known = whole & y["until"].notna().to_numpy()[first]
    if not known.any():
        raise DataError(f"orders: none of {len(first)} has all its rows from interval 0 to its end; give orders that are done")
    first, lengths = first[known], rows[known] - 1
    entity, time = x["entity"].to_numpy(dtype=np.str_)[first], x["time"].to_numpy()
    order = np.lexsort((entity, time[first]))
    first, lengths, entity = first[order], lengths[order], entity[order]
    most = int(lengths.max())
    at = first[:, None] + np.minimum(np.arange(most + 1), lengths[:, None])
    column = {name: x[name].to_numpy(np.float64)[at] for name in (*RECORDED, "spread_bp", "volatility_bp")}
    side, quantity, arrival = column["side"][:, 0], column["quantity"][:, 0], column["arrival"][:, 0]
    a_day = SESSION_MINUTES * np.timedelta64(60_000_000, "us") / (time[at[:, 1]] - time[first])
    inside = np.arange(most) < lengths[:, None]
    before, after = (lambda name: column[name][:, :-1]), (lambda name: np.where(inside, column[name][:, 1:], 1.0))
    rest = column["expected_rest"]
    return ExecutionMarket(
        names=FEATURES,
        entities=entity,
        times=time[first],
        lengths=lengths,
        sides=side,
        arrivals=arrival,
        day_demand=quantity / column["daily_volume"][:, 0],
        observed=_before_the_policy(np.nan_to_num(x[list(FEATURES)].to_numpy(np.float32)[at])),
        move=np.where(inside, side[:, None] * (after("price") - before("price")) / arrival[:, None] * 1e4, 0.0),
        half_spread=before("spread_bp") / 2,
        volatility=after("volatility_bp"),
        daily_volatility=after("volatility_bp") * np.sqrt(a_day)[:, None],
        demand=quantity[:, None] / after("volume"),
        usual=before("expected_volume") / quantity[:, None],
        rest=np.divide(quantity[:, None], rest, out=np.zeros_like(rest), where=rest > 0),
        rules=rules,
        target=arrival[:, None].astype(np.float32),
        until=y["until"].to_numpy()[first],
    )


def _before_the_policy(observed: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the record says of remaining quantity and pace is one policy's doing: an environment fills them in."""
    for name in ("remaining", "pace"):
        observed[..., FEATURES.index(name)] = 0.0
    return observed
