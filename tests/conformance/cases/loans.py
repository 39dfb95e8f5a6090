"""Six years of simulated loans, the newest of them without an outcome yet."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd

from finml_models.datasets.loans.synthetic import generate

WHOLE = {
    "term_months",
    "months_on_book",
    "delinquencies_24m",
    "months_since_delinquency",
    "inquiries_6m",
    "credit_history_months",
    "open_accounts",
    "overdraft_days_12m",
}


@cache
def raw() -> pd.DataFrame:
    """A raw frame of loans; callers must not change it."""
    return generate(seed=5, loans=6_000, months=72).frame


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The newest applications as a client would send them; each is one row, so `sessions` means nothing here."""
    del sessions
    newest = frame.tail(12).drop(columns=["outcome_at", "defaulted", "known_at"]).astype({"time": str}).to_dict("records")
    return {"rows": [{name: int(value) if name in WHOLE else value for name, value in row.items() if value == value} for row in newest]}  # noqa: PLR0124  (NaN is not sent)


def wild(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose last applicant lies far outside what training saw."""
    *rows, last = body["rows"]
    return {"rows": [*rows, {**last, "income": 5e7, "utilisation": 6.0}]}
