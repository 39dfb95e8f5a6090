"""Contrastive representation (TS2Vec, Yue et al. 2022) with causal convolutions; or two views under NT-Xent (Chen et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from finml_models.core.errors import NotFitted
from finml_models.training.representation import Representation, newest_last

from ._sessions import DatedEncoder
from .card import ContrastiveHyperparameters
from .losses import hierarchical, nt_xent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.minibatch import WindowTensors

    from ._sessions import DatedWindows

KERNEL = 3


class Output(NamedTuple):
    """Shapes: embedding (b, d) of the window; first and second (b, overlap, d), what two views say of the same rows.

    Outside training the first view is the whole window, and the second is left to the loss.
    """

    embedding: Tensor
    first: Tensor
    second: Tensor | None


class CausalConvolution(nn.Module):
    """A dilated convolution over this row and the ones before it, as one matrix product. Shape: (b, l, inputs) -> (b, l, outputs)."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.linear = nn.Linear(KERNEL * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        earlier = (pad(x, (0, 0, lag * self.dilation, 0))[:, :length] for lag in range(KERNEL))
        return self.linear(torch.cat(list(earlier), dim=-1))


class Block(nn.Module):
    """Two convolutions of one dilation around a skip connection. Shape: (b, l, inputs) -> (b, l, outputs)."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.first = CausalConvolution(inputs, outputs, dilation)
        self.second = CausalConvolution(outputs, outputs, dilation)
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.second(gelu(self.first(gelu(x))))


class Network(nn.Module):
    """Every row of a window to what it and its past say. Shape: (b, length, f) -> (b, length, representation)."""

    def __init__(self, h: ContrastiveHyperparameters, s: Signature) -> None:
        super().__init__()
        self.mask_probability, self.pool = h.mask_probability, h.pool
        self.inputs = nn.Linear(s.features, h.hidden)
        outputs = [h.hidden] * (h.blocks - 1) + [h.representation]
        self.blocks = nn.Sequential(*(Block(h.hidden, width, 2**i) for i, width in enumerate(outputs)))
        self.dropout = nn.Dropout(h.dropout)
        # It takes what only the contrast needs, and is left out of the representation.
        self.projection = None
        if h.loss == "nt_xent":
            self.projection = nn.Sequential(nn.Linear(h.representation, h.representation), nn.GELU(), nn.Linear(h.representation, h.representation))

    def forward(self, x: WindowTensors) -> Output:
        past, there = newest_last(x)
        if not self.training:
            whole = self.encode(past, there)
            return Output(self.newest(whole), whole, None)
        early, late, end = crops(past.shape[1])
        first, second = (self.encode(past[:, start:end], None if there is None else there[:, start:end]) for start in (early, late))
        return Output(self.newest(second), first[:, late - early :], second)

    def newest(self, rows: Tensor) -> Tensor:
        """The window's representation: the largest value of each dimension over its newest rows, as the paper pools a whole series."""
        return rows[:, -self.pool :].amax(dim=1)

    def encode(self, past: Tensor, there: Tensor | None) -> Tensor:
        """Rows that are missing, and while training a random share of all, are hidden behind the first layer, where 0 is no value."""
        hidden = self.inputs(past)
        if there is not None:
            hidden = hidden * there[:, :, None]
        if self.training and self.mask_probability:
            hidden = hidden * (torch.rand(hidden.shape[:2], device=hidden.device) >= self.mask_probability)[:, :, None]
        return self.dropout(self.blocks(hidden))


class Contrastive(Representation[ContrastiveHyperparameters]):
    """Learns what stays the same when the past is cut short and rows are hidden; its embedding is of the newest rows."""

    @property
    def width(self) -> int:
        return self.hyperparameters.representation

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> DatedEncoder:
        """Standardised windows that carry their session, so that a loss can tell which of them overlap."""
        return DatedEncoder.of(train, self.signature)

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> DatedEncoder:
        return DatedEncoder.restore(state, self.signature)

    def loss(self, output: Output, batch: DatedWindows) -> Tensor:
        """The loss of two views. In validation they are the whole window and its later half, with nothing hidden."""
        network = self._module
        if not isinstance(network, Network):
            raise NotFitted("loss: there is no network yet: call `fit`")
        first, second = output.first, output.second
        if second is None:
            past, there = newest_last(batch)
            half = past.shape[1] // 2
            first, second = first[:, half:], network.encode(past[:, half:], None if there is None else there[:, half:])
        apart = self.signature.length if self.hyperparameters.exclude_same_date else 0
        if network.projection is None:
            return hierarchical(first, second, batch.session, apart)
        one, two = (network.projection(network.newest(view)) for view in (first, second))
        return nt_xent(one, two, batch.session, apart, self.hyperparameters.temperature)


def crops(length: int) -> tuple[int, int, int]:
    """Starts of two random views and their common end: rows late … end - 1 are in both, at least half of the window.

    The paper lets the second view go on behind the first one's end. Nothing that a causal encoder says of the overlap reads that far.
    """
    overlap = int(torch.randint((length + 1) // 2, length + 1, ()))
    end = int(torch.randint(overlap, length + 1, ()))
    early = int(torch.randint(0, end - overlap + 1, ()))
    return early, end - overlap, end
