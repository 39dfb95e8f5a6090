"""What the use cases about variance share: an asset's own features, the log variance ahead, and answers in volatility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.core.batches import Table
    from finml_models.core.predictions import Forecast
    from finml_models.datasets.market.panel import Panel

DAY, WEEK, MONTH = 1, 5, 22
TRADING_DAYS = 252
FEATURES = ("log_var_d", "log_var_w", "log_var_m", "return_d", "return_scaled", "falls_w", "proxy")


def own_features(panel: Panel) -> dict[str, NDArray[np.float64]]:
    """`FEATURES` by name: log variance over a day, a week and a month, returns, the share of variance that came from falls, and the proxy.

    Shape: (series, time) each, on the series' own clock.
    """
    import numpy as np

    from finml_models.datasets.market.variance import days, trailing_mean

    measured = days(panel)
    variance, returns, squared = measured.variance, measured.returns, measured.squared
    falls = np.where(returns < 0, squared, 0.0)
    falls[np.isnan(returns)] = np.nan
    month = trailing_mean(variance, MONTH)
    with np.errstate(divide="ignore", invalid="ignore"):
        week_squared = trailing_mean(squared, WEEK)
        return {
            "log_var_d": np.log(variance),
            "log_var_w": np.log(trailing_mean(variance, WEEK)),
            "log_var_m": np.log(month),
            "return_d": returns,
            "return_scaled": np.clip(returns / np.sqrt(month), -10, 10),
            # A week without any move has no falls either: half is what an average week has.
            "falls_w": np.where(week_squared > 0, trailing_mean(falls, WEEK) / week_squared, np.where(np.isnan(week_squared), np.nan, 0.5)),
            "proxy": measured.proxy,
        }


def log_variance_ahead(raw: DataFrame, horizons: tuple[int, ...]) -> DataFrame:
    """Log of the mean daily variance over the next h sessions of the asset's own clock. Columns entity, time, until, h<horizon>…"""
    import numpy as np

    from finml_models.datasets.market.panel import Panel
    from finml_models.datasets.market.variance import daily_variance, leading_mean

    panel = Panel.of(raw)
    variance = daily_variance(panel)
    frame = raw[["entity", "time"]].reset_index(drop=True)
    until = np.full(panel.times.shape, np.datetime64("NaT"), dtype=panel.times.dtype)
    until[:, : -max(horizons)] = panel.times[:, max(horizons) :]
    frame["until"] = panel.long(until)
    for horizon in horizons:
        frame[f"h{horizon}"] = np.log(panel.long(leading_mean(variance, horizon)))
    return frame


def with_history(x: DataFrame, columns: tuple[str, ...], history: int) -> NDArray[np.bool_]:
    """Rows with `history` rows of their asset behind them, themselves included, and no undefined feature. Shape: (n,)."""
    import numpy as np

    return (x.groupby("entity").cumcount().to_numpy() >= history - 1) & np.isfinite(x[list(columns)].to_numpy()).all(axis=1)


def side_by_side(columns: Mapping[str, NDArray[np.float64]], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Columns (series, time) by name as one array. Shape: (series, time, names)."""
    import numpy as np

    found = np.empty((*columns[names[0]].shape, len(names)))
    for position, name in enumerate(names):
        found[..., position] = columns[name]
    return found


def newest_usable(values: NDArray[np.float64], panel: Panel, history: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The assets, and the column of each one's newest row, that have `history` rows behind them and no undefined feature in it; (n,) each.

    Shape: values (series, time, features), which become NaN where the panel is padded.
    """
    import numpy as np

    if panel.in_order and panel.row.shape[1] >= history and np.isfinite(values[:, -1]).all():
        return np.arange(len(values)), np.full(len(values), panel.row.shape[1] - 1)
    values[~panel.mask] = np.nan
    usable = np.isfinite(values).all(axis=-1)
    usable[:, : history - 1] = False
    series = np.flatnonzero(usable.any(axis=1))
    return series, usable.shape[1] - 1 - usable[series, ::-1].argmax(axis=1)


def numbers_alone(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same array, whose every NaN became 0 and every infinity the largest number, as `np.nan_to_num` has it, which takes longer."""
    import numpy as np

    values[np.isnan(values)] = 0
    return values if np.isfinite(values).all() else np.nan_to_num(values)


def view_rows(x: DataFrame, y: DataFrame | None, usable: NDArray[np.bool_], horizons: tuple[int, ...]) -> NDArray[np.intp]:
    """Positions of the usable rows, with `y` of those that have a whole future, by (time, entity)."""
    import numpy as np

    if y is not None:
        usable = usable & np.isfinite(y[[f"h{h}" for h in horizons]].to_numpy()).all(axis=1)
    order = np.lexsort((x["entity"].to_numpy(dtype=np.str_), x["time"].to_numpy()))
    return order[usable[order]]


def labels(y: DataFrame | None, rows: NDArray[np.intp], horizons: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """The fields `target` and `until` of a batch of these rows; none without `y`."""
    import numpy as np

    if y is None:
        return {}
    return {"target": y[[f"h{h}" for h in horizons]].to_numpy(np.float32)[rows], "until": y["until"].to_numpy()[rows]}


def table_of(x: DataFrame, y: DataFrame | None, columns: tuple[str, ...], rows: NDArray[np.intp], horizons: tuple[int, ...]) -> Table:
    """These rows of the features `columns`, with `y` their labels."""
    import numpy as np

    from finml_models.core.batches import Table

    return Table(
        values=x[list(columns)].to_numpy(np.float32)[rows],
        columns=columns,
        times=x["time"].to_numpy()[rows],
        entities=x["entity"].to_numpy(dtype=np.str_)[rows],
        **labels(y, rows, horizons),
    )


def annualised(forecast: Forecast, horizons: tuple[int, ...]) -> list[tuple[dict[str, float], ...]]:
    """Each row's forecasts as annual volatilities, with the interval between the outermost levels: the fields of `HorizonVolatility`."""
    import numpy as np

    logs = np.array([forecast.point, forecast.quantiles[..., 0], forecast.quantiles[..., -1]], np.float64)
    points, lows, highs = np.sqrt(np.exp(logs) * TRADING_DAYS).tolist()
    return [
        tuple(
            {"horizon": h, "volatility": point, "low": low, "high": high, "variance": point**2 / TRADING_DAYS}
            for h, point, low, high in zip(horizons, *row, strict=True)
        )
        for row in zip(points, lows, highs, strict=True)
    ]
