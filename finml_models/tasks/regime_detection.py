"""Regime detection: filtered probabilities of the market's state, from trailing windows alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, Gate, LeakAlarm, SeedGuard, Task, WalkForward, WorstSliceGuard

from ._effects import check_one_date
from ._market import MarketRequest, request_frame
from ._regimes import (
    LEAST,
    LENGTH,
    MARKET,
    NEIGHBOURS,
    NODE,
    OWN,
    REFRESH_DAYS,
    RegimeResponse,
    market_features,
    month_ahead,
    next_return,
    response,
    sessions,
)
from ._variance import MONTH, own_features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Windows
    from finml_models.core.graphs import Graphs
    from finml_models.core.predictions import Regimes
    from finml_models.core.task import Explainable


class RegimeDetection(Task):
    """Windows or graphs of trailing data to the filtered probability of each regime of the market: one row a session.

    The market is the equal-weighted mean of the assets of the data. In windows a row is its last 60 sessions; in graphs a row is
    the whole snapshot of its date, assets as nodes and correlations over 60 sessions as edges.
    """

    name = "Regime detection"
    description = (
        "Windows of 60 sessions of the market's return, volatility, dispersion and correlation in, or the graph of its assets; the "
        "probability of each regime at the newest of them out: filtered, never smoothed. Scored by the log-likelihood of the next return "
        "given the regime, out of sample. The number of regimes is chosen on training data, and they are named by their volatility, so "
        "that labels keep their meaning from refit to refit."
    )
    dataset = "market"
    objective = Objective.REGIMES
    kinds = (Kind.WINDOWS, Kind.GRAPHS)
    horizons = (1,)
    # A window of monthly means of a market that an asset joins with its 22nd return, and the close before its first.
    history = 1 + MONTH + (MONTH - 1) + (LENGTH - 1)
    whole = "market"
    cross_section = True
    split = WalkForward(folds=3)
    metrics = ("predictive_log_likelihood", "refit_ari", "mean_duration", "next_month_volatility_separation")
    baselines = ("one_regime", "gaussian_hmm", "kmeans", "volatility_terciles")
    gate = Gate(
        version="regime_detection/2",
        naive=("one_regime",),
        margin=0.01,
        coverage=None,
        # A log-likelihood of daily returns is about 3 nats, and one regime loses a tenth of it: a quarter would guard nothing.
        worst_slice=WorstSliceGuard(by="year", within=0.05),
        seeds=SeedGuard(within=0.01),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        leak_alarm=LeakAlarm(improvement=0.05),
    )
    request = MarketRequest
    unscored = "nobody ever observes a regime; judge its predictive density in the backtest"
    response = RegimeResponse

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """Of assets that all have the newest date: a market is of one day."""
        last = raw.groupby("entity")["time"].transform("max")
        return super().asked(raw[last == last.max()], entities)

    def features(self, raw: DataFrame) -> DataFrame:
        """An asset's own variance and returns, and the market's features, which are the same on all rows of a date."""
        import pandas as pd

        from finml_models.datasets.market.aligned import Aligned

        panel, frame = self._own(raw)
        found = market_features(Aligned.of(panel), frame)
        return pd.concat([frame, pd.DataFrame({name: found[name] for name in MARKET})], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """The market's log return on its next session, and the date of that session, on all rows of a date."""
        from finml_models.datasets.market.aligned import Aligned

        panel, frame = self._own(raw)
        ahead, until = next_return(Aligned.of(panel), frame)
        return frame[["entity", "time"]].assign(until=until, h1=ahead)

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """`windows` or `graphs`: a row a session of the market that has a whole history (and, with `y`, a next one)."""
        return {Kind.WINDOWS: self.windows, Kind.GRAPHS: self.graphs}[kind](x, y)

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The market's last 60 sessions."""
        import numpy as np

        from finml_models.core.batches import Windows
        from finml_models.datasets.market.aligned import Aligned
        from finml_models.datasets.market.panel import Panel

        aligned = Aligned.of(Panel.of(x))
        days, values, usable, rows = sessions(aligned, x, self.history)
        chosen, labels = self._labelled(y, rows, usable)
        # Warm-up rows are NaN and never inside a window that starts after them; zeros keep them out of arithmetic.
        return Windows(
            panel=np.nan_to_num(values)[None],
            times=aligned.times[days][None],
            entities=np.array([self.whole]),
            series=np.zeros(len(chosen), np.int64),
            end=chosen,
            length=LENGTH,
            **labels,
        )

    def graphs(self, x: DataFrame, y: DataFrame | None = None) -> Graphs:
        """A snapshot a date, a node a member of the market, a row a whole snapshot."""
        import numpy as np

        from finml_models.core.graphs import WHOLE, Graphs
        from finml_models.datasets.market.aligned import Aligned
        from finml_models.datasets.market.correlation import correlation_graphs
        from finml_models.datasets.market.panel import Panel

        aligned = Aligned.of(Panel.of(x))
        days, _, usable, rows = sessions(aligned, x, self.history)
        chosen, labels = self._labelled(y, rows, usable)
        edges, graph = correlation_graphs(
            aligned.dense("return_d"), aligned.times, window=LENGTH, refresh_days=REFRESH_DAYS, neighbours=NEIGHBOURS, least=LEAST
        )
        first = int(np.searchsorted(graph, 0))
        values = x[list(NODE)].to_numpy(np.float32)
        present = aligned.wide(np.isfinite(values).all(axis=1))[first:]
        return Graphs(
            nodes=np.where(present[:, :, None], aligned.wide(values)[first:], np.float32(0)),
            present=present,
            times=aligned.times[first:],
            entities=aligned.entities,
            edges=edges,
            graph=graph[first:],
            snapshot=days[chosen] - first,
            node=np.full(len(chosen), WHOLE),
            whole=self.whole,
            **labels,
        )

    def signature(self, batch: Batch) -> Signature:
        """Names, the one horizon and the length of a window."""
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=NODE if batch.kind is Kind.GRAPHS else MARKET,
            horizons=self.horizons,
            length=getattr(batch, "length", 0),
        )

    def facts(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The volatility of the month that followed."""
        return {"next_volatility": month_ahead(batch)}

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data: each asset with a whole history up to one session."""
        return check_one_date(request_frame(request, history=self.history), least=1)

    def respond(self, batch: Batch, prediction: Regimes, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None) -> RegimeResponse:
        """The probability of each regime by name, and the volatility of the next session in it."""
        del explain
        return response(batch, prediction, version, warnings)

    def _own(self, raw: DataFrame) -> tuple[Any, DataFrame]:
        import pandas as pd

        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(raw)
        columns = own_features(panel)
        own = pd.DataFrame({name: panel.long(columns[name]) for name in OWN})
        return panel, pd.concat([raw[["entity", "time"]].reset_index(drop=True), own], axis=1)

    def _labelled(self, y: DataFrame | None, rows: NDArray[np.int64], usable: NDArray[np.bool_]) -> tuple[NDArray[np.int64], dict[str, Any]]:
        """The sessions that become rows, and their fields `target` and `until`; none without `y`."""
        import numpy as np

        if y is None:
            return np.flatnonzero(usable), {}
        target = y["h1"].to_numpy(np.float32)[rows]
        chosen = np.flatnonzero(usable & np.isfinite(target))
        return chosen, {"target": target[chosen][:, None], "until": y["until"].to_numpy()[rows][chosen]}
