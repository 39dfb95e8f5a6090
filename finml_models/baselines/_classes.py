"""What the classifying baselines share: the class numbers of a batch, and probabilities from log odds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.batches import Table
from finml_models.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature


def class_numbers(batch: Batch, signature: Signature) -> NDArray[np.int64]:
    """(n,) number of each row's class; `DataError` for a batch without targets or with a class that the signature has no name for."""
    if batch.target is None or not len(batch):
        raise DataError(f"target: {len(batch)} rows, target {'absent' if batch.target is None else 'present'}: a fit needs rows with targets")
    numbers = batch.target[:, 0].astype(np.int64)
    if not 0 <= numbers.min() <= numbers.max() < len(signature.classes):
        raise DataError(f"target: class numbers from {numbers.min()} to {numbers.max()} for the classes {signature.classes}; number them from 0")
    return numbers


def two_classes(batch: Batch, signature: Signature, name: str) -> NDArray[np.float64]:
    """(n,) 0 or 1; `DataError` unless the signature has two classes and both occur."""
    numbers = class_numbers(batch, signature)
    if len(signature.classes) != 2 or numbers.min() == numbers.max():
        raise DataError(f"target: {name} parts two classes, of {signature.classes} it saw {sorted(set(numbers.tolist()))}; give rows of both")
    return numbers.astype(np.float64)


def table(batch: Batch, name: str) -> Table:
    """The batch, as the table that it has to be."""
    if not isinstance(batch, Table):
        raise TypeError(f"batch: {name} reads tables, not {type(batch).__name__}")
    return batch


def categories(batch: Table, signature: Signature) -> NDArray[np.int64]:
    """(n, c) category numbers; those beyond the sizes of the signature are unknown, 0."""
    if not signature.category_sizes:
        return np.zeros((len(batch), 0), np.int64)
    if batch.codes is None:
        raise DataError(f"codes: the batch has no categories, the signature names {signature.category_names}: build the batch with the same task view")
    return np.where((batch.codes < 0) | (batch.codes > np.array(signature.category_sizes)), 0, batch.codes)


def pair_of(log_odds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Log odds (n,) of the second class to probabilities of both. Shape: (n, 2)."""
    p = 1 / (1 + np.exp(-log_odds))
    return np.stack([1 - p, p], axis=1).astype(np.float32)
