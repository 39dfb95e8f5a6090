"""What the regime baselines share: rows in the order of time, hard groups as regimes, and the law of the next return in each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.batches import Windows
from finml_models.core.estimator import Estimator, H, OnProgress, Progress, ignore
from finml_models.core.predictions import Regimes
from finml_models.training.regimes import Laws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch


class RegimeBaseline(Estimator[H]):
    """Regimes calmest first, each row from its own window alone."""

    seeded = False

    laws: Laws

    @abstractmethod
    def learn(self, known: Windows, following: NDArray[np.float64]) -> None:
        """Set `laws` and whatever `probabilities` needs, from rows in the order of time and the return that followed each (n,)."""

    @abstractmethod
    def probabilities(self, windows: Windows) -> NDArray[np.float64]:
        """(n, k), calmest first."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early, and an expert would not leave data unused."""
        known = windows_of(train.join(valid))
        known = known.take(np.argsort(known.time, kind="stable"))
        if known.target is None:
            raise ValueError("target: a fit needs a batch with targets; build the view with y")
        following = known.target[:, 0].astype(np.float64)
        self.learn(known, following)
        loss = -float(self.laws.log_density(self.probabilities(known), following).mean())
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Regimes:
        return self.laws.regimes(self.probabilities(windows_of(batch)))

    def column(self, name: str) -> int:
        """Position of a feature; raises `ValueError` with the features there are."""
        return self.signature.feature_names.index(name)

    def state(self) -> Mapping[str, NDArray]:
        return {"laws.mean": self.laws.mean, "laws.std": self.laws.std}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.laws = Laws(state["laws.mean"], state["laws.std"])


def windows_of(batch: Batch) -> Windows:
    """The batch as windows; `TypeError` for another kind."""
    if not isinstance(batch, Windows):
        raise TypeError(f"batch: regime baselines read windows, not {type(batch).__name__}")
    return batch


def hard(groups: NDArray[np.integer], number: int) -> NDArray[np.float64]:
    """(n,) numbers of groups as probabilities of 0 and 1, (n, number)."""
    return np.eye(number)[groups]
