"""The contract of a raw frame of transactions, checked before anything is computed from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from finml_models.core.errors import DataError

from .vocabulary import CATEGORIES, COLUMNS, MATURITY_DAYS

MATURITY = pd.Timedelta(days=MATURITY_DAYS)
LARGEST_AMOUNT, FURTHEST_KM, MOST = 1e9, 20_100.0, 1e9
"""Beyond these lie typing errors and wrong units; no two places on Earth are further apart than half its circumference."""


def _counted(frame: pd.DataFrame) -> bool:
    names, number = frame["entity"].to_numpy(object), frame["number"].to_numpy()
    return bool((np.diff(number)[names[1:] == names[:-1]] == 1).all())


def _reported_in_time(frame: pd.DataFrame) -> pd.Series:
    # A comparison with NaT is False.
    return (frame["reported_at"] > frame["time"]) & (frame["reported_at"] <= frame["time"] + MATURITY)


TRANSACTIONS = pa.DataFrameSchema(
    {
        "entity": pa.Column("str", pa.Check.str_length(1, 64)),
        "time": pa.Column("datetime64[us]"),
        "number": pa.Column("int64", pa.Check.ge(1)),
        "amount": pa.Column("float64", pa.Check.in_range(0.0, LARGEST_AMOUNT, include_min=False)),
        "terminal": pa.Column("str", pa.Check.str_length(1, 64)),
        **{name: pa.Column("str", pa.Check.isin(known), nullable=True) for name, known in CATEGORIES.items()},
        "distance_km": pa.Column("float64", pa.Check.in_range(0.0, FURTHEST_KM), nullable=True),
        **{name: pa.Column("float64", pa.Check.in_range(0.0, MOST)) for name in ("terminal_count_1d", "terminal_count_7d", "terminal_reports_28d")},
        "reported_at": pa.Column("datetime64[us]", nullable=True),
        "fraud": pa.Column("float64", pa.Check.isin([0.0, 1.0]), nullable=True),
        "known_at": pa.Column("datetime64[us]"),
    },
    checks=[
        pa.Check(lambda f: f["known_at"] <= f["time"], error="everything in a row was known at its moment"),
        pa.Check(lambda f: f["terminal_count_1d"] <= f["terminal_count_7d"], error="seven days hold the last of them"),
        pa.Check(lambda f: ~(f["reported_at"] <= f["time"]), error="reported after the transaction"),
        pa.Check(lambda f: (f["fraud"] != 1) | _reported_in_time(f), error=f"a fraud was reported within {MATURITY_DAYS} days"),
        pa.Check(lambda f: (f["fraud"] != 0) | ~_reported_in_time(f), error="what was reported in time is a fraud"),
        pa.Check(lambda f: f.set_index(["entity", "time"]).index.is_monotonic_increasing, error="sorted by entity and time"),
        pa.Check(_counted, error="an account's transactions are counted without a gap"),
    ],
    unique=["entity", "time"],
    index=pa.Index("int64"),
    strict=True,
    ordered=True,
)


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself where it is a raw frame of transactions; raises `DataError` with the first cases where it is not."""
    try:
        return TRANSACTIONS.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "index", "failure_case"]].head(5).to_dict("records")
        raise DataError(f"not a raw frame of transactions: {cases}: give the columns {', '.join(COLUMNS)}, one row a transaction") from error


def known_by(frame: pd.DataFrame, at: np.datetime64 | pd.Timestamp) -> pd.DataFrame:
    """What was on file at a moment: rows known by then, without later reports and without labels that were not final.

    A fraud that was reported early keeps its report, for the terminal's sake, and loses its label: were early reports
    labels already, the newest rows that train would be frauds alone.
    """
    early = frame[frame["known_at"] <= at].reset_index(drop=True)
    early["reported_at"] = early["reported_at"].where(early["reported_at"] <= at)
    early.loc[early["time"] + MATURITY > at, "fraud"] = np.nan
    return early
