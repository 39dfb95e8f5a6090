"""Isolation trees of scikit-learn as plain arrays: fitted there, evaluated here, so that no pickle is ever needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean_path(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean depth of an unsuccessful search in a binary tree of so many rows, c(n) of Liu, Ting and Zhou (2008), equation 1."""
    rows = np.asarray(rows, np.float64)
    many = np.maximum(rows, 3.0)
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many))


@dataclass(frozen=True, slots=True)
class IsolationTrees:
    """The nodes of all trees side by side. Shapes: (trees, nodes) each, padded with leaves; usual (1,): c of the rows of a tree.

    A row goes to `left` where its feature is at most the threshold; a leaf leads to itself, and its `path` is its depth plus c
    of the rows that it was left with.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    path: NDArray[np.float64]
    usual: NDArray[np.float64]

    @classmethod
    def of(cls, fitted: Any) -> Self:
        """The trees of a fitted `IsolationForest` that draws from all features."""
        trees = [estimator.tree_ for estimator in fitted.estimators_]
        width = max(tree.node_count for tree in trees)
        own = np.broadcast_to(np.arange(width, dtype=np.int32), (len(trees), width))
        feature, threshold, path = np.zeros(own.shape, np.int32), np.zeros(own.shape), np.zeros(own.shape)
        left, right = own.copy(), own.copy()
        for row, tree in enumerate(trees):
            n = tree.node_count
            leaf = tree.children_left < 0
            feature[row, :n], threshold[row, :n] = np.where(leaf, 0, tree.feature), np.where(leaf, 0.0, tree.threshold)
            left[row, :n] = np.where(leaf, own[row, :n], tree.children_left)
            right[row, :n] = np.where(leaf, own[row, :n], tree.children_right)
            path[row, :n] = _depths(tree.children_left, tree.children_right) + mean_path(tree.n_node_samples)
        return cls(feature, threshold, left, right, path, mean_path(np.array([fitted.max_samples_])))

    def score(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """2 ** -(mean path / usual path), between 0 and 1, higher is stranger. Shape: (n, features) -> (n,)."""
        rows, total = np.arange(len(x)), np.zeros(len(x))
        # A tree at a time: its few hundred nodes stay in the cache.
        for feature, threshold, left, right, path in zip(self.feature, self.threshold, self.left, self.right, self.path, strict=True):
            at = np.zeros(len(x), np.int32)
            while True:
                following = np.where(x[rows, feature[at]] <= threshold[at], left[at], right[at])
                if np.array_equal(following, at):
                    break
                at = following
            total += path[at]
        return np.exp2(-total / (len(self.feature) * self.usual[0]))

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The trees of `state()`."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Edges from the root to each node. Shape: (nodes,)."""
    depth, level, at = np.zeros(len(left)), np.zeros(1, np.int64), 0
    while len(level):
        depth[level] = at
        inner = level[left[level] >= 0]
        level, at = np.concatenate([left[inner], right[inner]]), at + 1
    return depth
