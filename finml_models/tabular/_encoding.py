"""How numbers of a table enter a network: by their rank, mapped to a normal, and cut into bins for piecewise-linear embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.training.encoder import Encoder, Shared
from finml_models.training.minibatch import Source, TableSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

QUANTILES = 512
"""Points at which the distribution of a column is kept."""
FURTHEST = 3.0
"""Standard deviations at which the normal scores end: beyond the training data there is nothing to tell far from very far."""


class RankEncoder(Encoder):
    """Numbers to normal scores of their rank among the training rows, missing ones to 0, the median; optionally with their bins.

    `quantiles` (points, f), ascending. `edges` (f, bins + 1) of the piecewise-linear encoding, on the normal scores, or None: the encoding
    of the value then stands behind its score, (n, f, 1 + bins) instead of (n, f).
    """

    neutral_row = "the medians of the training rows"

    def __init__(self, quantiles: NDArray[np.float32], edges: NDArray[np.float32] | None = None) -> None:
        self._quantiles, self._edges = quantiles, edges

    @classmethod
    def of(cls, train: Batch, bins: int = 0) -> Self:
        """Learned from the numbers of the training rows that are there; `bins` 0 for none."""
        values = _table(train).values
        quantiles = np.zeros((QUANTILES, values.shape[1]), np.float32)
        for column in range(values.shape[1]):
            known = values[~np.isnan(values[:, column]), column]
            if len(known):
                quantiles[:, column] = np.quantile(known, np.linspace(0, 1, QUANTILES))
        encoder = cls(quantiles)
        return cls(quantiles, bin_edges(encoder.scores(values), bins)) if bins else encoder

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], features: int, bins: int = 0) -> Self:
        """The encoder of `state()`; `KeyError` for a missing array, `ValueError` for one of another shape."""
        shapes = {"encoder.quantiles": (QUANTILES, features)} | ({"encoder.edges": (features, bins + 1)} if bins else {})
        for name, shape in shapes.items():
            if state[name].shape != shape:
                raise ValueError(f"{name}: shape {state[name].shape} where {shape} is needed: take the state of the same signature and hyperparameters")
        return cls(*(np.array(state[name], np.float32) for name in shapes))

    def scores(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normal scores, NaN where a number is missing. Shape: (n, f) -> (n, f)."""
        from scipy.special import ndtri

        grid = np.linspace(0, 1, len(self._quantiles))
        rank = np.empty(values.shape, np.float64)
        for column, known in enumerate(self._quantiles.T.astype(np.float64)):
            x = values[:, column].astype(np.float64)
            # Tied training values span several quantiles: the middle of the span, reached from both sides.
            rank[:, column] = (np.interp(x, known, grid) - np.interp(-x, -known[::-1], -grid[::-1])) / 2
        return np.clip(ndtri(rank), -FURTHEST, FURTHEST).astype(np.float32)

    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> Source:
        rows = _table(batch)
        if id(rows.values) not in shared:
            if np.isinf(rows.values).any():
                raise DataError(f"values: {int(np.isinf(rows.values).sum())} numbers are infinite: correct or leave out those rows")
            scores = self.scores(rows.values)
            encoded = scores if self._edges is None else np.concatenate([scores[:, :, None], piecewise_linear(scores, self._edges)], axis=2)
            shared[id(rows.values)] = torch.from_numpy(encoded).to(device)
        codes = None if rows.codes is None else torch.from_numpy(np.array(rows.codes, np.int64)).to(device)
        return TableSource(shared[id(rows.values)], target, codes)

    def neutral(self, numbers: Tensor) -> Tensor:
        """The median of every column: score 0, and the bins that it has passed."""
        if self._edges is None:
            return torch.zeros_like(numbers)
        scores = np.zeros((1, len(self._edges)), np.float32)
        row = np.concatenate([scores[:, :, None], piecewise_linear(scores, self._edges)], axis=2)
        return torch.from_numpy(row).to(numbers).expand_as(numbers).clone()

    def state(self) -> dict[str, NDArray[Any]]:
        return {"encoder.quantiles": self._quantiles} | ({} if self._edges is None else {"encoder.edges": self._edges})


def bin_edges(values: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Quantiles of each column without the missing values, each once. Shape: (n, f) -> (f, bins + 1), padded with NaN.

    Gorishniy, Rubachev and Babenko, On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022, section 3.2.1.
    """
    edges = np.full((values.shape[1], bins + 1), np.nan, np.float32)
    for row, column in zip(edges, values.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            own = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)).astype(np.float32))
            row[: len(own)] = own
    return edges


def piecewise_linear(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far a value has come through each bin, 1 for those that it has passed; 0 for all where it is missing. (n, f) -> (n, f, bins).

    Same paper, equation 1: the first bin goes on below its edge and the last above it. Bins that a column does not have are 0.
    """
    low, high = edges[:, :-1], edges[:, 1:]
    own = np.isfinite(high)
    last = own & ~np.concatenate([own[:, 1:], np.zeros((len(own), 1), bool)], axis=1)
    least = np.where(np.arange(own.shape[1]) == 0, -np.inf, 0.0)
    most = np.where(last, np.inf, 1.0)
    width = np.where(own, high - low, 1.0)
    share = np.clip((values[:, :, None] - np.where(own, low, 0.0)) / width, least, most)
    return np.where(own & ~np.isnan(values)[:, :, None], share, 0.0).astype(np.float32)


def _table(batch: Batch) -> Table:
    if not isinstance(batch, Table):
        raise TypeError(f"batch: {type(batch).__name__} has no columns to encode; give a Table")
    return batch
