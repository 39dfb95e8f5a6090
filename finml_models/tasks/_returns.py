"""What a forecast of returns is made of: an asset's own features, the market's, the calendar; and what a client gets."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field

from . import _variance
from ._market import Strict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.core.predictions import Forecast
    from finml_models.datasets.market.panel import Panel

MONTH, QUARTER = 22, 60
OWN = ("return_d", "return_scaled", "log_var_d", "log_var_w", "log_var_m", "falls_w", "range_scaled", "volume_scaled", "momentum_m", "momentum_q")
MARKET = ("market_return_d", "market_log_var_w")
FEATURES = (*OWN, *MARKET)
STATIC = ("has_bars", "has_realised", "has_volume")
"""What the source gives of an asset, by its first row: known on every later day, and no statistic of any sample."""
CALENDAR = ("week_sin", "week_cos", "month_sin", "month_cos", "year_sin", "year_cos")


class ReturnQuantile(Strict):
    """The log return that is not exceeded with probability `level`."""

    level: float
    value: float


class HorizonReturn(Strict):
    """One horizon's distribution of the log return, close to close."""

    horizon: int = Field(description="sessions ahead")
    point: float = Field(description="expected log return; seldom better than 0, so read the quantiles first")
    low: float
    high: float
    quantiles: tuple[ReturnQuantile, ...]


class AssetReturns(Strict):
    """Forecasts of one asset from its newest row."""

    entity: str
    as_of: date = Field(description="session of the newest input row")
    forecasts: tuple[HorizonReturn, ...]


class PriceResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    level: float = Field(description="nominal probability of the interval from low to high")
    assets: tuple[AssetReturns, ...]
    warnings: tuple[str, ...] = ()


def own_features(panel: Panel) -> dict[str, NDArray[np.float64]]:
    """`OWN` and `STATIC` by name; (series, time) each, on the series' own clock. 0 stands for a range or volume that is not there."""
    import numpy as np

    from finml_models.datasets.market.variance import BARS, REALISED, proxy, trailing_mean

    found = _variance.own_features(panel)
    month = np.sqrt(np.exp(found["log_var_m"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(panel.dense("high") / panel.dense("low")) / month
        volume = panel.dense("volume")
        busy = np.log(volume) - np.log(trailing_mean(volume, MONTH))
    measured = proxy(panel)
    # The first row speaks for the whole series: a later one would let the future say what was known.
    first = {
        "has_bars": np.isfinite(panel.dense("open")[:, :1]) | (measured[:, :1] == BARS),
        "has_realised": measured[:, :1] == REALISED,
        "has_volume": np.isfinite(panel.dense("volume")[:, :1]),
    }
    return {
        **{name: found[name] for name in OWN if name in found},
        "range_scaled": np.where(np.isfinite(spread), np.clip(spread, 0, 10), 0.0),
        "volume_scaled": np.where(np.isfinite(busy), np.clip(busy, -5, 5), 0.0),
        **{name: np.clip(_run(found["return_d"], days) / month, -10, 10) for name, days in (("momentum_m", MONTH), ("momentum_q", QUARTER))},
        **{name: np.broadcast_to(held, panel.row.shape).astype(np.float64) for name, held in first.items()},
    }


def market_features(panel: Panel, own: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """`MARKET`: means over the assets that have a return on the date, the asset itself among them. Shape: (n,) in the frame's order."""
    import bottleneck as bn
    import numpy as np

    from finml_models.datasets.market.aligned import Aligned

    aligned = Aligned.of(panel)
    found = {}
    for name, source in zip(MARKET, ("return_d", "log_var_w"), strict=True):
        values = aligned.wide(panel.long(own[source]))
        # Bottleneck sums in order, so assets that come later, still NaN, leave the bits of a mean alone.
        mean = bn.nanmean(values, axis=1)
        found[name] = aligned.long(np.repeat(mean[:, None], values.shape[1], axis=1))
    return found


def log_return_ahead(raw: DataFrame, horizons: tuple[int, ...]) -> DataFrame:
    """Log return from each close to that h sessions later, on the asset's own clock. Columns entity, time, until, h<horizon>…"""
    import numpy as np

    from finml_models.datasets.market.panel import Panel

    panel = Panel.of(raw)
    price = np.log(panel.dense("close"))
    frame = raw[["entity", "time"]].reset_index(drop=True)
    until = np.full(panel.times.shape, np.datetime64("NaT"), dtype=panel.times.dtype)
    until[:, : -max(horizons)] = panel.times[:, max(horizons) :]
    frame["until"] = panel.long(until)
    for horizon in horizons:
        ahead = np.full_like(price, np.nan)
        ahead[:, :-horizon] = price[:, horizon:] - price[:, :-horizon]
        frame[f"h{horizon}"] = panel.long(ahead)
    return frame


def calendar_of(times: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """`CALENDAR` of dates: the place in the week, month and year as points of a circle. Shape: (...) -> (..., 6)."""
    import numpy as np

    day = times.astype("datetime64[D]")
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    # 1970-01-01 was a Thursday. A market week has five days; a weekend session stands at its end.
    weekday = (day.astype(np.int64) + 3) % 7
    shares = (
        np.minimum(weekday, 5) / 5,
        _share(day, month, month + np.timedelta64(1, "M")),
        _share(day, year, year + np.timedelta64(1, "Y")),
    )
    angles = [2 * np.pi * share for share in shares]
    return np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=-1).astype(np.float32)


def answers(forecast: Forecast, horizons: tuple[int, ...]) -> list[tuple[HorizonReturn, ...]]:
    """Each row's forecasts, with the interval between the outermost levels."""
    point, quantiles = forecast.point.astype(float), forecast.quantiles.astype(float)
    return [
        tuple(
            HorizonReturn(
                horizon=h,
                point=point[i, j],
                low=quantiles[i, j, 0],
                high=quantiles[i, j, -1],
                quantiles=tuple(ReturnQuantile(level=level, value=value) for level, value in zip(forecast.levels, quantiles[i, j], strict=True)),
            )
            for j, h in enumerate(horizons)
        )
        for i in range(len(forecast))
    ]


def _run(returns: NDArray[np.float64], days: int) -> NDArray[np.float64]:
    """Sum of the last `days` returns in units of their random walk: divided by sqrt(days)."""
    from finml_models.datasets.market.variance import trailing_mean

    summed: NDArray[np.float64] = trailing_mean(returns, days) * days**0.5
    return summed


def _share(day: NDArray[np.datetime64], begin: NDArray[np.datetime64], end: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """How much of a period from `begin` to `end` lies before a day, in [0, 1)."""
    import numpy as np

    start = begin.astype("datetime64[D]")
    length = (end.astype("datetime64[D]") - start).astype(np.float64)
    past: NDArray[np.float64] = (day - start).astype(np.float64) / length
    return past
