"""Classes of which one is rare: training on fewer rows of the common ones, and logits that start from how rare it is.

A network whose classes are 1 to 100 spends its first epochs on finding out so, and most of every epoch on rows that say the same. So it learns
what a row adds to the log odds of its class's share, which is counted rather than learned, and an epoch sees every n-th row of a common
class, the next epoch the next ones. The share among the rows that it sees stands in its loss, the true share in its answers: its
probabilities need no correction (King and Zeng, Logistic Regression in Rare Events Data, Political Analysis 9(2), 2001, section 4; Menon et al., Long-tail
learning via logit adjustment, ICLR 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

RARE = 0.05
"""Share of the training rows below which the rarest class changes how all are trained."""
COMMON = 10
"""A class with more rows than this many times the rarest's is thinned, and never below it."""


@dataclass(frozen=True, slots=True)
class Rarity:
    """Shapes: true and seen (classes,) log shares of the classes, among all training rows and among those that train; stride (classes,)."""

    true: NDArray[np.float32]
    seen: NDArray[np.float32]
    stride: NDArray[np.int64]

    @classmethod
    def of(cls, train: Batch, classes: int, stride: int) -> Self | None:
        """What the training rows say; None where no class is rare."""
        assert train.target is not None  # noqa: S101 - checked by `fit`
        # Half a row more a class: one that was never seen is not impossible.
        counts = np.bincount(train.target[:, 0].astype(np.int64), minlength=classes)[:classes] + 0.5
        if counts.min() >= RARE * counts.sum():
            return None
        strides = np.clip((counts / (COMMON * counts.min())).astype(np.int64), 1, stride)
        return cls(*(np.log(rows / rows.sum()).astype(np.float32) for rows in (counts, counts / strides)), strides)

    def turns(self, batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Turn and period (rows,) of every n-th row of each class, n its stride (`phases.Phases`)."""
        assert batch.target is not None  # noqa: S101 - checked by `fit`
        number = batch.target[:, 0].astype(np.int64)
        turn = np.zeros(len(number), np.int64)
        for one, stride in enumerate(self.stride):
            of_class = number == one
            turn[of_class] = np.arange(of_class.sum()) % stride
        return turn, self.stride[number]

    def thin(self, batch: Batch) -> Batch:
        """Every n-th row of each class, n its stride, in their order: those of the first turn."""
        return batch.take(np.flatnonzero(self.turns(batch)[0] == 0))
