"""Features of a session against its asset's own recent past, and what a client is answered about it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ._market import Strict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.datasets.market.aligned import Aligned
    from finml_models.datasets.market.panel import Panel

MEMORY = 60
"""Sessions before a session that say what is usual for its asset."""
FEATURES = ("return", "market_return", "market_distance", "volume", "range", "repeats")
ALONE = "{entity}: no other asset of the request has its newest session, so that nothing can be said of its distance to the market"
LEAST_SCALE = 1e-4
"""A move of one basis point: the usual move of an asset whose price stood still."""


class AssetAnomaly(Strict):
    """The newest session of one asset. `alarm` is `score` above `threshold`."""

    entity: str
    as_of: date = Field(description="session of the newest input row, which the score is about")
    score: float = Field(description="higher is stranger; comparable within a version alone")
    threshold: float = Field(description="exceeded on training rows as often as one false alarm a week over all training assets allows")
    alarm: bool


class AnomalyResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    assets: tuple[AssetAnomaly, ...]
    warnings: tuple[str, ...] = ()


def session_features(panel: Panel) -> dict[str, NDArray[np.float64]]:
    """`FEATURES` by name, (series, time) each, on the series' own clock; NaN before there is a past to compare with.

    - `return`: log return in units of the asset's usual absolute return.
    - `market_return`: mean return of the other assets on that date, in the same units; 0 where there is no other.
    - `market_distance`: return less market return, in units of the usual absolute distance.
    - `volume`: log of the volume over its median, in units of its usual distance from it; of an asset without volume that of the
      others on that date, and 0 where none has any: a column that is 0 for most would make the few look strange.
    - `range`: the true range (Wilder, New Concepts in Technical Trading Systems, 1978) in units of the usual one; of closes the move.
    - `repeats`: log of the sessions in a row that closed where the one before did; 0 for one, as ticks are coarse and that happens.

    The usual is the median of the 60 sessions before: faults among them hardly move it. All but the last are asinh of their
    ratio, which is linear for the usual and logarithmic for the monstrous, so that no spike drowns all else.
    """
    import numpy as np

    from finml_models.datasets.market.aligned import Aligned
    from finml_models.datasets.market.variance import log_returns

    close, volume, high, low = (panel.dense(name) for name in ("close", "volume", "high", "low"))
    aligned, returns = Aligned.of(panel), log_returns(close)
    others = _others(aligned, returns)
    usual, distance = _usual(np.abs(returns)), returns - others
    last = np.concatenate([np.full((len(close), 1), np.nan), close[:, :-1]], axis=1)
    spread = np.log(np.fmax(np.fmax(high, close), last) / np.fmin(np.fmin(low, close), last))
    traded = np.log(np.where(volume > 0, volume, np.nan))
    traded -= _before(traded)
    traded = np.arcsinh(traded / _usual(np.abs(traded)))
    return {
        "return": np.arcsinh(returns / usual),
        "market_return": np.arcsinh(others / usual),
        "market_distance": np.arcsinh(distance / _usual(np.abs(distance))),
        "volume": np.where(np.isnan(traded), _others(aligned, traded), traded),
        "range": np.arcsinh(spread / _usual(spread)),
        "repeats": np.log(np.maximum(_repeats(returns), 1)),
    }


def anomalous(raw: DataFrame) -> DataFrame:
    """Columns entity, time, until, anomaly: the label of each row, about that row alone and known with it; NaN where nobody said.

    `DataError` where no row says: scores can be computed of such data, and not judged.
    """
    import numpy as np

    from finml_models.core.errors import DataError

    if "anomaly" not in raw.columns:
        raise DataError(
            "column `anomaly` is missing: rows without labels can be scored and not judged. Add it (0 for an ordinary session, 1 for an anomalous one), "
            "or let faults be put into the rows with `faults = {}` in the dataset's settings"
        )
    frame = raw[["entity", "time"]].reset_index(drop=True)
    label = raw["anomaly"].to_numpy(np.float64)
    frame["until"] = raw["time"].where(~np.isnan(label)).to_numpy()
    frame["anomaly"] = label
    return frame


def rows_of(x: DataFrame, y: DataFrame | None, history: int) -> NDArray[np.intp]:
    """Positions of the rows with a whole history and defined features, with `y` of those that have a label, by (time, entity)."""
    import numpy as np

    usable = (x.groupby("entity").cumcount().to_numpy() >= history - 1) & np.isfinite(x[list(FEATURES)].to_numpy()).all(axis=1)
    if y is not None:
        usable &= y["anomaly"].notna().to_numpy()
    order = np.lexsort((x["entity"].to_numpy(dtype=np.str_), x["time"].to_numpy()))
    return order[usable[order]]


def labels(y: DataFrame | None, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """The fields `target` and `until` of a batch of these rows; none without `y`."""
    import numpy as np

    return {} if y is None else {"target": y[["anomaly"]].to_numpy(np.float32)[rows], "until": y["until"].to_numpy()[rows]}


def _usual(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median size of the sessions before each one, and no less than `LEAST_SCALE`."""
    import numpy as np

    return np.maximum(_before(size), LEAST_SCALE)


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the `MEMORY` values before each one; NaN where one of them is missing."""
    import bottleneck as bn
    import numpy as np

    out = np.full_like(values, np.nan)
    if values.shape[1] > MEMORY:
        out[:, 1:] = bn.move_median(values, window=MEMORY, min_count=MEMORY, axis=1)[:, :-1]
    return out


def _repeats(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sessions in a row without a change of the close, up to and with each one. Shape: (series, time)."""
    import numpy as np

    position = np.broadcast_to(np.arange(returns.shape[1]), returns.shape)
    moved = np.maximum.accumulate(np.where(returns == 0, 0, position), axis=1)
    return np.where(np.isnan(returns), np.nan, position - moved).astype(np.float64)


def _others(aligned: Aligned, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the other series' values on each date, 0 where none has one; NaN where padded. Shape: (series, time)."""
    import numpy as np

    wide = aligned.wide(aligned.panel.long(values))
    there = np.isfinite(wide)
    filled = np.where(there, wide, 0.0)
    others = there.sum(axis=1, keepdims=True) - there
    mean = (filled.sum(axis=1, keepdims=True) - filled) / np.maximum(others, 1)
    row = aligned.panel.row
    # The sum of all less one's own is not exactly 0 where there is no other.
    long = np.append(aligned.long(np.where(others > 0, mean, 0.0)), np.nan)
    return np.asarray(long[row])  # -1 picks the NaN at the end
