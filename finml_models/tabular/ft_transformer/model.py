"""FT-Transformer (Gorishniy, Rubachev, Khrulkov and Babenko, NeurIPS 2021): a token a column, and a transformer over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from finml_models.core.explanations import Attribution, Explanation
from finml_models.tabular._encoding import RankEncoder
from finml_models.training.encoder import NumericEncoder
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

from .card import FTTransformerHyperparameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.encoder import Encoder
    from finml_models.training.minibatch import TableTensors

CAVEAT = (
    "Attention says where the class token looked, not how a column moved the answer; columns that say the same share their weight at random. "
    "Averaged over heads and blocks, as section 5.3 of the paper does."
)


class Tokens(nn.Module):
    """The class token, then x · w + b a number, then lookup + b a category; category 0, unknown, is b alone.

    Shape: values (b, f), codes (b, c) -> (b, 1 + f + c, width).
    """

    def __init__(self, s: Signature, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.start = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.weight = nn.Parameter(torch.empty(s.features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(s.features + len(s.category_sizes), width).uniform_(-bound, bound))
        self.lookup = nn.ModuleList(nn.Embedding(size + 1, width, padding_idx=0) for size in s.category_sizes)
        for table in self.lookup:
            nn.init.uniform_(table.weight[1:], -bound, bound)

    def forward(self, x: TableTensors) -> Tensor:
        tokens = x.values[:, :, None] * self.weight
        if x.codes is not None:
            looked_up = [table(x.codes[:, i]) for i, table in enumerate(self.lookup)]
            tokens = torch.cat([tokens, *(found[:, None] for found in looked_up)], dim=1)
        return torch.cat([self.start.expand(tokens.shape[0], 1, -1), tokens + self.bias], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention with an output projection. Shape: queries (b, q, width), keys (b, t, width) -> (b, q, width)."""

    def __init__(self, h: FTTransformerHyperparameters) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.heads, self.dropout = h.heads, h.attention_dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        q, k, v = self._split(self.query(queries)), self._split(self.key(keys)), self._split(self.value(keys))
        mixed = scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(b, heads, q, t) what `forward` mixes with."""
        q, k = self._split(self.query(queries)), self._split(self.key(keys))
        return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (b, heads, tokens, head width)


class Block(nn.Module):
    """Attention and ReGLU, each normalised before (PreNorm) and added to what came in; the first block's attention is not normalised."""

    def __init__(self, h: FTTransformerHyperparameters, *, first: bool) -> None:
        super().__init__()
        width = h.heads * h.head_width
        inner = int(width * h.feedforward)
        self.norm1 = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = Attention(h)
        self.norm2 = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 2 * inner), nn.Linear(inner, width)
        self.feedforward_dropout, self.residual_dropout = nn.Dropout(h.feedforward_dropout), nn.Dropout(h.residual_dropout)

    def forward(self, x: Tensor, queries: slice) -> Tensor:
        """The tokens of `queries` after the block; all tokens serve as keys."""
        normed = self.norm1(x)
        x = x[:, queries] + self.residual_dropout(self.attention(normed[:, queries], normed))
        value, gate = self.wide(self.norm2(x)).chunk(2, dim=-1)
        return x + self.residual_dropout(self.narrow(self.feedforward_dropout(value * torch.relu(gate))))


class Network(nn.Module):
    """The class token's last state to logits. Shape: values (b, f), codes (b, c) -> (b, classes)."""

    def __init__(self, h: FTTransformerHyperparameters, s: Signature) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.tokens = Tokens(s, width)
        self.blocks = nn.ModuleList(Block(h, first=i == 0) for i in range(h.blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(s.classes))

    def forward(self, x: TableTensors) -> Tensor:
        hidden = self.tokens(x)
        for i, block in enumerate(self.blocks):
            # Of the last block only the class token is read.
            hidden = block(hidden, slice(0, 1) if i + 1 == len(self.blocks) else slice(None))
        return self.head(torch.relu(self.norm(hidden[:, 0])))

    def attention(self, x: TableTensors) -> Tensor:
        """(b, columns) the class token's attention, averaged over heads and blocks, without that to itself; each row sums to 1."""
        hidden, seen = self.tokens(x), []
        for block in self.blocks:
            normed = block.norm1(hidden)
            seen.append(block.attention.weights(normed[:, :1], normed)[:, :, 0].mean(dim=1))
            hidden = block(hidden, slice(None))
        columns = torch.stack(seen).mean(dim=0)[:, 1:]
        return columns / columns.sum(dim=1, keepdim=True)


class FTTransformer(TorchEstimator[FTTransformerHyperparameters]):
    """A transformer over the columns of a row."""

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def encoder(self, train: Batch) -> Encoder:
        """Normal scores of the ranks, as the paper prepares numbers."""
        return RankEncoder.of(train) if self.hyperparameters.quantile_normalisation else NumericEncoder.of(train, self.signature)

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> Encoder:
        if self.hyperparameters.quantile_normalisation:
            return RankEncoder.restore(state, self.signature.features)
        return NumericEncoder.restore(state, self.signature)

    def plan(self, network: nn.Module) -> Plan:
        """No weight decay for tokens, norms and biases, as in the paper."""
        named = dict(network.named_parameters())
        free = {name for name in named if name.endswith("bias") or name.startswith("tokens.") or "norm" in name}
        shrunk, unshrunk = ([p for name, p in named.items() if (name in free) == is_free] for is_free in (False, True))
        return Plan((Group(shrunk), Group(unshrunk, decays=False)))

    def explain(self, batch: Batch) -> Explanation:
        """The class token's attention over the columns."""
        names = (*self.signature.feature_names, *self.signature.category_names)
        weights = self.read(batch, lambda network, rows: network.attention(rows), like=(len(names),))
        part = Attribution("features", names, weights, "share of the class token's attention that went to this column; a row sums to 1")
        return Explanation("attention of the class token (Gorishniy et al. 2021, section 5.3)", CAVEAT, (part,))
