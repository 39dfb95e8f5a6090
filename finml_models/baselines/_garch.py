"""GARCH(1,1)-t asset by asset: estimated by `arch`, kept as an array, projected in closed form. For baselines of variance and of returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.batches import Windows

from ._entities import EntityNames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

PERCENT = 100.0
"""arch's optimiser wants returns in per cent."""
LEAST_DAYS = 250
"""Fewer returns than a year's are not worth a fit of four parameters: such an asset takes the pool's."""
DAILY_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class Garch:
    """Parameters (entities + 1, 4): mean, α, β, unconditional variance; of daily returns. Row 0 holds their medians, for other assets."""

    names: EntityNames
    parameters: NDArray[np.float64]

    @classmethod
    def of(cls, train: Batch, column: int) -> Self:
        """Estimated on the returns in a column of the panel, each asset's up to its newest row of the batch."""
        windows = read(train)
        newest = {s: int(windows.end[windows.series == s].max()) for s in np.unique(windows.series)}
        fitted = {s: _estimate(windows.panel[s, : end + 1, column].astype(np.float64)) for s, end in newest.items()}
        known = {s: parameters for s, parameters in fitted.items() if parameters is not None}
        if not known:
            raise ValueError(f"train: no asset has the {LEAST_DAYS} days that GARCH needs; add history")
        names = EntityNames.of(windows.entities[list(known)])
        table = dict(zip(names.rows(windows.entities[list(known)]), known.values(), strict=True))
        return cls(names, np.array([np.median(list(known.values()), axis=0), *(table[row] for row in range(1, len(names)))]))

    def mean(self, batch: Batch) -> NDArray[np.float64]:
        """(n,) mean of a daily return."""
        windows = read(batch)
        return self.parameters[self.names.rows(windows.entities)[windows.series], 0]

    def variance(self, batch: Batch, column: int, horizons: tuple[int, ...]) -> NDArray[np.float64]:
        """(n, horizons) mean daily variance of the coming sessions. An asset that was not in training has the level of its own window."""
        windows = read(batch)
        returns = windows.gather(column).astype(np.float64)
        rows = self.names.rows(windows.entities)[windows.series]
        mean, alpha, beta, level = self.parameters[rows].T
        squared = (returns - mean[:, None]) ** 2
        level = np.where(rows == 0, squared.mean(axis=1), level)
        # The recursion unrolled over the window, started at the unconditional level.
        age = np.arange(windows.length - 1, -1, -1.0)
        decay = beta[:, None] ** age
        omega = level * (1 - alpha - beta)
        tomorrow = (decay * (omega[:, None] + alpha[:, None] * squared)).sum(axis=1) + beta**windows.length * level
        persistence = (alpha + beta)[:, None]
        ahead = np.asarray(horizons, dtype=np.float64)
        weight = (1 - persistence**ahead) / (1 - persistence) / ahead
        return np.maximum(level[:, None] + weight * (tomorrow - level)[:, None], DAILY_FLOOR)

    def state(self) -> dict[str, NDArray]:
        """Both arrays by name."""
        return {"parameters": self.parameters, "names": self.names.letters}


def _estimate(returns: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(mean, α, β, unconditional variance) of one asset, or None where there is too little or too odd a history."""
    from arch import arch_model

    sample = returns[np.isfinite(returns)] * PERCENT
    if len(sample) < LEAST_DAYS or sample.std() == 0:
        return None
    fitted = arch_model(sample, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False).fit(disp="off", show_warning=False)
    mean, omega, alpha, beta = (fitted.params[name] for name in ("mu", "omega", "alpha[1]", "beta[1]"))
    # An integrated fit has no unconditional variance: hold the persistence below one and take the sample's level.
    persistence = alpha + beta
    if persistence >= 0.9995:
        alpha, beta, level = alpha * 0.9995 / persistence, beta * 0.9995 / persistence, sample.var()
    else:
        level = omega / (1 - persistence)
    return np.array([mean / PERCENT, alpha, beta, level / PERCENT**2])


def read(batch: Batch) -> Windows:
    """The batch as windows, which is what GARCH reads."""
    if not isinstance(batch, Windows):
        raise TypeError(f"batch: GARCH reads windows, not {type(batch).__name__}")
    return batch
