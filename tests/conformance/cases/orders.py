"""A few hundred simulated orders."""

from __future__ import annotations

from typing import Any

import pandas as pd

from finml_models.datasets.orders.synthetic import generate


def raw() -> pd.DataFrame:
    """A raw frame of orders."""
    return generate(seed=1, orders=600, days=120).frame


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The last decision of the newest five orders, as a client would ask for it."""
    del sessions
    open_rows = frame[frame["interval"] == frame["intervals"] - 1].sort_values("time").tail(5)
    rows = open_rows.drop(columns="known_at").assign(time=open_rows["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")).to_dict("records")
    return {"rows": rows}


def wild(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose last order meets a spread far outside what training saw."""
    *rows, last = body["rows"]
    return {"rows": [*rows, {**last, "spread_bp": last["spread_bp"] * 100}]}
