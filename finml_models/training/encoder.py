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

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]] | None:
        """All rows of a small batch as the one minibatch that `source` would make of them, by the path of its fields and to the bit; None where it has to."""
        del batch
        return None

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

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]] | None:
        """Whole windows, and tables."""
        if isinstance(batch, Table):
            values = np.nan_to_num(self._scaling.inputs.clipped(batch.values), copy=False, nan=0.0)
            return {"values": values} if batch.codes is None else {"values": values, "codes": np.array(batch.codes, np.int64)}
        if not isinstance(batch, Windows) or not _inside(batch):
            return None
        found = {"past": self._scaling.inputs.clipped(_cut(batch.panel, batch, batch.length))}
        if batch.static is not None:
            found["static"] = self._scaling.inputs_of("static").clipped(batch.static[batch.series])
        if batch.known is not None:
            found["known"] = self._scaling.inputs_of("known").clipped(_cut(batch.known, batch, batch.length + batch.known.shape[1] - batch.panel.shape[1]))
        return found

    def original(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised inputs (..., features) in the units that they came in."""
        return self._scaling.inputs.original(values)

    def state(self) -> dict[str, NDArray[Any]]:
        return self._scaling.state()


def _inside(batch: Windows) -> bool:
    """Whether there is a row, and every window is whole and lies inside the panel."""
    series, end = batch.series, batch.end
    if len(end) == 1:
        return batch.length - 1 <= end[0] < batch.panel.shape[1] and 0 <= series[0] < batch.panel.shape[0]
    whole = len(end) and int(end.min()) >= batch.length - 1 and int(end.max()) < batch.panel.shape[1]
    return bool(whole and int(series.min()) >= 0 and int(series.max()) < batch.panel.shape[0])


def _cut(panel: NDArray[np.float32], batch: Windows, length: int) -> NDArray[np.float32]:
    """`length` rows of the panel (s, t, f) from the first row of each window on. Shape: (n, length, f)."""
    first = batch.end - (batch.length - 1)
    if len(first) == 1:
        begin = int(first[0])
        return panel[int(batch.series[0]), begin : begin + length][None]
    found: NDArray[np.float32] = panel[batch.series[:, None], first[:, None] + np.arange(length)]
    return found
