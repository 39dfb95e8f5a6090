"""The graph of cross-asset effects, and what a client gets: forecasts of every asset, and the neighbours that they read."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field

from finml_models.core.errors import DataError

from ._market import HorizonVolatility, Proxy, Strict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.core.graphs import Edges, Graphs
    from finml_models.datasets.market.aligned import Aligned

WINDOW = 120
"""Sessions of returns behind a correlation, half a year: the standard error of a correlation of 0 is then 0.09."""
REFRESH_DAYS = 28
"""Calendar days from one graph to the next: four weeks, 20 sessions of an exchange that closes at weekends."""
NEIGHBOURS = 5
"""Neighbours that each asset names. The graph is undirected: an asset that many name has more."""
LEAST = 0.2
"""Least |correlation| of an edge, twice the standard error: an asset that moves with nobody stands alone."""


class Neighbour(Strict):
    """An edge of the graph that the forecast was made on."""

    entity: str
    correlation: float = Field(ge=-1, le=1, description="of daily log returns over the 120 sessions up to `graph_as_of`")


class AssetEffects(Strict):
    """Forecasts of one asset from its newest row, and its neighbours on that day."""

    entity: str
    as_of: date = Field(description="session of the newest input row")
    proxy: Proxy = Field(description="what a day's variance is measured by: closes and bars reach from close to close, realised is the session alone")
    forecasts: tuple[HorizonVolatility, ...]
    graph_as_of: date | None = Field(None, description="newest session that went into the graph; null from a model that reads no graph")
    neighbours: tuple[Neighbour, ...] = Field((), description="the asset's edges, strongest first")


class CrossAssetResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    level: float = Field(description="nominal probability of the interval from low to high")
    assets: tuple[AssetEffects, ...]
    warnings: tuple[str, ...] = ()


def graphs_of(returns: NDArray[np.float64], times: NDArray[np.datetime64]) -> tuple[Edges, NDArray[np.int64]]:
    """The use case's graphs, and the number of each date's; see `correlation_graphs`."""
    from finml_models.datasets.market.correlation import correlation_graphs

    return correlation_graphs(returns, times, window=WINDOW, refresh_days=REFRESH_DAYS, neighbours=NEIGHBOURS, least=LEAST)


def averages(aligned: Aligned, own: DataFrame, usable: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """`MARKET` and `NEAR` features of the rows of `own`, over the assets that are usable on the day.

    The market's are plain means; the neighbours' are weighted by |correlation| and stand for a sector, which prices do not name.
    Shape: (n,) each.
    """
    import bottleneck as bn
    import numpy as np

    from finml_models.datasets.market.correlation import neighbour_mean

    present = aligned.wide(usable)
    edges, graph = graphs_of(aligned.wide(own["return_d"].to_numpy()), aligned.times)
    found = {}
    for name in ("log_var_d", "log_var_w", "log_var_m", "return_d"):
        values = aligned.wide(own[name].to_numpy())
        # Bottleneck sums in order, so assets that come later, still NaN, leave the bits of a mean alone.
        mean = bn.nanmean(np.where(present, values, np.nan), axis=1)
        found[f"market_{name}"] = aligned.long(np.repeat(mean[:, None], values.shape[1], axis=1))
        if name != "return_d":
            found[f"near_{name}"] = aligned.long(neighbour_mean(values, present, edges, graph))
    return found


def check_one_date(rows: DataFrame, *, least: int = 2) -> DataFrame:
    """The rows themselves; `DataError` for fewer than `least` assets, and for assets whose newest rows are not of one session."""
    newest = rows.groupby("entity")["time"].max()
    if len(newest) < least:
        raise DataError(f"rows: a graph needs at least {least} assets, the request has 1 ({newest.index[0]}): send the rows of others on the same dates")
    if len(behind := newest[newest < newest.max()]):
        raise DataError(
            f"rows: {len(behind)} of {len(newest)} assets end before the newest session, {newest.max():%Y-%m-%d} ({behind.index[0]} on "
            f"{behind.iloc[0]:%Y-%m-%d}): a graph is of one day; send their newer rows or leave them out"
        )
    return rows


def neighbours_of(batch: Graphs, row: int) -> tuple[Neighbour, ...]:
    """The edges of a row's node to nodes that are present on its day, the largest |correlation| first."""
    import numpy as np

    snapshot, node = batch.snapshot[row], batch.node[row]
    source, target, weight = batch.edges.of(int(batch.graph[snapshot]))
    mine = np.flatnonzero((target == node) & batch.present[snapshot][source])
    order = mine[np.argsort(-np.abs(weight[mine]), kind="stable")]
    return tuple(Neighbour(entity=str(batch.entities[source[i]]), correlation=float(weight[i])) for i in order)
