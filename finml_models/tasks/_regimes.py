"""The market of a date as features and as rows, and what a client gets: regimes by name, calmest first."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field

from finml_models.core.regimes import regime_names

from ._market import Strict
from ._variance import MONTH, TRADING_DAYS, WEEK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Regimes
    from finml_models.datasets.market.aligned import Aligned

LENGTH = 60
"""Sessions of a window, and of the returns behind a correlation of the graph."""
REFRESH_DAYS = 28
"""Calendar days from one graph to the next."""
NEIGHBOURS, LEAST = 5, 0.26
"""Neighbours that each asset names, and the least |correlation| of an edge: twice the standard error of one of 0 over 60 sessions."""
MARKET = ("market_return", "market_log_var_w", "market_log_var_m", "asset_log_var_w", "log_dispersion_w", "correlation_m")
OWN = ("log_var_w", "log_var_m", "return_d")
NODE = (*OWN, *MARKET)


class Regime(Strict):
    """One regime at the newest session, and what the next session's return is like in it."""

    name: str = Field(description="by order of volatility, from calm to turbulent")
    probability: float = Field(ge=0, le=1, description="given the rows up to `as_of` alone")
    volatility: float = Field(gt=0, description="of the next session's market return in this regime, annualised with 252 sessions")
    mean: float = Field(description="of the next session's market return in this regime, a log return")


class RegimeResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    as_of: date = Field(description="newest session of the rows")
    regime: str = Field(description="name of the likeliest regime")
    regimes: tuple[Regime, ...] = Field(description="calmest first")
    volatility: float = Field(description="of the next session's market return over all regimes, annualised")
    warnings: tuple[str, ...] = ()


def market_features(aligned: Aligned, own: DataFrame) -> dict[str, NDArray[np.float64]]:
    """`MARKET` by name, the same on all rows of a date. An asset is a member from its 22nd return on. Shape: (n,) each."""
    import numpy as np

    from finml_models.datasets.market.whole import dispersion, log_mean, market_return, mean_correlation

    returns, member = aligned.wide(own["return_d"].to_numpy()), aligned.wide(own["log_var_m"].notna().to_numpy())
    # Dates without a member are no sessions of the market.
    held = member.any(axis=1)
    part = returns[held], member[held]
    market = market_return(*part)
    series = {
        "market_return": market,
        "market_log_var_w": log_mean(market**2, WEEK),
        "market_log_var_m": log_mean(market**2, MONTH),
        "asset_log_var_w": market_return(aligned.wide(own["log_var_w"].to_numpy())[held], part[1]),
        "log_dispersion_w": log_mean(dispersion(*part), WEEK),
        "correlation_m": mean_correlation(returns, MONTH)[held],
    }
    found = {}
    for name, values in series.items():
        whole = np.full(len(returns), np.nan)
        whole[held] = values
        found[name] = aligned.long(np.repeat(whole[:, None], returns.shape[1], axis=1))
    return found


def next_return(aligned: Aligned, own: DataFrame) -> tuple[NDArray[np.float64], NDArray[np.datetime64]]:
    """The market's return on its next session and that session's date, on all rows of a date. Shape: (n,) each, NaN and NaT where it is not there yet."""
    import numpy as np

    from finml_models.datasets.market.whole import market_return

    returns, member = aligned.wide(own["return_d"].to_numpy()), aligned.wide(own["log_var_m"].notna().to_numpy())
    held = np.flatnonzero(member.any(axis=1))
    market, day = market_return(returns, member), aligned.cells()[0]
    # Of each date the first session of the market behind it, the number of sessions where there is none.
    place = np.searchsorted(held, day, side="right")
    ahead = np.append(held, len(market))[place]
    return np.append(market, np.nan)[ahead], np.append(aligned.times, np.datetime64("NaT"))[ahead]


def sessions(aligned: Aligned, x: DataFrame, history: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """The market's own sessions: their dates among all (t,), their `MARKET` features (t, f), which can be asked about (t,), and a row of each in `x` (t,)."""
    import numpy as np

    day, _ = aligned.cells()
    values = x[list(MARKET)].to_numpy(np.float32)
    held = np.flatnonzero(np.isfinite(values[:, 0]))
    order = held[np.argsort(day[held], kind="stable")]
    days, first = np.unique(day[order], return_index=True)
    rows = order[first]
    known = np.isfinite(values[rows]).all(axis=1)
    newest = np.cumsum(~known)
    whole = np.arange(len(days)) >= LENGTH - 1
    whole[LENGTH:] &= newest[LENGTH:] == newest[:-LENGTH]
    whole[:LENGTH] &= newest[:LENGTH] == 0
    return days, values[rows], whole & (days >= history - 1), rows


def month_ahead(batch: Batch) -> NDArray[np.float64]:
    """(n,) annualised volatility of the market over the 22 sessions after each row, for scoring alone; NaN where they are not over yet."""
    import numpy as np

    from finml_models.core.graphs import Graphs
    from finml_models.datasets.market.variance import leading_mean

    if isinstance(batch, Graphs):
        held = batch.present.any(axis=1)
        node = batch.present.argmax(axis=1)
        returns = batch.nodes[np.arange(len(node)), node, NODE.index("market_return")][held]
        at = (np.cumsum(held) - 1)[batch.snapshot]
    else:
        returns, at = batch.panel[0, :, 0], batch.end  # type: ignore[attr-defined]
    return np.sqrt(leading_mean(returns.astype(np.float64)[None] ** 2, MONTH)[0][at] * TRADING_DAYS)


def response(batch: Batch, prediction: Regimes, version: str, warnings: tuple[str, ...]) -> RegimeResponse:
    """The regimes of the batch's newest row."""
    import numpy as np

    row = int(np.argmax(batch.time))
    p, mean, std = (values[row].astype(np.float64) for values in (prediction.probabilities, prediction.mean, prediction.std))
    names = regime_names(len(p))
    year = np.sqrt(TRADING_DAYS)
    total = p @ (std**2 + mean**2) - (p @ mean) ** 2
    return RegimeResponse(
        version=version,
        as_of=batch.time[row].astype("datetime64[D]").item(),
        regime=names[int(p.argmax())],
        regimes=tuple(
            Regime(name=name, probability=float(min(p[i], 1.0)), volatility=float(std[i] * year), mean=float(mean[i])) for i, name in enumerate(names)
        ),
        volatility=float(np.sqrt(total) * year),
        warnings=warnings,
    )
