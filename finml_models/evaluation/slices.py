"""The primary metric in parts of the scored rows: calendar years, entities, and regimes that were known at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .document import Slice
from .scores import KEY, Scores

if TYPE_CHECKING:
    from pandas import DataFrame

THIRDS = ("lowest third", "middle third", "highest third")


def by_part(scores: Scores, entry: str, against: str, measure: str, *, forecast: DataFrame) -> tuple[Slice, ...]:
    """Regimes, years and entities. Years average the dates' means; the others average their own rows.

    `forecast` holds the predictions that divide the rows into regimes: those of the best baseline.
    """
    daily = np.stack([scores.by_date(name, measure) for name in (entry, against)], axis=1)
    rowwise = np.stack([scores.rowwise(name, measure) for name in (entry, against)], axis=1)
    entities = scores.rows["entity"].to_numpy().astype(str)
    row_years = scores.rows["time"].dt.year.to_numpy()
    third = thirds(forecast)
    found: list[Slice] = []
    for place, name in enumerate(THIRDS):
        if (chosen := third == place).any():
            ours, theirs = rowwise[chosen].mean(axis=0)
            found.append(Slice(by="regime", name=name, value=float(ours), baseline_value=float(theirs), n=int(chosen.sum())))
    for year in np.unique(of_date := years(scores)):
        ours, theirs = daily[of_date == year].mean(axis=0)
        found.append(Slice(by="year", name=str(year), value=float(ours), baseline_value=float(theirs), n=int((row_years == year).sum())))
    for entity in np.unique(entities):
        ours, theirs = rowwise[chosen := entities == entity].mean(axis=0)
        found.append(Slice(by="entity", name=str(entity), value=float(ours), baseline_value=float(theirs), n=int(chosen.sum())))
    return tuple(found)


def thirds(forecast: DataFrame) -> NDArray[np.int64]:
    """(rows,) 0, 1 or 2: the third of its own entity and horizon that a row's forecast lies in; -1 where the forecast never moves.

    Forecasts of several seeds are averaged. The bounds are those of the whole scored period: they divide rows for a
    table after the fact, and no prediction sees them.
    """
    point = forecast[[*KEY, "point"]].groupby(KEY).mean().reset_index().sort_values(by=KEY, ignore_index=True)
    groups = point.groupby(["entity", "horizon"])["point"]
    share = groups.rank(method="average", pct=True).to_numpy()
    still = (groups.transform("max") == groups.transform("min")).to_numpy()
    return np.where(still, -1, np.minimum((share * 3).astype(np.int64), 2))


def years(scores: Scores) -> NDArray[np.int64]:
    """(dates,) the calendar year of each scored date."""
    return scores.dates().astype("datetime64[Y]").astype(np.int64) + 1970
