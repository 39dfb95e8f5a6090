"""Volatility forecasting: realised variance over the next 1, 5 and 22 sessions, from realised variances, daily bars or closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CoverageGuard, Explainable, Gate, LeakAlarm, SeedGuard, Task, WalkForward, WorstSliceGuard

from ._market import PROXIES, AssetVolatility, HorizonVolatility, MarketRequest, VolatilityResponse, request_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Table, Windows
    from finml_models.core.predictions import Forecast

DAY, WEEK, MONTH = 1, 5, 22
TRADING_DAYS = 252
FEATURES = ("log_var_d", "log_var_w", "log_var_m", "return_d", "return_scaled", "falls_w", "proxy")


class VolatilityForecasting(Task):
    """log of the mean daily variance over the next 1, 5 and 22 sessions, as a distribution.

    The variance is that of the asset's proxy: realised variances, where the data have them, are of the session alone.
    """

    name = "Volatility forecasting"
    description = (
        "Returns and daily variance, realised from intraday returns where the data have it and else from the range, at daily, weekly and "
        "monthly scale in; the distribution of log realised variance over the next 1, 5 and 22 sessions out. Scored by QLIKE on the "
        "variance, which ranks forecasts rightly although the proxy is noisy (Patton 2011). HAR is hard to beat: a tie is a good result."
    )
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.WINDOWS, Kind.TABLE)
    horizons = (DAY, WEEK, MONTH)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    history = 66
    split = WalkForward(folds=3)
    metrics = ("qlike", "log_variance_mse", "pinball", "coverage")
    baselines = ("last_value", "historical_mean", "ewma", "log_har", "garch")
    gate = Gate(
        version="volatility_forecasting/3",
        naive=("last_value", "historical_mean"),
        margin=0.02,
        coverage=CoverageGuard(level=0.9, within=0.03, by_horizon=0.05),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        # So far below the best expert, look for the leak before the champagne.
        leak_alarm=LeakAlarm(improvement=0.4),
    )
    request = MarketRequest
    response = VolatilityResponse

    def features(self, raw: DataFrame) -> DataFrame:
        """Log variance over a day, a week and a month, returns, the share of variance that came from falls, and the proxy that measured it."""
        import numpy as np
        import pandas as pd

        from finml_models.datasets.market.panel import Panel
        from finml_models.datasets.market.variance import daily_variance, log_returns, proxy, trailing_mean

        panel = Panel.of(raw)
        variance, returns = daily_variance(panel), log_returns(panel.dense("close"))
        squared = returns**2
        falls = np.where(returns < 0, squared, 0.0)
        falls[np.isnan(returns)] = np.nan
        month = trailing_mean(variance, MONTH)
        with np.errstate(divide="ignore", invalid="ignore"):
            week_squared = trailing_mean(squared, WEEK)
            columns = {
                "log_var_d": np.log(variance),
                "log_var_w": np.log(trailing_mean(variance, WEEK)),
                "log_var_m": np.log(month),
                "return_d": returns,
                "return_scaled": np.clip(returns / np.sqrt(month), -10, 10),
                # A week without any move has no falls either: half is what an average week has.
                "falls_w": np.where(week_squared > 0, trailing_mean(falls, WEEK) / week_squared, np.where(np.isnan(week_squared), np.nan, 0.5)),
                "proxy": proxy(panel),
            }
        frame = raw[["entity", "time"]].reset_index(drop=True)
        return pd.concat([frame, pd.DataFrame({name: panel.long(columns[name]) for name in FEATURES})], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """Log of the mean daily variance over the next h sessions of the asset's own clock."""
        import numpy as np

        from finml_models.datasets.market.panel import Panel
        from finml_models.datasets.market.variance import daily_variance, leading_mean

        panel = Panel.of(raw)
        variance = daily_variance(panel)
        frame = raw[["entity", "time"]].reset_index(drop=True)
        until = np.full(panel.times.shape, np.datetime64("NaT"), dtype=panel.times.dtype)
        until[:, : -max(self.horizons)] = panel.times[:, max(self.horizons) :]
        frame["until"] = panel.long(until)
        for horizon in self.horizons:
            frame[f"h{horizon}"] = np.log(panel.long(leading_mean(variance, horizon)))
        return frame

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """`windows` or `table` of the rows that have a whole history (and, with `y`, a whole future)."""
        return {Kind.WINDOWS: self.windows, Kind.TABLE: self.table}[kind](x, y)

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The last 44 rows of features of each asset; the 22 sessions before them went into the first monthly mean."""
        import numpy as np

        from finml_models.core.batches import Windows
        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(x)
        rows = self._rows(x, y)
        cells = np.argsort(panel.row, axis=None)[-len(x) :]
        series, position = np.unravel_index(cells, panel.row.shape)
        # Warm-up rows are NaN and never inside a window that starts after them; zeros keep them out of arithmetic.
        values = np.nan_to_num(np.stack([panel.dense(name) for name in FEATURES], axis=-1, dtype=np.float32))
        return Windows(
            panel=values, times=panel.times, entities=panel.entities, series=series[rows], end=position[rows], length=self.history - MONTH, **_labels(y, rows)
        )

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """The newest features of each row, the monthly ones reaching 22 sessions back."""
        import numpy as np

        from finml_models.core.batches import Table

        rows = self._rows(x, y)
        return Table(
            values=x[list(FEATURES)].to_numpy(np.float32)[rows],
            columns=FEATURES,
            times=x["time"].to_numpy()[rows],
            entities=x["entity"].to_numpy(dtype=np.str_)[rows],
            **_labels(y, rows),
        )

    def signature(self, batch: Batch) -> Signature:
        """Names, horizons and levels; QLIKE as the loss of the point."""
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=FEATURES,
            horizons=self.horizons,
            levels=self.levels,
            length=getattr(batch, "length", 0),
            loss="qlike",
        )

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data, each asset with a whole history."""
        return request_frame(request, history=self.history)

    def respond(
        self, batch: Batch, forecast: Forecast, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> VolatilityResponse:
        """Annualised volatility with its interval, an asset and horizon."""
        import numpy as np

        del explain

        volatility = np.sqrt(np.exp(forecast.point.astype(np.float64)) * TRADING_DAYS)
        low, high = (np.sqrt(np.exp(forecast.quantile(level).astype(np.float64)) * TRADING_DAYS) for level in (self.levels[0], self.levels[-1]))
        answers = tuple(
            AssetVolatility(
                entity=str(entity),
                as_of=time.astype("datetime64[D]").item(),
                proxy=PROXIES[int(measured)],
                forecasts=tuple(
                    HorizonVolatility(horizon=h, volatility=volatility[i, j], low=low[i, j], high=high[i, j], variance=volatility[i, j] ** 2 / TRADING_DAYS)
                    for j, h in enumerate(self.horizons)
                ),
            )
            for i, (entity, time, measured) in enumerate(zip(batch.entity, batch.time, batch.inputs[:, FEATURES.index("proxy")], strict=True))
        )
        return VolatilityResponse(version=version, level=round(self.levels[-1] - self.levels[0], 6), assets=answers, warnings=warnings)

    def _rows(self, x: DataFrame, y: DataFrame | None) -> NDArray[np.intp]:
        """Positions of the usable rows, by (time, entity)."""
        import numpy as np

        usable = (x.groupby("entity").cumcount().to_numpy() >= self.history - 1) & np.isfinite(x[list(FEATURES)].to_numpy()).all(axis=1)
        if y is not None:
            usable = usable & np.isfinite(y[[f"h{h}" for h in self.horizons]].to_numpy()).all(axis=1)
        order = np.lexsort((x["entity"].to_numpy(dtype=np.str_), x["time"].to_numpy()))
        return order[usable[order]]


def _labels(y: DataFrame | None, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    import numpy as np

    if y is None:
        return {}
    columns = [f"h{h}" for h in VolatilityForecasting.horizons]
    return {"target": y[columns].to_numpy(np.float32)[rows], "until": y["until"].to_numpy()[rows]}
