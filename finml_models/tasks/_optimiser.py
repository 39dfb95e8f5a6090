"""Weights from forecasts: each asset's mean and spread by its quantiles, correlations by the trailing window, costs as a penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._portfolio import FEATURES, WEEK, windows_at

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.predictions import Forecast, Rollout
    from finml_models.environments.portfolio import History, PortfolioMarket, PortfolioWindows, Rules

NORMAL_90 = 3.29
"""Standard deviations between the 5 % and the 95 % quantile of a normal law."""


def play(market: PortfolioMarket, predict: Callable[[Batch], Forecast]) -> Rollout:
    """Every week, and the weeks that lead into it, decided on forecasts that were made from windows ending on the day of the decision."""
    import numpy as np

    from finml_models.core.predictions import Rollout
    from finml_models.environments.portfolio import EVERY, LEAD, actions_of

    history, members = market.history, market.members
    rows = market.row[:, None] + EVERY * np.arange(-LEAD, 1)
    dates = np.unique(rows)
    wanted = np.zeros((len(dates), members.shape[1]), np.bool_)
    for week in range(LEAD + 1):
        # A date may be decided on in several weeks, among more assets in one than in another.
        np.logical_or.at(wanted, np.searchsorted(dates, rows[:, week]), members)
    at, asset = np.nonzero(wanted)
    forecast = predict(windows_at(history, dates[at], asset))
    mean, spread = (np.zeros(wanted.shape) for _ in range(2))
    mean[at, asset], spread[at, asset] = moments(history, dates[at], asset, forecast)
    correlation = correlations(history, dates)
    every = np.arange(len(market), dtype=np.int64)
    environment = market.environment(len(market))
    observation = environment.begin(every, every)
    for week in range(LEAD + 1):
        place = np.searchsorted(dates, rows[:, week])
        held = observation[:, -members.shape[1] :].astype(np.float64)
        weights = optimal(mean[place], spread[place], correlation[place], held=held, members=members, rules=market.rules)
        observation = environment.step(actions_of(weights)).observation
    return Rollout(environment.outcome())


def moments(history: History, row: NDArray[np.int64], asset: NDArray[np.int64], forecast: Forecast) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) mean and standard deviation of each asset's return over the week that a decision earns."""
    import numpy as np

    unit = np.exp(history.features[row, asset, FEATURES.index("log_volatility_m")].astype(np.float64)) * np.sqrt(WEEK)
    width = forecast.quantiles[:, 0, -1].astype(np.float64) - forecast.quantiles[:, 0, 0]
    return forecast.point[:, 0] * unit, np.maximum(width / NORMAL_90, 1e-3) * unit


def correlations(history: History, row: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, a, a) correlations by Ledoit and Wolf's covariance of the window before each date; of assets without one, those of independent ones."""
    import numpy as np
    from sklearn.covariance import ledoit_wolf

    members = history.members(row)
    found = np.tile(np.eye(members.shape[1]), (len(row), 1, 1))
    for i, date in enumerate(row):
        held = np.flatnonzero(members[i])
        covariance = ledoit_wolf(history.trailing(int(date), members[i]))[0]
        deviation = np.sqrt(np.diag(covariance))
        found[i][np.ix_(held, held)] = covariance / np.outer(deviation, deviation)
    return found


def optimal(
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    correlation: NDArray[np.float64],
    *,
    held: NDArray[np.float64],
    members: NDArray[np.bool_],
    rules: Rules,
) -> NDArray[np.float64]:
    """(n, a) weights of the largest mean-variance utility of the week less what moving there costs."""
    import numpy as np

    from finml_models.environments.long_only import best_weights

    deviation = np.where(members, spread, 1e-6)
    covariance = correlation * deviation[:, :, None] * deviation[:, None, :]
    # In per cent: solvers like numbers near 1.
    return best_weights(mean * 100, covariance * 1e4, risk_aversion=rules.risk_aversion / 100, held=held, cost=rules.rate * 100, members=members)


def weights_now(batch: PortfolioWindows, forecast: Forecast, rules: Rules) -> NDArray[np.float64]:
    """(a,) weights from the forecasts of one date's windows, one an asset."""
    import numpy as np

    history, row = batch.history, batch.end[:1]
    mean, spread = (np.zeros((1, len(history.assets))) for _ in range(2))
    mean[0, batch.series], spread[0, batch.series] = moments(history, batch.end, batch.series, forecast)
    members = history.members(row)
    return np.asarray(optimal(mean, spread, correlations(history, row), held=history.weights_held(row), members=members, rules=rules)[0])
