"""Informer (Zhou, Zhang, Peng, Zhang, Li, Xiong and Zhang, AAAI 2021)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, gelu, max_pool1d, scaled_dot_product_attention

from finml_models.time_series._ahead import Ahead, HorizonHead, inputs_so_far
from finml_models.training.dropout import Dropout
from finml_models.training.torch_estimator import TorchEstimator

from .card import InformerHyperparameters

if TYPE_CHECKING:
    from finml_models.core.estimator import Signature
    from finml_models.training.heads import ForecastOutput
    from finml_models.training.minibatch import WindowTensors


class Attention(nn.Module):
    """Multi-head attention. Shape: x (b, q, width), read (b, k, width) -> (b, q, width)."""

    def __init__(self, h: InformerHyperparameters) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.heads = h.heads
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)  # a bias adds the same to all scores of a query: softmax drops it

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        parts = (self.query(x), self.key(read), self.value(read))
        mixed = self.mix(*(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts))
        return self.out(mixed.transpose(1, 2).flatten(2))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(b, heads, q, head width); here every query attends to every key."""
        return attend(q, k, v)


class MaskedAttention(Attention):
    """Every query attends to all keys up to its own place."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, _upto(torch.arange(q.shape[2], device=q.device), k.shape[2]))


class ProbSparseAttention(Attention):
    """Self-attention in which only u = c · ln L of L queries attend, those whose scores are furthest from uniform (section 3.1).

    A query's sparsity is the maximum minus the mean of its scores over u sampled keys. The lazy queries take the mean of the
    values; masked, their sum so far. The sample of keys is drawn once and kept with the weights, one of its own for each query:
    a row's answer depends on no other row, and repeats.
    """

    sample: Tensor

    def __init__(self, h: InformerHyperparameters, length: int, *, masked: bool) -> None:
        super().__init__(h)
        self.count, self.masked = min(h.sampling_factor * math.ceil(math.log(length)), length) or 1, masked
        # A masked query cannot look beyond its own place, so its keys are drawn from what it can see.
        visible = torch.arange(1, length + 1) if masked else torch.full((length,), length)
        self.register_buffer("sample", (torch.rand(length, self.count) * visible[:, None]).long())

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        length = q.shape[2]
        if self.count == length:
            return attend(q, k, v, _upto(torch.arange(length, device=q.device), length) if self.masked else None)
        chosen = self.sparsity(q, k).topk(self.count, sorted=False).indices  # (b, heads, u)
        rows = chosen[..., None].expand(-1, -1, -1, q.shape[3])
        attended = attend(q.gather(2, rows), k, v, _upto(chosen, length) if self.masked else None)
        lazy = v.cumsum(2) if self.masked else v.mean(2, keepdim=True).expand_as(q)
        return lazy.scatter(2, rows, attended)

    @torch.no_grad()
    def sparsity(self, q: Tensor, k: Tensor) -> Tensor:
        """(b, heads, L) maximum minus mean of the scores over each query's sampled keys; it chooses and is not learned through."""
        largest, total = torch.full(q.shape[:3], -torch.inf, dtype=q.dtype, device=q.device), 0.0
        # One sampled key a query at a time: all at once would be u copies of the keys.
        for keys in self.sample.T:
            found = scores(q, k.index_select(2, keys))
            largest, total = torch.maximum(largest, found), total + found
        return largest - total / self.count


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer, each with dropout, residual and norm. Shape: (b, length, width), kept."""

    def __init__(self, h: InformerHyperparameters, length: int, *, masked: bool = False) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.attention = (MaskedAttention(h) if masked else Attention(h)) if h.full_attention else ProbSparseAttention(h, length, masked=masked)
        self.feedforward = FeedForward(h)
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(h.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.feedforward(self.norm(self.dropout.onto(x, self.attention(x, x))))


class DecoderLayer(nn.Module):
    """Masked self-attention, attention over the encoder, and a feed-forward layer. Shape: (b, length, width), kept."""

    def __init__(self, h: InformerHyperparameters, length: int) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.own = MaskedAttention(h) if h.full_attention else ProbSparseAttention(h, length, masked=True)
        self.cross = Attention(h)
        self.feedforward = FeedForward(h)
        self.own_norm, self.cross_norm, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), Dropout(h.dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        x = self.own_norm(self.dropout.onto(x, self.own(x, x)))
        x = self.cross_norm(self.dropout.onto(x, self.cross(x, memory)))
        return self.feedforward(x)


class FeedForward(nn.Module):
    """Two layers a position, with residual and norm. Shape: (b, length, width), kept."""

    def __init__(self, h: InformerHyperparameters) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.up, self.down = nn.Linear(width, h.feedforward * width), nn.Linear(h.feedforward * width, width)
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(h.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.dropout.onto(x, self.down(gelu(self.up(x)))))


class Distilling(nn.Module):
    """MaxPool(ELU(Conv(x))): the dominant rows of each pair go on (equation 5). Shape: (b, length, width) -> (b, ⌈length / 2⌉, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        return max_pool1d(elu(self.convolution(x.mT)), 3, stride=2, padding=1).mT


class Embedding(nn.Module):
    """Rows to tokens: a convolution over the values, plus place and what is known of the step, plus the statics of the series.

    Shape: values (b, n, features), places (n,) counted from the window's first row, known (b, n, j), static (b, k) -> (b, n, width).
    """

    def __init__(self, h: InformerHyperparameters, s: Signature) -> None:
        super().__init__()
        self.width = h.heads * h.head_width
        self.values = nn.Conv1d(s.features, self.width, 3, padding=1, padding_mode="replicate", bias=False)
        self.known = nn.Linear(len(s.known_names), self.width, bias=False) if s.known_names else None
        self.static = nn.Linear(len(s.static_names), self.width, bias=False) if s.static_names else None
        self.dropout = Dropout(h.dropout)

    def forward(self, values: Tensor, places: Tensor, known: Tensor | None, static: Tensor | None) -> Tensor:
        tokens = self.values(values.mT).mT + waves(places, self.width)
        if self.known is not None:
            tokens = tokens + self.known(known)
        if self.static is not None:
            tokens = tokens + self.static(static)[:, None]
        return self.dropout(tokens)


class Network(nn.Module):
    """An encoder that halves its length a layer, and a decoder that writes all horizons at once after a start token.

    The start token are the newest rows of the window; after them comes a placeholder of zeros, the mean of every standardised
    input, for each step that `Ahead` names, at that step's place.
    """

    def __init__(self, h: InformerHyperparameters, s: Signature) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.ahead, self.start = Ahead(s), min(h.start_length, s.length)
        self.encoder_tokens, self.decoder_tokens = Embedding(h, s), Embedding(h, s)
        lengths = [s.length]
        for _ in range(h.encoder_layers - 1):
            lengths.append(math.ceil(lengths[-1] / 2) if h.distilling else lengths[-1])
        self.encoder = nn.ModuleList(EncoderLayer(h, length) for length in lengths)
        self.distilling = nn.ModuleList(Distilling(width) for _ in lengths[1:]) if h.distilling else None
        self.decoder = nn.ModuleList(DecoderLayer(h, self.start + len(self.ahead)) for _ in range(h.decoder_layers))
        self.norm = nn.LayerNorm(width)
        self.head = HorizonHead(width, s)

    def forward(self, x: WindowTensors) -> ForecastOutput:
        return self.head(self.decode(x, self.encode(x)))

    def encode(self, x: WindowTensors) -> Tensor:
        """(b, length halved `encoder_layers` - 1 times, width)."""
        past, known = self._rows(x)
        hidden = self.encoder_tokens(past, torch.arange(past.shape[1], device=past.device), known, x.static)
        for i, layer in enumerate(self.encoder):
            if i and self.distilling is not None:
                hidden = self.distilling[i - 1](hidden)
            hidden = layer(hidden)
        return self.norm(hidden)

    def decode(self, x: WindowTensors, memory: Tensor) -> Tensor:
        """(b, horizons, width)."""
        (past, known), ahead = self._rows(x), self.ahead.known(x)
        length = past.shape[1]
        values = torch.cat([past[:, length - self.start :], past.new_zeros(past.shape[0], len(self.ahead), past.shape[2])], dim=1)
        places = torch.cat([torch.arange(length - self.start, length, device=past.device), length - 1 + self.ahead.steps])
        around = None if known is None or ahead is None else torch.cat([known[:, length - self.start :], ahead], dim=1)
        hidden = self.decoder_tokens(values, places, around, x.static)
        for layer in self.decoder:
            hidden = layer(hidden, memory)
        return hidden[:, self.start + self.ahead.asked]

    def _rows(self, x: WindowTensors) -> tuple[Tensor, Tensor | None]:
        """Window (b, length, features) and what is known of it (b, length, j), the newest row last.

        A window that the start of its series cuts repeats its oldest row in front: lengths, and so the sampled keys, stay the
        same for all.
        """
        past = inputs_so_far(x)
        length, features = past.shape[1], x.past.shape[2]
        if x.lengths is not None:
            rows = (torch.arange(length) - (length - x.lengths[:, None])).clamp(min=0).to(past.device)
            past = past.gather(1, rows[..., None].expand_as(past))
        return past[..., :features], None if x.known is None else past[..., features:]


class Informer(TorchEstimator[InformerHyperparameters]):
    """ProbSparse attention, distilling and a generative decoder."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature."""
        return Network(self.hyperparameters, self.signature)


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d) v over the keys that are `seen`: q rows against all k rows."""
    return scaled_dot_product_attention(q, k, v, attn_mask=seen)


def scores(q: Tensor, k: Tensor) -> Tensor:
    """Each query against the one key beside it: (…, L, d), (…, L, d) -> (…, L)."""
    return (q * k).sum(-1)


def waves(places: Tensor, width: int) -> Tensor:
    """(n, width) sines and cosines of the places (n,) (Vaswani et al. 2017, section 3.5)."""
    half = torch.arange((width + 1) // 2, device=places.device)
    angles = places[:, None] * 10_000.0 ** (-2 * half / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


def _upto(places: Tensor, length: int) -> Tensor:
    """(…, length) true for keys up to each place."""
    return torch.arange(length, device=places.device) <= places[..., None]
