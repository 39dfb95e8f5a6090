"""Gradient-boosted trees of scikit-learn as plain arrays: fitted there, predicted here, so that no pickle is ever needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 4096
"""Rows that go down all trees together: what keeps memory flat."""


@dataclass(frozen=True, slots=True)
class Forest:
    """The nodes of all trees side by side. Shapes: (trees, nodes) each, trees with fewer nodes padded with leaves of value 0.

    A row goes to `left` where its feature is at most the threshold, and where it is missing and `missing_left` is 1; a leaf
    leads to itself. The score is `base` (1,) plus the value of the leaf that each tree ends in.
    """

    base: NDArray[np.float64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.uint8]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, fitted: Any) -> Self:
        """The trees of a fitted `HistGradientBoostingRegressor`, or binary `HistGradientBoostingClassifier`, without native categories."""
        # Scikit-learn has no public way to the nodes; tests/baselines/test_trees.py holds the two predictions together.
        trees = [predictors[0].nodes for predictors in fitted._predictors]  # noqa: SLF001
        width = max((len(nodes) for nodes in trees), default=1)

        def gathered(name: str, dtype: type[np.generic]) -> NDArray[Any]:
            out = np.zeros((len(trees), width), dtype)
            for row, nodes in zip(out, trees, strict=True):
                row[: len(nodes)] = nodes[name]
            return out

        leaf = np.ones((len(trees), width), bool)
        for row, nodes in zip(leaf, trees, strict=True):
            row[: len(nodes)] = nodes["is_leaf"]
        own = np.broadcast_to(np.arange(width, dtype=np.int32), leaf.shape)
        return cls(
            base=np.asarray(fitted._baseline_prediction, np.float64).reshape(1),  # noqa: SLF001
            feature=gathered("feature_idx", np.int32),
            threshold=gathered("num_threshold", np.float64),
            missing_left=gathered("missing_go_to_left", np.uint8),
            left=np.where(leaf, own, gathered("left", np.int32)),
            right=np.where(leaf, own, gathered("right", np.int32)),
            value=np.where(leaf, gathered("value", np.float64), 0.0),
        )

    def score(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over all trees. Shape: (n, features) -> (n,)."""
        return np.concatenate([self._score(part) for part in np.split(x, range(CHUNK, len(x), CHUNK))]) if len(x) else np.zeros(0)

    def _score(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        tree, row = np.arange(len(self.feature)), np.arange(len(x))[:, None]
        at = np.zeros((len(x), len(tree)), np.int32)
        while True:
            seen = x[row, self.feature[tree, at]]
            goes_left = np.where(np.isnan(seen), self.missing_left[tree, at] == 1, seen <= self.threshold[tree, at])
            following = np.where(goes_left, self.left[tree, at], self.right[tree, at])
            if np.array_equal(following, at):
                return self.base[0] + self.value[tree, at].sum(axis=1)
            at = following

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The forest of `state()`."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


class CategoryOrder:
    """Categories as numbers in the order of their share of class 1, unknown ones missing, so that a tree can part them by a threshold.

    For two classes the best split into two sets of categories is a cut in this order (Fisher, JASA 53, 1958; Breiman,
    Friedman, Olshen and Stone, Classification and Regression Trees, 1984, theorem 4.5). `rank` (columns, largest size + 1).
    """

    def __init__(self, rank: NDArray[np.float64]) -> None:
        self.rank = rank

    @classmethod
    def of(cls, codes: NDArray[np.int64], target: NDArray[np.float64], sizes: tuple[int, ...]) -> Self:
        """The order in training rows; shares are shrunk to the mean by `SHRINK` rows, so that a rare category is not an extreme one."""
        rank = np.full((len(sizes), max(sizes, default=0) + 1), np.nan)
        mean = float(target.mean())
        for column, size in enumerate(sizes):
            counts = np.bincount(codes[:, column], minlength=size + 1)
            share = (np.bincount(codes[:, column], weights=target, minlength=size + 1) + cls.SHRINK * mean) / (counts + cls.SHRINK)
            rank[column, 1 + np.argsort(share[1:], kind="stable")] = np.arange(size)
        return cls(rank)

    SHRINK = 20.0

    def apply(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Shape: (n, columns) -> (n, columns)."""
        return self.rank[np.arange(codes.shape[1]), codes]
