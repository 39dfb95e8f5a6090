"""Layers of networks whose rows are many and narrow, with the rows last: (width, rows), so that elementwise kernels run along the rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

FEW = 12
"""Tokens up to which `attention` is worked out product by product on a CPU."""
AT_ONCE = 2**16
"""Scores that are worked on together, so that they stay in the cache."""

aten = torch.ops.aten


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """The layer over columns. Shape: (inputs, n) -> (outputs, n)."""
    return torch.addmm(layer.bias[:, None], layer.weight, x)


def attention(qkv: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v. Shape: (3, heads, head width, tokens, sequences) -> (heads, head width, tokens, sequences)."""
    if qkv.device.type == "cpu" and qkv.dtype == torch.float32 and qkv.shape[3] <= FEW:
        return FewTokens.apply(qkv)
    query, key, value = qkv.permute(0, 4, 1, 3, 2)
    return scaled_dot_product_attention(query, key, value).permute(1, 3, 2, 0)


class FewTokens(Function):
    """`attention` of thousands of sequences with a handful of tokens: a matrix product of 7 × 8 numbers is not worth a call of its own.

    Each product of two tokens' numbers is an operation over many sequences.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor) -> Tensor:
        heads, width, tokens, _ = qkv.shape[1:]
        out = qkv.new_empty(qkv.shape[1:])
        ctx.size = max(AT_ONCE // (heads * tokens * tokens), 64)
        kept = []
        for piece, mixed in zip(qkv.split(ctx.size, -1), out.split(ctx.size, -1), strict=True):
            query, key, value = piece
            query = query * width**-0.5
            weights = _outer(query, key).softmax(2)
            _over_keys(weights, value, mixed)
            kept.append(weights)
        ctx.save_for_backward(qkv, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> Tensor:
        qkv, *kept = ctx.saved_tensors
        wanted = torch.empty_like(qkv)
        parts = (held.split(ctx.size, -1) for held in (qkv, wanted, error))
        for piece, (to_query, to_key, to_value), above, weights in zip(*parts, kept, strict=True):
            query, key, value = piece
            _over_queries(weights, above, to_value)
            scores = aten._softmax_backward_data(_outer(above, value), weights, 2, torch.float32).mul_(qkv.shape[2] ** -0.5)  # noqa: SLF001
            _over_keys(scores, key, to_query)
            _over_queries(scores, query, to_key)
        return wanted


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """Products of each token of `a` with each of `b`. Shape: twice (heads, width, tokens, n) -> (heads, tokens, tokens, n)."""
    total = a[:, 0, :, None] * b[:, 0, None]
    for i in range(1, a.shape[1]):
        total.addcmul_(a[:, i, :, None], b[:, i, None])
    return total


def _over_keys(weights: Tensor, values: Tensor, out: Tensor) -> None:
    """For each query the sum of weights (heads, queries, keys, n) times values (heads, width, keys, n)."""
    torch.mul(weights[:, None, :, 0], values[:, :, 0, None], out=out)
    for i in range(1, weights.shape[2]):
        out.addcmul_(weights[:, None, :, i], values[:, :, i, None])


def _over_queries(weights: Tensor, values: Tensor, out: Tensor) -> None:
    """For each key the sum of weights (heads, queries, keys, n) times values (heads, width, queries, n)."""
    torch.mul(weights[:, None, 0], values[:, :, 0, None], out=out)
    for i in range(1, weights.shape[1]):
        out.addcmul_(weights[:, None, i], values[:, :, i, None])
