"""Volatility forecasting: realised variance over the next 1, 5 and 22 sessions, from realised variances, daily bars or closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CoverageGuard, Explainable, Gate, LeakAlarm, SeedGuard, Task, WalkForward, WorstSliceGuard

from ._market import PROXIES, MarketRequest, VolatilityResponse, read, request_frame, request_panel
from ._realised import VarianceAhead, log_variance, of_forecasts
from ._variance import (
    DAY,
    FEATURES,
    MONTH,
    WEEK,
    annualised,
    labels,
    log_variance_ahead,
    newest_usable,
    numbers_alone,
    own_features,
    side_by_side,
    table_of,
    view_rows,
    with_history,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Table, Windows
    from finml_models.core.predictions import Forecast
    from finml_models.core.realised import Outcomes, Realised


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
    baselines = ("last_value", "historical_mean", "ewma", "log_har", "garch", "dlinear", "nlinear")
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
    outcome = VarianceAhead

    def features(self, raw: DataFrame) -> DataFrame:
        """Log variance over a day, a week and a month, returns, the share of variance that came from falls, and the proxy that measured it."""
        import pandas as pd

        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(raw)
        columns = own_features(panel)
        frame = raw[["entity", "time"]].reset_index(drop=True)
        return pd.concat([frame, pd.DataFrame({name: panel.long(columns[name]) for name in FEATURES})], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """Log of the mean daily variance over the next h sessions of the asset's own clock."""
        return log_variance_ahead(raw, self.horizons)

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
            panel=values,
            times=panel.times,
            entities=panel.entities,
            series=series[rows],
            end=position[rows],
            length=self.history - MONTH,
            **labels(y, rows, self.horizons),
        )

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """The newest features of each row, the monthly ones reaching 22 sessions back."""
        return table_of(x, y, FEATURES, self._rows(x, y), self.horizons)

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

    @classmethod
    def read(cls, body: bytes) -> BaseModel:
        """As columns where each row is plainly valid."""
        return read(body)

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data, each asset with a whole history."""
        return request_frame(request, history=self.history)

    def newest(self, request: BaseModel, kind: Kind) -> tuple[Batch, Mapping[str, np.datetime64]]:
        """What `view` of `features` says of the newest rows, to the bit, without a frame on the way."""
        import numpy as np

        from finml_models.core.batches import Table, Windows

        panel = request_panel(request, history=self.history)
        values = side_by_side(own_features(panel), FEATURES)
        series, end = newest_usable(values, panel, self.history)
        times, entities, values = panel.times, panel.entities, values.astype(np.float32)
        if kind is Kind.TABLE:
            return Table(values[series, end], FEATURES, times[series, end], entities[series]), panel.newest()
        return Windows(numbers_alone(values), times, entities, series, end, self.history - MONTH), panel.newest()

    def respond(
        self, batch: Batch, forecast: Forecast, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> VolatilityResponse:
        """Annualised volatility with its interval, an asset and horizon."""
        del explain
        rows = zip(batch.entity, batch.time, batch.inputs[:, FEATURES.index("proxy")], annualised(forecast, self.horizons), strict=True)
        assets = tuple(
            {"entity": str(entity), "as_of": time.astype("datetime64[D]").item(), "proxy": PROXIES[int(measured)], "forecasts": forecasts}
            for entity, time, measured, forecasts in rows
        )
        # Checked in one go.
        return VolatilityResponse.model_validate(
            {"version": version, "level": round(self.levels[-1] - self.levels[0], 6), "assets": assets, "warnings": warnings}
        )

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Forecasts beside the log variance that came, an asset and horizon."""
        return of_forecasts(answer, outcomes, log_variance)

    def came_true(self, target: tuple[float, ...]) -> VarianceAhead:
        """The log variances ahead."""
        return VarianceAhead(**{f"h{h}": value for h, value in zip(self.horizons, target, strict=True)})

    def _rows(self, x: DataFrame, y: DataFrame | None) -> NDArray[np.intp]:
        """Positions of the usable rows, by (time, entity)."""
        return view_rows(x, y, with_history(x, FEATURES, self.history), self.horizons)
