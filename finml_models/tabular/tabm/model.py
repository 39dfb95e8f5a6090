"""TabM: one multilayer perceptron that is k of them (Gorishniy, Kotelnikov and Babenko, ICLR 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from finml_models.tabular._encoding import RankEncoder
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

from .card import TabMHyperparameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.encoder import Encoder
    from finml_models.training.minibatch import TableTensors


RATE = 2.0
"""Multiple of the configured learning rate: 2e-3, with which the `tabm` package's examples train, where 1e-3 is our default."""


class BatchEnsembleLinear(nn.Module):
    """k linear layers that share one matrix: member i computes s_i ∘ (W (r_i ∘ x)) + b_i (Wen, Tran and Ba, ICLR 2020).

    Shape: (b, k, inputs) or (b, 1, inputs) -> (b, k, outputs). r (k, inputs) and s (k, outputs) are the adapters.
    """

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.r = nn.Parameter(torch.ones(members, inputs))
        self.s = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound).repeat(members, 1))  # all members start with the same one

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, (x * self.r) @ self.weight.T, self.s)


class Heads(nn.Module):
    """k linear layers that share nothing. Shape: (b, k, inputs) -> (b, k, outputs)."""

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return (x.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias


class PiecewiseLinearEmbedding(nn.Module):
    """A linear embedding of each number plus one of its bins, which starts at 0: the paper's version for TabM, without activation.

    Shape: (b, f, 1 + bins), the number first, -> (b, f, width).
    """

    def __init__(self, features: int, bins: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(features, width).uniform_(-bound, bound))
        self.bins = nn.Parameter(torch.zeros(features, bins, width))

    def forward(self, x: Tensor) -> Tensor:
        smooth = torch.addcmul(self.bias, self.weight, x[:, :, :1])
        return smooth + (x[:, :, 1:].transpose(0, 1) @ self.bins).transpose(0, 1)


class Network(nn.Module):
    """k members over one table row: adapters, shared layers, a head each. Shape: values (b, f), codes (b, c) -> (b, k, classes)."""

    def __init__(self, h: TabMHyperparameters, s: Signature) -> None:
        super().__init__()
        embedded = h.embedding == "piecewise_linear"
        self.embedding = PiecewiseLinearEmbedding(s.features, h.bins, h.embedding_width) if embedded else None
        self.sizes = s.category_sizes
        # One number, or one category's indicators, a chunk: what belongs together gets one sign.
        chunks = [h.embedding_width if embedded else 1] * s.features + list(s.category_sizes)
        self.blocks = nn.ModuleList(BatchEnsembleLinear(sum(chunks) if i == 0 else h.width, h.width, h.members) for i in range(h.blocks))
        self.dropout = nn.Dropout(h.dropout)
        self.heads = Heads(h.width, len(s.classes), h.members)
        with torch.no_grad():
            start_adapter(self.blocks[0].r, chunks, h.first_adapter)

    def forward(self, x: TableTensors) -> Tensor:
        parts = [x.values if self.embedding is None else self.embedding(x.values).flatten(1)]
        if x.codes is not None:
            # Number 0 is unknown: no indicator is set, for none was trained.
            parts += [one_hot(x.codes[:, i], size + 1)[:, 1:] for i, size in enumerate(self.sizes)]
        hidden = torch.cat(parts, dim=1)[:, None]
        for block in self.blocks:
            hidden = self.dropout(torch.relu(block(hidden)))
        return self.heads(hidden)


class TabM(TorchEstimator[TabMHyperparameters]):
    """Trained on the mean of its members' losses, answers with the mean of their probabilities."""

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> Encoder:
        """Normal scores of the ranks, as the paper prepares numbers; bins where they are embedded."""
        return RankEncoder.of(train, self._bins)

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> Encoder:
        return RankEncoder.restore(state, self.signature.features, self._bins)

    def plan(self, network: nn.Module) -> Plan:
        """Weight decay for all but biases and the embedding of numbers, as in the paper; a member's bias is a row of a matrix."""
        named = dict(network.named_parameters())
        free = {name for name in named if name.endswith("bias") or name.startswith("embedding.")}
        shared, unshrunk = ([p for name, p in named.items() if (name in free) == is_free] for is_free in (False, True))
        return Plan((Group(shared, rate=RATE), Group(unshrunk, rate=RATE, decays=False)))

    @property
    def _bins(self) -> int:
        return self.hyperparameters.bins if self.hyperparameters.embedding == "piecewise_linear" else 0


def start_adapter(r: Tensor, chunks: list[int], start: str) -> None:
    """Draw the first adapter r (k, inputs) in place: a random sign or a normal number a member and chunk, or ones."""
    if start == "ones":
        return
    drawn = torch.randn(len(r), len(chunks)) if start == "normal" else torch.randint(0, 2, (len(r), len(chunks))) * 2.0 - 1.0
    r.copy_(drawn.repeat_interleave(torch.tensor(chunks), dim=1))
