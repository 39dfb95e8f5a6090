"""What a client sends and gets where portfolios are rebalanced, and how market rows become a history, states, weeks and windows."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from finml_models.core.errors import DataError

from ._market import MarketRequest, Strict, request_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.environments.portfolio import History, PortfolioMarket, PortfolioWindows, Rules

WEEK, MONTH, QUARTER = 5, 22, 60
FEATURES = ("return_d", "return_w", "return_m", "return_q", "log_volatility_m")
SIMPLE, HELD, AHEAD = "simple_return", "held", f"h{WEEK}"
LEAST_ASSETS = 3
"""Fewer leave nothing to choose: a date with less than this many assets that have a whole history is no decision."""
LEAST_VARIANCE = 1e-8
LENGTH = QUARTER
"""Sessions of a window for models that forecast the assets one by one."""

SURVIVORS = (
    "The assets are those that the dataset holds. Where they were chosen afterwards, as the embedded US large caps were among companies that "
    "survived, every return is too good (survivorship bias): it lifts all competitors, so compare them and do not believe the level."
)


class PortfolioRequest(MarketRequest):
    """Raw rows of all assets to choose among, in any order, each with at least the task's history up to one common session."""

    weights: dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None, description="weights held at the newest close by asset, with a sum of 1; equal ones where they are left out", examples=[{"AAPL": 0.4, "JPM": 0.6}]
    )


class AssetWeight(Strict):
    """What to hold of an asset from the next close on."""

    entity: str
    weight: float = Field(ge=0, le=1, description="wanted share of the portfolio's value")
    held: float = Field(ge=0, le=1, description="share before the trade, at the newest close")


class PortfolioResponse(Strict):
    """The answer, with the version that gave it and what the caller should know. All is invested: the weights sum to 1."""

    version: str
    as_of: date = Field(description="session of the newest input row; the weights are to be traded at the next close")
    weights: tuple[AssetWeight, ...]
    traded: float = Field(ge=0, le=2, description="share of the value that is bought and sold by moving there")
    expected_cost_bp: float = Field(ge=0, description="cost of that, in hundredths of a percent of the portfolio's value")
    warnings: tuple[str, ...] = ()


def raw_rows(request: object, *, history: int) -> DataFrame:
    """The rows of a request as a raw market frame, with the weights held as a column; raises `DataError`."""
    import numpy as np

    if not isinstance(request, PortfolioRequest):
        raise TypeError(f"request: expected PortfolioRequest, got {type(request).__name__}")
    rows = request_frame(request, history=history)
    newest = rows.groupby("entity")["time"].max()
    if len(newest) < LEAST_ASSETS:
        raise DataError(f"rows: {len(newest)} assets leave nothing to choose; send at least {LEAST_ASSETS}")
    if len(behind := newest[newest < newest.max()]):
        raise DataError(f"rows: {behind.index[0]} ends on {behind.iloc[0]:%Y-%m-%d}, others on {newest.max():%Y-%m-%d}; send all assets up to one session")
    rows[HELD] = np.nan
    if request.weights is not None:
        if unknown := sorted(set(request.weights) - set(newest.index)):
            raise DataError(f"weights: {unknown[0]} is held and has no rows; send its rows, so that it can be sold")
        if abs((total := sum(request.weights.values())) - 1) > 1e-3:
            raise DataError(f"weights: they sum to {total:g}; give shares of the value that sum to 1, cash is not held")
        last = rows["time"] == newest.max()
        rows.loc[last, HELD] = rows.loc[last, "entity"].map(request.weights).fillna(0.0) / total
    return rows


def features_of(raw: DataFrame) -> DataFrame:
    """`FEATURES` of each asset on its own clock, its simple return of the day, and the weight that a request says is held."""
    import numpy as np
    import pandas as pd

    from finml_models.datasets.market.panel import Panel
    from finml_models.datasets.market.variance import log_returns, trailing_mean

    panel = Panel.of(raw)
    close = panel.dense("close")
    returns, level = log_returns(close), np.log(close)
    variance = np.maximum(trailing_mean(returns**2, MONTH), LEAST_VARIANCE)

    def scaled(span: int) -> NDArray[np.float64]:
        moved = np.full_like(level, np.nan)
        moved[:, span:] = level[:, span:] - level[:, :-span]
        return np.asarray(np.clip(moved / np.sqrt(variance * span), -10, 10))

    columns = {f"return_{name}": scaled(span) for name, span in (("d", 1), ("w", WEEK), ("m", MONTH), ("q", QUARTER))}
    columns |= {"log_volatility_m": np.log(variance) / 2, SIMPLE: np.expm1(returns)}
    frame = raw[["entity", "time"]].reset_index(drop=True)
    held = raw[HELD].to_numpy() if HELD in raw else np.nan
    return pd.concat([frame, pd.DataFrame({name: panel.long(columns[name]) for name in (*FEATURES, SIMPLE)})], axis=1).assign(**{HELD: held})


