"""What a model learns of its inputs before the first epoch, and how it makes minibatches of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from finml_models.core.batches import Table, Windows
from finml_models.core.graphs import Graphs

from .minibatch import Source, TableSource, WindowSource
from .scaling import Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature


Shared = dict[int, Tensor]
"""Encoded arrays by the id of the array, for batches over one panel that are alive together."""


class Encoder(ABC):
    """Learned from the training rows alone and kept with the weights: moments, a tokenizer."""

    neutral_row: ClassVar[str] = "the means of the training rows"
    """What `neutral` gives, in words."""

    @abstractmethod
    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> Source:
        """The minibatches of a batch; `target` is already what the loss wants, on the device."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that was learned, by name."""

    def neutral(self, numbers: Tensor) -> Tensor:
        """Encoded numbers of the same shape that say nothing of a row: what an explanation compares it with; 0 where they are standardised."""
        return torch.zeros_like(numbers)


class NumericEncoder(Encoder):
    """Standardises windows, tables and graphs."""

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling

    @classmethod
    def of(cls, train: Batch, signature: Signature) -> Self:
        """With the moments of the training rows."""
        return cls(Scaling.of(train, signature))

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], signature: Signature) -> Self:
        """The encoder of `state()`; `KeyError` or `ValueError` where it does not fit."""
        return cls(Scaling.restore(state, signature))

    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> Source:
        def once(name: str, values: np.ndarray) -> Tensor:
            if id(values) not in shared:
                shared[id(values)] = torch.from_numpy(self._scaling.inputs_of(name).clipped(values)).to(device)
            return shared[id(values)]

        if isinstance(batch, Windows):
            return WindowSource(
                batch,
                once("inputs", batch.panel),
                static=None if batch.static is None else once("static", batch.static),
                known=None if batch.known is None else once("known", batch.known),
                target=target,
            )
        if isinstance(batch, Table):
            codes = None if batch.codes is None else torch.from_numpy(np.array(batch.codes, np.int64)).to(device)
            return TableSource(once("inputs", batch.values), target, codes)
        if isinstance(batch, Graphs):
            from .graph_minibatch import GraphSource

            return GraphSource(batch, once("inputs", batch.nodes), target)
        raise TypeError(f"batch: {type(batch).__name__} has no numeric minibatches; its model needs an encoder of its own")

    def original(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised inputs (..., features) in the units that they came in."""
        return self._scaling.inputs.original(values)

    def state(self) -> dict[str, NDArray[Any]]:
        return self._scaling.state()
