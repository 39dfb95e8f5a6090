"""Gradient-boosted trees that part two classes: stopped by the validation rows, then fitted once more on all rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Hyperparameters

from ._classes import categories, class_numbers, pair_of, table, two_classes
from ._trees import CategoryOrder, Forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Table

PATIENCE = 20
"""Trees without a better loss on the validation rows before boosting stops."""


class Pace(Protocol):
    """The hyperparameters that boosting reads."""

    learning_rate: float
    trees: int
    leaves: int
    leaf_rows: int
    l2: float


H = TypeVar("H", bound=Hyperparameters)


class BoostedClasses(Estimator[H]):
    """Log odds = base + Σ trees, fitted by scikit-learn's `HistGradientBoostingClassifier`, kept and predicted as arrays.

    Numbers may be missing. The hyperparameters are those of `Pace`.
    """

    seeded = False
    label: ClassVar[str]
    """What an error calls the entry."""

    forest: Forest
    order: CategoryOrder

    @abstractmethod
    def signs(self) -> tuple[int, ...]:
        """The direction that each number is bound to: 1, -1, or 0 for none."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Find the number of trees on the validation rows, then learn from both parts."""
        first, y, y_valid = table(train, self.label), two_classes(train, self.signature, self.label), class_numbers(valid, self.signature)
        self.order = CategoryOrder.of(categories(first, self.signature), y, self.signature.category_sizes)
        stopped = self._boosting(self._pace.trees, patience=PATIENCE)
        stopped.fit(_known_somewhere(self._inputs(first)), y, X_val=self._inputs(table(valid, self.label)), y_val=y_valid)
        # The last trees before stopping brought nothing: what counts is the best number, not the last one.
        best = max(1, int(np.argmax(stopped.validation_score_)))

        both = table(train.join(valid), self.label)
        target = np.concatenate([y, y_valid])
        self.order = CategoryOrder.of(categories(both, self.signature), target, self.signature.category_sizes)
        self.forest = Forest.of(self._boosting(best).fit(_known_somewhere(self._inputs(both)), target))
        loss = -float(stopped.validation_score_[best])
        on_progress(Progress(epoch=1, epochs=1, step=best, steps=best, loss=loss, metric=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(pair_of(self.forest.score(self._inputs(table(batch, self.label)))), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {**self.forest.state(), "order": self.order.rank}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.forest, self.order = Forest.restore(state), CategoryOrder(state["order"])

    @property
    def _pace(self) -> Pace:
        pace: Any = self.hyperparameters
        return pace

    def _inputs(self, batch: Table) -> NDArray[np.float64]:
        """(n, features + categories)."""
        return np.concatenate([batch.values.astype(np.float64), self.order.apply(categories(batch, self.signature))], axis=1)

    def _boosting(self, trees: int, patience: int = 0) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            learning_rate=self._pace.learning_rate,
            max_iter=trees,
            max_leaf_nodes=self._pace.leaves,
            min_samples_leaf=self._pace.leaf_rows,
            l2_regularization=self._pace.l2,
            monotonic_cst=[*self.signs(), *(0 for _ in self.signature.category_sizes)],
            categorical_features=None,
            early_stopping=bool(patience),
            n_iter_no_change=patience or 10,
            random_state=0,
        )


def _known_somewhere(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inputs, a column that is missing in every row as a constant: scikit-learn cannot bin what has no value, and nothing splits on either."""
    return np.where(np.isnan(x).all(axis=0), 0.0, x)