def return_ahead(raw: DataFrame) -> DataFrame:
    """An asset's log return over the five sessions that a decision of its row earns, in units of its monthly volatility. Columns entity, time, until, h5."""
    import numpy as np

    from finml_models.datasets.market.panel import Panel
    from finml_models.datasets.market.variance import log_returns, trailing_mean
    from finml_models.environments.portfolio import REACH

    panel = Panel.of(raw)
    level = np.log(panel.dense("close"))
    variance = np.maximum(trailing_mean(log_returns(np.exp(level)) ** 2, MONTH), LEAST_VARIANCE)
    ahead = np.full_like(level, np.nan)
    # Filled at the next close, not at the one that was seen.
    ahead[:, :-REACH] = level[:, REACH:] - level[:, 1:-WEEK]
    until = np.full(panel.times.shape, np.datetime64("NaT"), dtype=panel.times.dtype)
    until[:, :-REACH] = panel.times[:, REACH:]
    frame = raw[["entity", "time"]].reset_index(drop=True)
    return frame.assign(until=panel.long(until), **{AHEAD: panel.long(ahead / np.sqrt(variance * WEEK))})


def history_of(x: DataFrame) -> History:
    """The features of all assets on their common calendar."""
    import numpy as np

    from finml_models.datasets.market.aligned import Aligned
    from finml_models.datasets.market.panel import Panel
    from finml_models.environments.portfolio import History

    aligned = Aligned.of(Panel.of(x))
    returns = aligned.dense(SIMPLE)
    traded = np.isfinite(returns)
    count = np.cumsum(traded, axis=0)
    return History(
        times=aligned.times,
        assets=tuple(str(name) for name in aligned.entities),
        names=FEATURES,
        returns=np.where(traded, returns, 0.0),
        features=np.nan_to_num(aligned.wide(x[list(FEATURES)].to_numpy(np.float32))),
        # Returns since the last date without one.
        age=count - np.maximum.accumulate(np.where(traded, 0, count), axis=0),
        held=aligned.dense(HELD),
    )


def decided(history: History) -> NDArray[np.int64]:
    """Positions of the dates at which there is something to choose among."""
    import numpy as np

    every = np.arange(len(history.times))
    return np.flatnonzero(history.members(every).sum(axis=1) >= LEAST_ASSETS)


def weeks(history: History) -> PortfolioMarket:
    """Every week whose returns are all there, with the weeks that lead into it; raises `DataError` where there is none."""
    import numpy as np

    from finml_models.environments.portfolio import EVERY, LEAD, REACH, PortfolioMarket, Rules, even_returns

    row = np.arange(LEAD * EVERY, len(history.times) - REACH, dtype=np.int64)
    # Counted from the first session, so that no week moves when later sessions come.
    row = row[(row % EVERY == 0) & (history.members(row, LEAD).sum(axis=1) >= LEAST_ASSETS)]
    if not len(row):
        raise DataError(f"assets: no week at which {LEAST_ASSETS} of {len(history.assets)} have a whole history; give more sessions or more assets")
    target = even_returns(history, row, history.members(row, LEAD)).astype(np.float32)
    return PortfolioMarket(history=history, row=row, rules=Rules(), target=target, until=history.times[row + REACH])


def windows(history: History, x: DataFrame, y: DataFrame | None, rules: Rules) -> PortfolioWindows:
    """A window an asset and decision; with `y` of the assets and dates of `weeks`, by (time, entity)."""
    import numpy as np

    from finml_models.datasets.market.aligned import Aligned
    from finml_models.datasets.market.panel import Panel
    from finml_models.environments.portfolio import LEAD

    if y is None:
        row = decided(history)
        at, asset = np.nonzero(history.members(row))
        return windows_at(history, row[at], asset)
    market = weeks(history).under(rules)
    ahead = Aligned.of(Panel.of(x)).wide(np.stack([y[AHEAD].to_numpy(np.float64), y["until"].to_numpy("datetime64[us]").astype(np.float64)], axis=1))
    at, asset = np.nonzero(history.members(market.row, LEAD) & np.isfinite(ahead[market.row, :, 0]))
    row = market.row[at]
    target, until = ahead[row, asset, 0], ahead[row, asset, 1]
    return windows_at(history, row, asset, market=market, target=target[:, None].astype(np.float32), until=until.astype("datetime64[us]"))


def windows_at(history: History, row: NDArray[np.int64], asset: NDArray[np.int64], **more: Any) -> PortfolioWindows:
    """The windows of these assets (n,) that end on these dates (n,)."""
    import numpy as np

    from finml_models.environments.portfolio import PortfolioWindows

    more.setdefault("market", None)
    return PortfolioWindows(
        panel=np.ascontiguousarray(history.features.transpose(1, 0, 2)),
        times=np.broadcast_to(history.times, (len(history.assets), len(history.times))),
        entities=np.array(history.assets),
        series=np.asarray(asset, np.int64),
        end=np.asarray(row, np.int64),
        length=LENGTH,
        history=history,
        **more,
    )


def answer_of(history: History, row: int, weights: NDArray[np.float64], *, rate: float, version: str, warnings: tuple[str, ...]) -> PortfolioResponse:
    """The weights (a,) wanted at the close of a date beside those held, and what moving there costs at `rate` a unit traded."""
    import numpy as np

    at = np.array([row])
    held, members = history.weights_held(at)[0], history.members(at)[0]
    traded = float(np.abs(weights - held).sum())
    rows = zip(history.assets, np.clip(weights, 0, 1), np.clip(held, 0, 1), members, strict=True)
    return PortfolioResponse(
        version=version,
        as_of=history.times[row].astype("datetime64[D]").item(),
        weights=tuple(AssetWeight(entity=name, weight=float(wanted), held=float(before)) for name, wanted, before, member in rows if member),
        traded=min(traded, 2.0),
        expected_cost_bp=traded * rate * 1e4,
        warnings=warnings,
    )
