"""What the baselines of returns share: a centre and a scale, and quantiles from what training returns were in units of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.estimator import Estimator, H, OnProgress, Progress, ignore
from finml_models.core.predictions import Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class StandardisedForecaster(Estimator[H]):
    """Quantile q = centre + scale × empirical quantile q of (return - centre) / scale, a horizon, pooled over assets.

    Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 19(5), 1999): the tails, the
    skew and the drift are those of the sample, so that no baseline loses for an assumed law or for a scale that is off by a factor.
    """

    seeded = False

    standard: NDArray[np.float64]
    """(horizons, levels) quantiles of standardised returns."""

    @abstractmethod
    def learn(self, train: Batch, valid: Batch) -> None:
        """Estimate whatever `centre` and `scale` need."""

    def centre(self, batch: Batch) -> NDArray[np.float64]:
        """(n, horizons) point forecast; 0, the random walk's, by default."""
        return np.zeros((len(batch), len(self.signature.horizons)))

    @abstractmethod
    def scale(self, batch: Batch) -> NDArray[np.float64]:
        """(n, horizons) width, above 0, up to a factor a horizon."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts; the quantiles are those of both, for what follows has its crashes too."""
        self.learn(train, valid)
        known = train.join(valid)
        z = (target_of(known) - self.centre(known)) / self.scale(known)
        self.standard = np.quantile(z, self.signature.levels, axis=0).T
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=float(np.mean(z**2)), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Forecast:
        centre, scale = self.centre(batch), self.scale(batch)
        quantiles = centre[:, :, None] + scale[:, :, None] * self.standard
        return Forecast(centre.astype(np.float32), quantiles.astype(np.float32), self.signature.levels)

    def state(self) -> Mapping[str, NDArray]:
        return {"standard": self.standard}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.standard = state["standard"]

    def column(self, name: str) -> int:
        """Position of a feature in the panel or table."""
        return self.signature.feature_names.index(name)

    @property
    def root(self) -> NDArray[np.float64]:
        """(horizons,) by what a random walk's deviation grows."""
        return np.sqrt(np.asarray(self.signature.horizons, np.float64))


def target_of(batch: Batch) -> NDArray[np.float64]:
    """(n, horizons) targets of a batch that has some."""
    if batch.target is None:
        raise ValueError("target: a fit needs a batch with targets; build the view with y")
    return batch.target.astype(np.float64)


class VolatilityScale:
    """exp(½ (b0 + b1 log v_day + b2 log v_week + b3 log v_month)) a horizon, b by least squares of the log of squared returns on them.

    The log ARCH of Geweke and of Pantula (comments in Econometric Reviews 5(1), 1986) on the three averages of HAR. What the log of
    a noisy square is off by is a factor, which standardised quantiles take out. `weights` (4, horizons).
    """

    NAMES = ("log_var_d", "log_var_w", "log_var_m")
    FLOOR = 1e-8
    """Least squared return, one basis point: a close equal to the last one is no return without risk."""

    def __init__(self, weights: NDArray[np.float64], columns: tuple[int, ...]) -> None:
        self.weights, self.columns = weights, columns

    @classmethod
    def of(cls, batch: Batch, columns: tuple[int, ...]) -> Self:
        """From rows with targets; `columns` are the places of `NAMES` among the inputs."""
        squared = np.log(np.maximum(np.square(target_of(batch)), cls.FLOOR))
        return cls(np.linalg.lstsq(_design(batch, columns), squared, rcond=None)[0], columns)

    def __call__(self, batch: Batch) -> NDArray[np.float64]:
        """(n, horizons), above 0."""
        return np.exp(_design(batch, self.columns) @ self.weights / 2)


def _design(batch: Batch, columns: tuple[int, ...]) -> NDArray[np.float64]:
    return np.column_stack([np.ones(len(batch)), batch.inputs[:, list(columns)].astype(np.float64)])
