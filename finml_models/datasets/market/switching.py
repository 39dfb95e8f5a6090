"""Market data with planted regimes: a hidden Markov chain sets the volatility of the whole market, and with it how much its assets move together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .clean import clean
from .synthetic import FIRST_DAY

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Switching:
    """Closes of assets whose equal-weighted log return is N(`mean`, `std`) of the day's regime.

    Shapes: `regime` (t,) of the return of each session, calmest 0; `transition` (k, k), row i the law of the state after i; mean and
    std (k,); `market` (t,) the equal-weighted return, the first of which no close shows.
    """

    frame: pd.DataFrame
    regime: NDArray[np.int64]
    transition: Float
    mean: Float
    std: Float
    market: Float

    def truth(self) -> pd.DataFrame:
        """Entity, time and the perfect prediction: p of each regime of the next session given all returns so far, by Hamilton's filter with the true numbers.

        No density can be better. Columns p0, mean0, std0, p1 …
        """
        times = np.sort(self.frame["time"].unique())
        k = len(self.mean)
        state = np.full(k, 1 / k)
        p = np.empty((len(times), k))
        for t, value in enumerate(self.market):
            # The first return is not seen: the first close has none before it.
            seen = state * np.exp(-0.5 * ((value - self.mean) / self.std) ** 2) / self.std if t else state
            state = (seen / seen.sum()) @ self.transition
            p[t] = state
        columns = {f"{name}{i}": values for i in range(k) for name, values in (("p", p[:, i]), ("mean", self.mean[i]), ("std", self.std[i]))}
        return pd.DataFrame({"entity": "market", "time": times, **columns})


def switching(
    rng: np.random.Generator,
    *,
    entities: int = 6,
    sessions: int = 2_500,
    stay: tuple[float, ...] = (0.985, 0.96),
    mean: tuple[float, ...] = (0.0005, -0.001),
    std: tuple[float, ...] = (0.006, 0.02),
    own: float = 0.01,
) -> Switching:
    """Simulate; `stay` are the probabilities of staying in each regime, the rest is shared by the others; `own` an asset's own deviation.

    A regime lasts 1 / (1 - stay) sessions on average. An asset's own moves do not follow the regime, so correlations rise with it.
    """
    k = len(std)
    if not len(stay) == len(mean) == k > 1:
        raise ValueError(f"{len(stay)}, {len(mean)} and {k} numbers of stay, mean and std: give as many of each, at least two")
    leave = (1 - np.asarray(stay)) / (k - 1)
    transition = np.where(np.eye(k, dtype=bool), np.asarray(stay)[:, None], leave[:, None])
    regime = np.zeros(sessions, np.int64)
    drawn = rng.random(sessions)
    for t in range(1, sessions):
        regime[t] = min(int(np.searchsorted(transition[regime[t - 1]].cumsum(), drawn[t])), k - 1)
    market = np.asarray(mean)[regime] + np.asarray(std)[regime] * rng.standard_normal(sessions)
    shocks = own * rng.standard_normal((sessions, entities))
    returns = market[:, None] + shocks - shocks.mean(axis=1, keepdims=True)
    frame = pd.DataFrame(
        {
            "entity": np.repeat([f"S{number:02d}" for number in range(entities)], sessions),
            "time": np.tile(pd.bdate_range(FIRST_DAY, periods=sessions).to_numpy(), entities),
            "close": 100 * np.exp(np.cumsum(returns, axis=0).T.ravel()),
        }
    )
    return Switching(clean(frame)[0], regime, transition, np.asarray(mean, np.float64), np.asarray(std, np.float64), market)
