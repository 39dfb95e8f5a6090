"""The small market with many faults: what a use case reads that takes the faulted dataset instead of its kind's default."""

from __future__ import annotations

from typing import Any

import pandas as pd
from cases import market

from finml_models.datasets.market.faults import inject

wild = market.wild


def raw() -> pd.DataFrame:
    """A raw market frame with labels."""
    return inject(market.raw(), seed=2, every=50)


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The newest sessions of each asset as a client would send them, who knows of no label."""
    return market.request(frame.drop(columns="anomaly"), sessions)
