"""Cross-asset effects: what an asset's neighbours say of its own next day and week."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CoverageGuard, Gate, LeakAlarm, SeedGuard, Task, WalkForward, WorstSliceGuard

from . import _variance
from ._effects import KNOWN, SNAPSHOTS, AssetEffects, CrossAssetResponse, averages, check_one_date, graphs_of, neighbours_of
from ._market import PROXIES, MarketRequest, request_frame
from ._realised import VarianceOfWeek, log_variance, of_forecasts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Table
    from finml_models.core.graphs import Graphs
    from finml_models.core.predictions import Forecast
    from finml_models.core.realised import Outcomes, Realised
    from finml_models.core.task import Explainable

MARKET = ("market_log_var_d", "market_log_var_w", "market_log_var_m", "market_return_d")
NEAR = ("near_log_var_d", "near_log_var_w", "near_log_var_m")
NODE = (*_variance.FEATURES, *MARKET)
"""What a node knows by itself. Its neighbours' averages are not among it: an encoder without edges must not get them another way."""


class CrossAssetEffects(Task):
    """log of the mean daily variance of every asset over the next 1 and 5 sessions, from graphs of trailing correlation."""

    name = "Cross-asset effects"
    description = (
        "An asset's own variance and the market's at daily, weekly and monthly scale, and edges from trailing correlation, each graph "
        "stamped with the newest day it used, in; log realised variance of every asset over the next day and week out. Scored by QLIKE. A "
        "graph model is held against the same encoder without edges and with random edges of the same degrees: only what the true edges "
        "add counts as an effect."
    )
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.GRAPHS, Kind.TABLE)
    horizons = (_variance.DAY, _variance.WEEK)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    # Nodes of the oldest snapshot that a forecast may read are whole too, so that a service sees what training saw.
    history = KNOWN + SNAPSHOTS - 1
    cross_section = True
    split = WalkForward(folds=3)
    metrics = ("qlike", "log_variance_mse", "pinball", "coverage")
    baselines = ("last_value", "historical_mean", "log_har", "har_market_sector")
    gate = Gate(
        version="cross_asset_effects/2",
        # An effect of one asset on another is what the true edges add to the same encoder, so both ablations must be beaten.
        naive=("last_value", "historical_mean", "no_edges", "random_edges"),
        margin=0.02,
        coverage=CoverageGuard(level=0.9, within=0.03, by_horizon=0.05),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        leak_alarm=LeakAlarm(improvement=0.4),
    )
    request = MarketRequest
    response = CrossAssetResponse
    outcome = VarianceOfWeek

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """Of assets that all have the newest date: a graph is of one day."""
        last = raw.groupby("entity")["time"].transform("max")
        return super().asked(raw[last == last.max()], entities)

    def features(self, raw: DataFrame) -> DataFrame:
        """An asset's own variance, returns and proxy, and the averages over the market and over its neighbours in the graph of the day."""
        import pandas as pd

        from finml_models.datasets.market.aligned import Aligned
        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(raw)
        own = _variance.own_features(panel)
        frame = pd.concat([raw[["entity", "time"]].reset_index(drop=True), pd.DataFrame({name: panel.long(own[name]) for name in _variance.FEATURES})], axis=1)
        found = averages(Aligned.of(panel), frame, _variance.with_history(frame, _variance.FEATURES, KNOWN))
        return pd.concat([frame, pd.DataFrame({name: found[name] for name in (*MARKET, *NEAR)})], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """Log of the mean daily variance over the next h sessions of the asset's own clock."""
        return _variance.log_variance_ahead(raw, self.horizons)

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """`graphs` or `table` of the rows that have a whole history (and, with `y`, a whole future)."""
        return {Kind.GRAPHS: self.graphs, Kind.TABLE: self.table}[kind](x, y)

    def graphs(self, x: DataFrame, y: DataFrame | None = None) -> Graphs:
        """A snapshot a date, a node an asset; the graphs are built again from the returns among the features."""
        import numpy as np

        from finml_models.core.graphs import Graphs
        from finml_models.datasets.market.aligned import Aligned
        from finml_models.datasets.market.panel import Panel

        aligned = Aligned.of(Panel.of(x))
        edges, graph = graphs_of(aligned.dense("return_d"), aligned.times)
        rows = _variance.view_rows(x, y, _variance.with_history(x, (*NODE, *NEAR), self.history), self.horizons)
        day, node = aligned.cells()
        # No node is known before the first graph.
        first = int(np.searchsorted(graph, 0))
        present = aligned.wide(_variance.with_history(x, (*NODE, *NEAR), KNOWN))[first:]
        values = aligned.wide(x[list(NODE)].to_numpy(np.float32))[first:]
        return Graphs(
            nodes=np.where(present[:, :, None], values, np.float32(0)),
            present=present,
            times=aligned.times[first:],
            entities=aligned.entities,
            edges=edges,
            graph=graph[first:],
            snapshot=day[rows] - first,
            node=node[rows],
            length=SNAPSHOTS,
            **_variance.labels(y, rows, self.horizons),
        )

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """The features of each row, the neighbours' averages among them, so that a regression sees what a graph would show."""
        columns = (*NODE, *NEAR)
        rows = _variance.view_rows(x, y, _variance.with_history(x, columns, self.history), self.horizons)
        return _variance.table_of(x, y, columns, rows, self.horizons)

    def signature(self, batch: Batch) -> Signature:
        """Names, horizons and levels; QLIKE as the loss of the point."""
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=NODE if batch.kind is Kind.GRAPHS else (*NODE, *NEAR),
            horizons=self.horizons,
            levels=self.levels,
            length=getattr(batch, "length", 0),
            loss="qlike",
        )

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data: two assets or more, each with a whole history up to one session."""
        return check_one_date(request_frame(request, history=self.history))

    def respond(
        self, batch: Batch, prediction: Forecast, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> CrossAssetResponse:
        """Annualised volatility with its interval, an asset and horizon, and the neighbours that a graph model read."""
        from finml_models.core.graphs import Graphs

        del explain
        measured = batch.inputs[:, NODE.index("proxy")]
        stamped = batch.edges.stamped[batch.graph[batch.snapshot]].astype("datetime64[D]") if isinstance(batch, Graphs) else None
        assets = tuple(
            AssetEffects(
                entity=str(batch.entity[i]),
                as_of=batch.time[i].astype("datetime64[D]").item(),
                proxy=PROXIES[int(measured[i])],
                forecasts=forecasts,
                graph_as_of=None if stamped is None else stamped[i].item(),
                neighbours=neighbours_of(batch, i) if isinstance(batch, Graphs) else (),
            )
            for i, forecasts in enumerate(_variance.annualised(prediction, self.horizons))
        )
        return CrossAssetResponse(version=version, level=round(self.levels[-1] - self.levels[0], 6), assets=assets, warnings=warnings)

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Forecasts beside the log variance that came, an asset and horizon."""
        return of_forecasts(answer, outcomes, log_variance)

    def came_true(self, target: tuple[float, ...]) -> VarianceOfWeek:
        """The log variances ahead."""
        return VarianceOfWeek(**{f"h{h}": value for h, value in zip(self.horizons, target, strict=True)})
