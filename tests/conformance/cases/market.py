"""Two assets with bars and one with closes alone, whose volatility clusters and whose returns correlate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from finml_models.datasets.market.clean import clean

LONGEST_HISTORY = 160
"""Sessions that are enough for every use case of market data."""


def raw(sessions: int = 1000, seed: int = 7) -> pd.DataFrame:
    """A raw market frame."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2010-01-04", periods=sessions).astype("datetime64[us]")
    frames = []
    market = np.random.default_rng(seed + 1).standard_normal(sessions)
    for number, name in enumerate(("ALPHA", "BETA", "GAMMA")):
        shocks = 0.6 * market + 0.8 * rng.standard_normal(sessions)
        log_variance = np.empty(sessions)
        log_variance[0] = -9.0
        for t in range(1, sessions):
            log_variance[t] = -9.0 + 0.97 * (log_variance[t - 1] + 9.0) + 0.2 * rng.standard_normal()
        close = 100 * np.exp(np.cumsum(np.exp(log_variance / 2) * shocks))
        opened = close * np.exp(0.3 * np.exp(log_variance / 2) * rng.standard_normal(sessions))
        spread = np.exp(np.abs(0.5 * np.exp(log_variance / 2) * rng.standard_normal(sessions)))
        bars = number < 2
        frames.append(
            pd.DataFrame(
                {
                    "entity": name,
                    "time": days,
                    "open": opened if bars else np.nan,
                    "high": np.maximum(opened, close) * spread if bars else np.nan,
                    "low": np.minimum(opened, close) / spread if bars else np.nan,
                    "close": close,
                    "volume": np.nan,
                }
            )
        )
    return clean(pd.concat(frames, ignore_index=True))[0]


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The newest sessions of each asset as a client would send them."""
    rows = frame.groupby("entity").tail(sessions or LONGEST_HISTORY).drop(columns="known_at").astype({"time": str}).to_dict("records")
    return {"rows": [{name: value for name, value in row.items() if value == value} for row in rows]}  # noqa: PLR0124  (NaN is not sent)


def wild(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose newest row lies far outside what training saw."""
    *rows, last = body["rows"]
    return {"rows": [*rows, {**last, **{name: last[name] * 5 for name in ("open", "high", "low", "close") if name in last}}]}
