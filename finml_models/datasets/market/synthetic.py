"""Market data whose truth is known: nothing to find, or a signal of known size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .clean import clean

INTRADAY_STEPS = 32
FIRST_DAY = "2000-01-03"


def random_walk(rng: np.random.Generator, *, entities: int = 3, sessions: int = 1000, daily: float = 0.01) -> pd.DataFrame:
    """Independent random walks of constant volatility: the first half of the entities with bars, the others with closes alone.

    Nothing about tomorrow's return or variance can be known but its mean. `daily` is the standard deviation of a day.
    """
    steps = rng.standard_normal((entities, sessions, INTRADAY_STEPS)) * daily / np.sqrt(INTRADAY_STEPS)
    path = np.cumsum(steps.reshape(entities, -1), axis=1).reshape(steps.shape)
    close = path[:, :, -1]
    opened = np.concatenate([np.zeros((entities, 1)), close[:, :-1]], axis=1)
    high, low = np.maximum(path.max(axis=2), opened), np.minimum(path.min(axis=2), opened)
    bars = (np.arange(entities) < entities // 2)[:, None]
    return _frame(close, *(np.where(bars, prices, np.nan) for prices in (opened, high, low)))


def phase_randomised(rng: np.random.Generator, raw: pd.DataFrame) -> pd.DataFrame:
    """Surrogates of real closes with the same spectrum and cross-spectra and no volatility clustering (Theiler et al. 1992).

    The Fourier phases of log returns are replaced by random ones, the same for all entities of a common span. Closes alone.
    """
    wide = raw.pivot_table(index="time", columns="entity", values="close").dropna(axis=1, thresh=int(0.9 * raw["time"].nunique())).dropna()
    returns = np.diff(np.log(wide.to_numpy(np.float64)), axis=0)
    mean = returns.mean(axis=0)
    spectrum = np.fft.rfft(returns - mean, axis=0)
    turn = np.exp(2j * np.pi * rng.random(len(spectrum)))
    # The mean and, for an even length, the highest frequency are real: they have no phase to turn.
    turn[0] = 1.0
    if len(returns) % 2 == 0:
        turn[-1] = 1.0
    surrogate = np.fft.irfft(spectrum * turn[:, None], n=len(returns), axis=0) + mean
    return _frame(np.cumsum(surrogate, axis=0).T, names=[str(name) for name in wide.columns])


@dataclass(frozen=True)
class SignRuns:
    """Closes whose next variance is exp(±size) times the base as the last two returns have the same sign or not.

    GARCH, EWMA and HAR see magnitudes alone and cannot know it; a network can. `next_variance` (entities, sessions) is the
    truth about tomorrow, given today; `mean_variance` that about every day after it, for runs are independent.
    """

    frame: pd.DataFrame
    next_variance: NDArray[np.float64]
    mean_variance: float

    def truth(self, horizons: tuple[int, ...]) -> pd.DataFrame:
        """Entity, time, horizon and `point`, the log of the expected mean variance of the next `horizon` days: no forecast can do better."""
        frames = [
            self.frame[["entity", "time"]].assign(horizon=np.int16(h), point=np.log((self.next_variance + (h - 1) * self.mean_variance) / h).ravel())
            for h in horizons
        ]
        return pd.concat(frames, ignore_index=True)


def sign_runs(rng: np.random.Generator, *, size: float, entities: int = 3, sessions: int = 1500, daily: float = 0.01) -> SignRuns:
    """Data with a planted signal; size 0 is a random walk."""
    signs = rng.choice([-1.0, 1.0], size=(entities, sessions))
    same = np.concatenate([np.ones((entities, 1)), signs[:, 1:] * signs[:, :-1]], axis=1)
    following = daily**2 * np.exp(size * same)
    variance = np.concatenate([np.full((entities, 1), daily**2), following[:, :-1]], axis=1)
    returns = signs * np.abs(rng.standard_normal((entities, sessions))) * np.sqrt(variance)
    return SignRuns(_frame(np.cumsum(returns, axis=1)), following, daily**2 * float(np.cosh(size)))


def _frame(
    close: NDArray[np.float64],
    opened: NDArray[np.float64] | None = None,
    high: NDArray[np.float64] | None = None,
    low: NDArray[np.float64] | None = None,
    names: list[str] | None = None,
) -> pd.DataFrame:
    """The raw market frame of log prices, (entities, sessions) each, on weekdays."""
    entities, sessions = close.shape
    columns = {"open": opened, "high": high, "low": low, "close": close}
    names = names or [f"S{number:02d}" for number in range(entities)]
    frame = pd.DataFrame(
        {
            "entity": np.repeat(names, sessions),
            "time": np.tile(pd.bdate_range(FIRST_DAY, periods=sessions).to_numpy(), entities),
            **{name: 100 * np.exp(values.ravel()) for name, values in columns.items() if values is not None},
        }
    )
    return clean(frame)[0]
