"""The contract of a raw frame of loans: one decided application a row, checked before anything is computed from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from finml_models.core.errors import DataError

from .vocabulary import CATEGORIES, COLUMNS, NUMBERS, OPTIONAL

LARGEST: dict[str, float] = {
    "income": 1e9,
    "debt_to_income": 10.0,
    "loan_amount": 1e9,
    "term_months": 480.0,
    "months_on_book": 1_200.0,
    "employment_years": 80.0,
    "utilisation": 10.0,
    "delinquencies_24m": 1_000.0,
    "months_since_delinquency": 1_200.0,
    "inquiries_6m": 1_000.0,
    "credit_history_months": 1_200.0,
    "open_accounts": 1_000.0,
    "overdraft_days_12m": 366.0,
    "savings": 1e12,
}
"""Values beyond these are wrong units or typing errors: shares are shares, not per cent."""
POSITIVE = {"income", "loan_amount", "term_months"}


def _number(name: str) -> pa.Column:
    low, high = (0.0 if name not in POSITIVE else np.nextafter(0, 1)), LARGEST[name]
    return pa.Column("float64", pa.Check.in_range(low, high), nullable=name in OPTIONAL)


LOANS = pa.DataFrameSchema(
    {
        "entity": pa.Column("str", pa.Check.str_length(1, 64), unique=True),
        "time": pa.Column("datetime64[us]", pa.Check(lambda s: s == s.dt.normalize(), error="midnight of the decision's date")),
        **{name: _number(name) for name in NUMBERS},
        **{name: pa.Column("str", pa.Check.isin(known), nullable=True) for name, known in CATEGORIES.items()},
        "outcome_at": pa.Column("datetime64[us]"),
        "defaulted": pa.Column("float64", pa.Check.isin([0.0, 1.0]), nullable=True),
        "known_at": pa.Column("datetime64[us]"),
    },
    checks=[
        pa.Check(lambda f: f["known_at"] <= f["time"] + pd.Timedelta(days=1), error="everything in a row was known on the decision's date"),
        pa.Check(lambda f: f["outcome_at"] > f["time"], error="the outcome became known after the decision"),
        pa.Check(lambda f: f.set_index(["entity", "time"]).index.is_monotonic_increasing, error="sorted by entity and time"),
    ],
    index=pa.Index("int64"),
    strict=True,
    ordered=True,
)


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself where it is a raw frame of loans; raises `DataError` with the first cases where it is not."""
    try:
        return LOANS.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "index", "failure_case"]].head(5).to_dict("records")
        raise DataError(f"not a raw frame of loans: {cases}: give the columns {', '.join(COLUMNS)}, one row an application") from error


def known_by(frame: pd.DataFrame, at: np.datetime64 | pd.Timestamp) -> pd.DataFrame:
    """What a lender had on file at a moment: rows known by then, with outcomes that came later taken out.

    Cutting rows alone would leave each row's outcome in it, a year before anybody knew.
    """
    early = frame[frame["known_at"] <= at].reset_index(drop=True)
    early.loc[early["outcome_at"] > at, "defaulted"] = np.nan
    return early
