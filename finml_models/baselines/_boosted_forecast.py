"""Boosted trees that forecast: the mean of a return by trees, its width by volatility."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ._standardised import VolatilityScale, target_of
from ._trees import Forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

PATIENCE = 10
LIMIT = 3.0
"""Standardised returns beyond this are cut while trees learn: a crash is one leaf's worth of rows."""


class BoostedMean:
    """Trees a horizon for the mean of standardised returns, and the scale that standardised them.

    `learn` finds the number of trees on the validation rows; none, a forecast of 0, is among the candidates.
    """

    def __init__(self, width: VolatilityScale, forests: tuple[Forest, ...]) -> None:
        self.width, self.forests = width, forests

    @classmethod
    def learn(cls, train: Batch, valid: Batch, columns: tuple[int, ...], *, stride: int, **boosting: Any) -> Self:
        """From every `stride`-th training date: neighbouring labels overlap, and trees take time."""
        width = VolatilityScale.of(train.join(valid), columns)
        few = train.take(np.flatnonzero(np.unique(train.time, return_inverse=True)[1] % stride == 0))
        x, z = few.inputs.astype(np.float64), np.clip(target_of(few) / width(few), -LIMIT, LIMIT)
        held, wanted = valid.inputs.astype(np.float64), np.clip(target_of(valid) / width(valid), -LIMIT, LIMIT)
        return cls(width, tuple(_grown(x, z[:, h], held, wanted[:, h], **boosting) for h in range(z.shape[1])))

    def mean(self, batch: Batch) -> NDArray[np.float64]:
        """(n, horizons)."""
        x = batch.inputs.astype(np.float64)
        return np.stack([forest.score(x) for forest in self.forests], axis=1) * self.width(batch)

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        trees = {f"h{i}.{name}": values for i, forest in enumerate(self.forests) for name, values in forest.state().items()}
        return {"width": self.width.weights, **trees}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], columns: tuple[int, ...], horizons: int) -> Self:
        """The trees of `state()`."""
        parts = [{name.removeprefix(f"h{i}."): values for name, values in state.items() if name.startswith(f"h{i}.")} for i in range(horizons)]
        return cls(VolatilityScale(state["width"], columns), tuple(Forest.restore(part) for part in parts))


def _grown(
    x: NDArray[np.float64], z: NDArray[np.float64], held: NDArray[np.float64], wanted: NDArray[np.float64], *, trees: int, rate: float, leaves: int, rows: int
) -> Forest:
    """Trees for one horizon, from a start of 0, as many as the validation rows like best."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor(
        learning_rate=rate, max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=rows, early_stopping=True, n_iter_no_change=PATIENCE, random_state=0
    )
    fitted = boosting.fit(x, z, X_val=held, y_val=wanted)
    forest = Forest.of(fitted)
    # What a return is on average is left to the quantiles, so that a forecast without any tree is 0.
    stages = [np.zeros(len(held)), *(stage - forest.base for stage in fitted.staged_predict(held))]
    best = int(np.argmin([np.square(wanted - stage).mean() for stage in stages]))
    return Forest(np.zeros(1), **{field.name: getattr(forest, field.name)[:best] for field in fields(forest) if field.name != "base"})
