"""Some months of simulated card transactions, the newest of them without a label yet."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd

from finml_models.datasets.transactions.synthetic import generate
from finml_models.datasets.transactions.vocabulary import TERMINAL

LONGEST_HISTORY = 100
"""Transactions of an account that are enough."""


@cache
def raw() -> pd.DataFrame:
    """A raw frame of transactions; callers must not change it."""
    return generate(seed=4, accounts=160, days=170).frame


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The newest transactions of four accounts that have many, and all those of one that has few."""
    sizes = frame["entity"].value_counts(sort=False)
    many, few = sizes[sizes > 110].index[:4], sizes[sizes < 60].index[:1]
    rows = frame[frame["entity"].isin([*many, *few])].groupby("entity").tail(sessions or LONGEST_HISTORY)
    rows = rows.drop(columns=["reported_at", "fraud", "known_at"]).assign(time=rows["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    records = rows.astype(dict.fromkeys(TERMINAL, "int64")).to_dict("records")
    return {"rows": [{name: value for name, value in row.items() if value == value} for row in records]}  # noqa: PLR0124  (NaN is not sent)


def wild(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose last transaction lies far outside what training saw."""
    *rows, last = body["rows"]
    return {"rows": [*rows, {**last, "amount": 5e6}]}
