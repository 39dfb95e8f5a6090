"""The contract of a raw frame of orders, checked before anything is computed from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from finml_models.core.errors import DataError

from .vocabulary import COLUMNS, CONSTANT

MOST_INTERVALS = 500


def _positive() -> pa.Check:
    return pa.Check(lambda s: (s > 0) & np.isfinite(s), error="positive and finite")


def _not_negative() -> pa.Check:
    return pa.Check(lambda s: (s >= 0) & np.isfinite(s), error="not negative and finite")


def _continues(frame: pd.DataFrame) -> np.ndarray:
    """(n,) whether a row belongs to the order of the row before it."""
    names = frame["entity"].to_numpy(object)
    return np.append(False, names[1:] == names[:-1])


def _counted(frame: pd.DataFrame) -> bool:
    inside, number = _continues(frame), frame["interval"].to_numpy()
    return bool((number[~inside] == 0).all() and (np.diff(number, prepend=0)[inside] == 1).all())


def _constant(frame: pd.DataFrame) -> bool:
    inside = _continues(frame)
    return all((np.diff(frame[name].to_numpy(), prepend=0)[inside] == 0).all() for name in CONSTANT)


def _even(frame: pd.DataFrame) -> bool:
    inside, time = _continues(frame), frame["time"].to_numpy()
    step = np.diff(time, prepend=time[:1]) if len(time) else time
    first = np.flatnonzero(~inside)
    lengths = np.diff(np.append(first, len(frame)))
    second = step[np.minimum(first + 1, len(frame) - 1)]
    return bool((step[inside] == np.repeat(second, lengths)[inside]).all() and (step[inside] > np.timedelta64(0)).all())


ORDERS = pa.DataFrameSchema(
    {
        "entity": pa.Column("str", pa.Check.str_length(1, 64)),
        "time": pa.Column("datetime64[us]"),
        "interval": pa.Column("int64", pa.Check.ge(0)),
        "intervals": pa.Column("int64", pa.Check.in_range(1, MOST_INTERVALS)),
        "side": pa.Column("int64", pa.Check.isin([-1, 1])),
        "quantity": pa.Column("float64", _positive()),
        "remaining": pa.Column("float64", _not_negative()),
        "arrival": pa.Column("float64", _positive()),
        "price": pa.Column("float64", _positive()),
        "spread_bp": pa.Column("float64", _not_negative()),
        "imbalance": pa.Column("float64", pa.Check.in_range(-1.0, 1.0)),
        "volatility_bp": pa.Column("float64", _not_negative()),
        "expected_volatility_bp": pa.Column("float64", _positive()),
        "volume": pa.Column("float64", _not_negative()),
        "usual_volume": pa.Column("float64", _positive()),
        "expected_volume": pa.Column("float64", _not_negative()),
        "expected_rest": pa.Column("float64", _not_negative()),
        "daily_volume": pa.Column("float64", _positive()),
        "known_at": pa.Column("datetime64[us]"),
    },
    checks=[
        pa.Check(lambda f: f["known_at"] <= f["time"], error="everything in a row was known at its moment"),
        pa.Check(lambda f: f["interval"] <= f["intervals"], error="no interval after the order's end"),
        pa.Check(lambda f: f["remaining"] <= f["quantity"], error="no more remains than there was"),
        pa.Check(lambda f: (f["interval"] == f["intervals"]) | (f["expected_volume"] > 0), error="a usual volume in every interval of the order"),
        pa.Check(lambda f: f["expected_rest"] >= f["expected_volume"] * (1 - 1e-9), error="the rest of the order's time holds the next interval"),
        pa.Check(lambda f: (f["interval"] != 0) | (f["price"] == f["arrival"]), error="the arrival price is the price of interval 0"),
        pa.Check(_counted, error="an order's rows count its intervals from 0 without a gap"),
        pa.Check(_constant, error=f"an order keeps its {', '.join(CONSTANT)}"),
        pa.Check(_even, error="an order's intervals have one length"),
        pa.Check(lambda f: f.set_index(["entity", "time"]).index.is_monotonic_increasing, error="sorted by entity and time"),
    ],
    unique=["entity", "time"],
    index=pa.Index("int64"),
    strict=True,
    ordered=True,
)


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself where it is a raw frame of orders; raises `DataError` with the first cases where it is not."""
    try:
        return ORDERS.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "index", "failure_case"]].head(5).to_dict("records")
        raise DataError(
            f"not a raw frame of orders: {cases}: give the columns {', '.join(COLUMNS)}, a row each interval of an order and one at its end"
        ) from error
