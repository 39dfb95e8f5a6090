"""The primary metric in parts of the scored rows: calendar years, entities, and regimes that were known at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .document import Slice
from .metrics import metric
from .scores import KEY, Scores

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["regime", "year", "entity"]
MOST_ENTITIES = 200
THIRDS = ("lowest third", "middle third", "highest third")


def by_part(scores: Scores, entry: str, against: str, measure: str, *, forecast: DataFrame) -> tuple[Slice, ...]:
    """Regimes, where there are point forecasts to tell them by, years, and entities, where they are few enough to be read.

    `forecast` holds the predictions that divide the rows into regimes: those of the best baseline. A part in which a metric
    cannot be computed is left out.
    """
    entities = scores.rows.frame["entity"].to_numpy().astype(str)
    year = scores.rows.frame["time"].dt.year.to_numpy()
    parts: list[tuple[Kind, str, NDArray[np.bool_]]] = []
    if "point" in forecast.columns:
        third = thirds(forecast)
        parts += [("regime", name, third == place) for place, name in enumerate(THIRDS)]
    parts += [("year", str(name), year == name) for name in np.unique(year)]
    names = np.unique(entities)
    parts += [("entity", str(name), entities == name) for name in names] if len(names) <= MOST_ENTITIES else []
    found, more_is_better = [], metric(measure).lower_is_better is False
    for by, name, rows in parts:
        ours, theirs = (scores[who].value_of(measure, rows) if rows.any() else None for who in (entry, against))
        if ours is not None and theirs is not None:
            found.append(Slice(by=by, name=name, value=ours, baseline_value=theirs, n=int(rows.sum()), higher_is_better=more_is_better))
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
