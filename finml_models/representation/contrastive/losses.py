"""Contrastive losses over two views of each window, in which windows that share dates can be kept from repelling each other.

Two assets on one date, or one asset on neighbouring dates, saw mostly the same market: pushed apart as negatives they would teach a
network to forget the market. `session` (b,) numbers the newest session of each window; with `apart` sessions or more between two of
them they are negatives of each other, with `apart` 0 all are, as in the papers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, max_pool1d, normalize

NEGATIVES = 32
"""Windows that the instance loss contrasts with each other; the paper's batches are of 8. Its cost grows with their square."""


def hierarchical(first: Tensor, second: Tensor, session: Tensor, apart: int) -> Tensor:
    """Mean of instance and temporal loss, averaged over scales (TS2Vec, equations 1 to 3 and algorithm 1). Views: (b, l, d).

    After each scale the rows are max-pooled by twos. At the last one, a single row, there is no other time to contrast with.
    """
    scales = []
    while True:
        instance = instance_loss(first, second, session, apart)
        if first.shape[1] == 1:
            return torch.stack([*scales, instance / 2]).mean()
        scales.append((instance + temporal_loss(first, second)) / 2)
        first, second = (max_pool1d(view.transpose(1, 2), 2).transpose(1, 2) for view in (first, second))


def instance_loss(first: Tensor, second: Tensor, session: Tensor, apart: int) -> Tensor:
    """Each row's other view against the same row of other windows, `NEGATIVES` windows at a time. Views: (b, l, d)."""
    total = first.new_zeros(())
    parts = math.ceil(len(first) / NEGATIVES)
    for one, two, when in zip(first.tensor_split(parts), second.tensor_split(parts), session.tensor_split(parts), strict=True):
        views = torch.cat([one, two]).transpose(0, 1)  # (l, 2b, d)
        total = total + contrast(views @ views.transpose(1, 2), close(when, apart)) * len(one)
    return total / len(first)


def temporal_loss(first: Tensor, second: Tensor) -> Tensor:
    """Each row's other view against the other rows of the same window. Views: (b, l, d)."""
    views = torch.cat([first, second], dim=1)  # (b, 2l, d)
    return contrast(views @ views.transpose(1, 2), None)


def nt_xent(first: Tensor, second: Tensor, session: Tensor, apart: int, temperature: float) -> Tensor:
    """Normalised, temperature-scaled cross-entropy between two views (b, d) of each window (SimCLR, equation 1)."""
    views = normalize(torch.cat([first, second]), dim=-1)
    return contrast((views @ views.T / temperature)[None], close(session, apart))


def contrast(similarity: Tensor, excluded: Tensor | None) -> Tensor:
    """Mean cross-entropy of finding the partner i ± n among 2n views. Shapes: similarity (k, 2n, 2n), excluded (n, n) pairs."""
    half = similarity.shape[-1] // 2
    own = torch.arange(half, device=similarity.device)
    partner = torch.cat([own + half, own])
    hidden = torch.eye(2 * half, dtype=torch.bool, device=similarity.device)
    if excluded is not None:
        hidden = hidden | excluded.repeat(2, 2)
        hidden[torch.arange(2 * half, device=similarity.device), partner] = False
    logits = similarity.masked_fill(hidden, -torch.inf)
    return cross_entropy(logits.flatten(0, 1), partner.repeat(len(similarity)))


def close(session: Tensor, apart: int) -> Tensor | None:
    """(b, b) which windows end fewer than `apart` sessions from each other; None where none is excluded."""
    return (session[:, None] - session).abs() < apart if apart else None
