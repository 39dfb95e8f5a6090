"""Market data inside installed packages: `arch` (two indices with volume) and `skfolio` (closes of twenty large caps)."""

from __future__ import annotations

import pandas as pd

FIRST_LARGE_CAP_SESSION = "2005-01-01"
"""Adjusted closes come with three decimals: before, splits and dividends leave so few digits that rounding shows in returns."""


def us_indices() -> pd.DataFrame:
    """Daily bars of the S&P 500 (`SP500`) and the NASDAQ Composite (`NASDAQ`), 1999-2018. Columns as `clean` takes them."""
    from arch.data import nasdaq, sp500

    bars = pd.concat({"SP500": sp500.load(), "NASDAQ": nasdaq.load()}, names=["entity", "time"]).rename(columns=str.lower)
    return bars.drop(columns="adj close").reset_index()


def us_large_caps() -> pd.DataFrame:
    """Adjusted closes of twenty large caps from 2005 on, under their tickers. Columns: entity, time, close."""
    from skfolio.datasets import load_sp500_dataset

    closes = load_sp500_dataset().loc[FIRST_LARGE_CAP_SESSION:]
    return closes.rename_axis("time").reset_index().melt(id_vars="time", var_name="entity", value_name="close")


PARTS = {"us_indices": us_indices, "us_large_caps": us_large_caps}


def read(parts: tuple[str, ...]) -> pd.DataFrame:
    """The rows of some parts, one after another."""
    return pd.concat([PARTS[part]() for part in parts], ignore_index=True)
