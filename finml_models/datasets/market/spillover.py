"""Market data with planted spillovers: variance travels along a known graph, and returns correlate along the same edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .clean import clean
from .synthetic import FIRST_DAY

INTRADAY_STEPS = 40


@dataclass(frozen=True)
class Spillover:
    """Closes and realised variances whose log variance is a vector autoregression on a graph: x(t+1) - μ = M (x(t) - μ) + σ e, M = `own` I + `spill` D^-1 A.

    `adjacency` (s, s) is the planted graph, `log_variance` (t, s) the truth of each day.
    """

    frame: pd.DataFrame
    adjacency: NDArray[np.bool_]
    log_variance: NDArray[np.float64]
    matrix: NDArray[np.float64]
    mean: float
    innovation: float

    def truth(self, horizons: tuple[int, ...]) -> pd.DataFrame:
        """Entity, time, horizon and `point`, the log of the expected mean variance of the next `horizon` days: no forecast can do better."""
        frames = [self.frame[["entity", "time"]].assign(horizon=np.int16(h), point=self._log_expected(h).T.ravel()) for h in horizons]
        return pd.concat(frames, ignore_index=True)

    def _log_expected(self, horizon: int) -> NDArray[np.float64]:
        """(t, s) log of the expected mean variance of the next `horizon` days, given all of today's.

        k steps ahead x is normal with mean μ + M^k (x - μ) and variance σ² Σ over j < k of the diagonal of M^j (M^j)'.
        """
        total, power, spread = np.zeros_like(self.log_variance), np.eye(len(self.matrix)), np.zeros(len(self.matrix))
        for _ in range(horizon):
            spread = spread + self.innovation**2 * (power**2).sum(axis=1)
            power = self.matrix @ power
            total += np.exp(self.mean + (self.log_variance - self.mean) @ power.T + spread / 2)
        return np.log(total / horizon)


def spillover(
    rng: np.random.Generator,
    *,
    entities: int = 24,
    sessions: int = 1200,
    degree: int = 4,
    own: float = 0.4,
    spill: float = 0.5,
    innovation: float = 0.35,
    comovement: float = 0.5,
    daily: float = 0.01,
) -> Spillover:
    """Simulate; `spill` 0 leaves the correlations and takes the spillovers away. `own` + `spill` must be below 1.

    The graph joins each asset with `degree` others, drawn at random. Shocks of returns are e + `comovement` × the sum of the
    neighbours' e, scaled to variance 1, so that neighbours correlate most. A day's realised variance is the sum of its
    `INTRADAY_STEPS` squared returns, unbiased for the variance of the session.
    """
    if not 0 <= own + spill < 1:
        raise ValueError(f"own + spill = {own + spill:g}: the variances explode at 1 and above; take less")
    adjacency = _regular(rng, entities, degree)
    matrix = own * np.eye(entities) + spill * adjacency / adjacency.sum(axis=1, keepdims=True)
    mean = 2 * np.log(daily)
    log_variance = np.empty((sessions, entities))
    state = np.zeros(entities)
    for t in range(sessions):
        state = matrix @ state + innovation * rng.standard_normal(entities)
        log_variance[t] = mean + state
    shocks = rng.standard_normal((sessions, INTRADAY_STEPS, entities))
    shocks = shocks + comovement * shocks @ adjacency
    shocks *= (np.exp(log_variance / 2) / np.sqrt(INTRADAY_STEPS * (1 + comovement**2 * degree)))[:, None, :]
    close = np.cumsum(shocks.sum(axis=1), axis=0)
    frame = pd.DataFrame(
        {
            "entity": np.repeat([f"S{number:02d}" for number in range(entities)], sessions),
            "time": np.tile(pd.bdate_range(FIRST_DAY, periods=sessions).to_numpy(), entities),
            "close": 100 * np.exp(close.T.ravel()),
            "realised_variance": (shocks**2).sum(axis=1).T.ravel(),
        }
    )
    return Spillover(clean(frame)[0], adjacency.astype(bool), log_variance, matrix, mean, innovation)


def _regular(rng: np.random.Generator, entities: int, degree: int) -> NDArray[np.float64]:
    """A random undirected graph in which everyone has `degree` neighbours: so many perfect matchings, none of whose pairs is drawn twice."""
    if entities % 2 or not 0 < degree < entities / 2:
        raise ValueError(f"{entities} entities of degree {degree}: take an even number of entities, and a degree of less than half of it")
    adjacency = np.zeros((entities, entities))
    while adjacency.sum() < entities * degree:
        one, other = rng.permutation(entities).reshape(2, -1)
        if not adjacency[one, other].any():
            adjacency[one, other] = adjacency[other, one] = 1.0
    return adjacency
