"""Price forecasting: the distribution of the log return over the next 1, 5 and 20 sessions, never the level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CoverageGuard, Gate, LeakAlarm, SeedGuard, Task, TradingRule, WalkForward, WorstSliceGuard

from . import _returns, _variance
from ._market import MarketRequest, read, request_frame, request_panel
from ._realised import ReturnAhead, of_forecasts
from ._returns import CALENDAR, FEATURES, QUARTER, STATIC, AssetReturns, PriceResponse

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
    from finml_models.core.task import Explainable


class PriceForecasting(Task):
    """log of the close h sessions ahead over today's, as a distribution."""

    name = "Price forecasting"
    description = (
        "Daily bars, the market's return, the calendar and static features of the asset in; the distribution of the log return over the "
        "next 1, 5 and 20 sessions out, never the level. Scored by the pinball loss over the quantiles. A point forecast of returns is "
        "expected to lose to zero; what can be forecast is the width. R² is on returns, against zero."
    )
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.WINDOWS, Kind.TABLE)
    horizons = (1, 5, 20)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    # A window of 60 sessions; the 60 before its first row went into that row's quarterly momentum.
    history = 120
    cross_section = True
    split = WalkForward(folds=3)
    metrics = ("pinball", "crps", "rank_ic", "rank_ic_t", "oos_r2", "coverage", "net_information_ratio", "break_even_cost")
    baselines = ("random_walk", "ewma_random_walk", "garch_quantiles", "ridge", "boosted_trees")
    gate = Gate(
        version="price_forecasting/3",
        naive=("random_walk",),
        margin=0.01,
        coverage=CoverageGuard(level=0.9, within=0.03, by_horizon=0.05),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        # Rank IC, R² and net Sharpe ratio by the defaults; of the pinball loss nobody gains a fifth on the best width.
        leak_alarm=LeakAlarm(improvement=0.2),
    )
    # Commission and half-spread of liquid large caps, and an easy borrow.
    trading = TradingRule(version="price_forecasting/1", fee_bp=1.0, half_spread_bp=2.0, borrow_rate=0.005)
    request = MarketRequest
    response = PriceResponse
    outcome = ReturnAhead

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """Of assets that all have the newest date, so that the market's return is that of one day for all of them."""
        last = raw.groupby("entity")["time"].transform("max")
        return super().asked(raw[last == last.max()], entities)

    def features(self, raw: DataFrame) -> DataFrame:
        """Returns, variance at three scales, range, volume and momentum of the asset; the market's mean return and variance; the calendar."""
        import pandas as pd

        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(raw)
        own = _returns.own_features(panel)
        frame = raw[["entity", "time"]].reset_index(drop=True)
        dates = _returns.calendar_of(frame["time"].to_numpy())
        columns = {name: panel.long(own[name]) for name in _returns.OWN} | _returns.market_features(panel, own)
        columns |= {name: panel.long(own[name]) for name in STATIC} | {name: dates[:, i].astype("float64") for i, name in enumerate(CALENDAR)}
        return pd.concat([frame, pd.DataFrame(columns)], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """Log return from the close of t to that h sessions later."""
        return _returns.log_return_ahead(raw, self.horizons)

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """`windows` or `table` of the rows that have a whole history (and, with `y`, a whole future)."""
        return {Kind.WINDOWS: self.windows, Kind.TABLE: self.table}[kind](x, y)

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The last 60 rows of `FEATURES` and `CALENDAR` of each asset, and what the source gives of it.

        The calendar ahead is no input: the dates of later rows would tell of halts and closures that nobody could know, and a
        calendar by rule would name other dates than the sessions that came.
        """
        import numpy as np

        from finml_models.core.batches import Windows
        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(x)
        rows = self._rows(x, y)
        cells = np.argsort(panel.row, axis=None)[-len(x) :]
        series, position = np.unravel_index(cells, panel.row.shape)
        # Warm-up rows are NaN and never inside a window that starts after them; zeros keep them out of arithmetic.
        values = np.nan_to_num(np.stack([panel.dense(name) for name in (*FEATURES, *CALENDAR)], axis=-1, dtype=np.float32))
        return Windows(
            panel=values,
            times=panel.times,
            entities=panel.entities,
            series=series[rows],
            end=position[rows],
            length=self.history - QUARTER,
            static=np.stack([panel.dense(name)[:, 0] for name in STATIC], axis=-1, dtype=np.float32),
            **_variance.labels(y, rows, self.horizons),
        )

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """The newest row of everything that windows hold, the momentum reaching 60 sessions back."""
        return _variance.table_of(x, y, (*FEATURES, *STATIC, *CALENDAR), self._rows(x, y), self.horizons)

    def signature(self, batch: Batch) -> Signature:
        """Names, horizons and levels; the point is the mean."""
        windows = batch.kind is Kind.WINDOWS
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=(*FEATURES, *CALENDAR) if windows else (*FEATURES, *STATIC, *CALENDAR),
            horizons=self.horizons,
            levels=self.levels,
            length=getattr(batch, "length", 0),
            static_names=STATIC if windows else (),
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
        own = _returns.own_features(panel)
        columns = {**own, **{name: panel.spread(values) for name, values in _returns.market_features(panel, own).items()}}
        values = _variance.side_by_side(columns, FEATURES)
        series, end = _variance.newest_usable(values, panel, self.history)
        dates = _returns.calendar_of(np.where(panel.mask, panel.times, np.datetime64(0, "us")))
        static = np.stack([own[name][:, 0] for name in STATIC], axis=-1, dtype=np.float32)
        values, times, entities = values.astype(np.float32), panel.times, panel.entities
        if kind is Kind.TABLE:
            newest = np.concatenate([values[series, end], static[series], dates[series, end]], axis=1)
            return Table(newest, (*FEATURES, *STATIC, *CALENDAR), times[series, end], entities[series]), panel.newest()
        dates[~panel.mask] = 0
        held = np.concatenate([_variance.numbers_alone(values), dates], axis=2)
        return Windows(held, times, entities, series, end, self.history - QUARTER, static=static), panel.newest()

    def respond(self, batch: Batch, prediction: Forecast, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None) -> PriceResponse:
        """The quantiles of the log return, an asset and horizon."""
        del explain
        rows = zip(batch.entity, batch.time, _returns.answers(prediction, self.horizons), strict=True)
        assets = tuple(AssetReturns(entity=str(entity), as_of=time.astype("datetime64[D]").item(), forecasts=forecasts) for entity, time, forecasts in rows)
        return PriceResponse(version=version, level=round(self.levels[-1] - self.levels[0], 6), assets=assets, warnings=warnings)

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Quantiles beside the log return that came, an asset and horizon."""
        return of_forecasts(answer, outcomes, lambda one: {"point": one["point"], **{f"q{q['level']:g}": q["value"] for q in one["quantiles"]}})

    def came_true(self, target: tuple[float, ...]) -> ReturnAhead:
        """The log returns ahead."""
        return ReturnAhead(**{f"h{h}": value for h, value in zip(self.horizons, target, strict=True)})

    def _rows(self, x: DataFrame, y: DataFrame | None) -> NDArray[np.intp]:
        """Positions of the usable rows, by (time, entity)."""
        return _variance.view_rows(x, y, _variance.with_history(x, FEATURES, self.history), self.horizons)
