"""The contract of a raw market frame: what every consumer may rely on, checked after cleaning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from finml_models.core.errors import DataError

from .faults import MOST


def _positive() -> pa.Check:
    return pa.Check(lambda s: (s > 0) & np.isfinite(s), error="positive and finite")


def _whole(frame: pd.DataFrame) -> bool:
    if "realised_variance" not in frame.columns:
        return True
    there = frame["realised_variance"].notna().groupby(frame["entity"])
    return bool((there.all() == there.any()).all())


MARKET = pa.DataFrameSchema(
    {
        "entity": pa.Column("str"),
        "time": pa.Column("datetime64[us]", pa.Check(lambda s: s == s.dt.normalize(), error="midnight of the session's date")),
        "open": pa.Column("float64", _positive(), nullable=True),
        "high": pa.Column("float64", _positive(), nullable=True),
        "low": pa.Column("float64", _positive(), nullable=True),
        "close": pa.Column("float64", _positive()),
        "volume": pa.Column("float64", pa.Check(lambda s: (s >= 0) & np.isfinite(s), error="not negative and finite"), nullable=True),
        "realised_variance": pa.Column("float64", _positive(), nullable=True, required=False),
        "anomaly": pa.Column("float64", pa.Check.isin(range(MOST + 1)), nullable=True, required=False),
        "known_at": pa.Column("datetime64[us]"),
    },
    checks=[
        pa.Check(lambda f: f["high"].isna() | (f["high"] >= f[["open", "low", "close"]].max(axis=1)), error="high is the bar's largest price"),
        pa.Check(lambda f: f["low"].isna() | (f["low"] <= f[["open", "high", "close"]].min(axis=1)), error="low is the bar's smallest price"),
        pa.Check(_whole, error="a realised variance on all rows of an asset or on none"),
        pa.Check(lambda f: f["known_at"] > f["time"], error="known after the session began"),
        pa.Check(lambda f: f.set_index(["entity", "time"]).index.is_monotonic_increasing, error="sorted by entity and time"),
    ],
    unique=["entity", "time"],
    index=pa.Index("int64"),
    strict=True,
    ordered=True,
)


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself where it is a raw market frame; raises `DataError` with the first cases where it is not."""
    try:
        return MARKET.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "index", "failure_case"]].head(5).to_dict("records")
        raise DataError(f"not a raw market frame: {cases}: pass the rows through `market.clean` first") from error
