"""Denoising autoencoder (Vincent et al. 2008, 2010): the input is corrupted, the target is clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from finml_models.representation._layers import hidden_layers
from finml_models.training.representation import Autoencoder, mean_over, newest_last, recency

from .card import DenoisingAutoencoderHyperparameters

if TYPE_CHECKING:
    from finml_models.core.estimator import Signature
    from finml_models.training.minibatch import WindowTensors


class Output(NamedTuple):
    """Shapes: embedding (b, bottleneck), window (b, length, f), and the squared error of the clean newest row, surprise (b, f)."""

    embedding: Tensor
    window: Tensor
    surprise: Tensor


class Network(nn.Module):
    """Window to code to window; corrupted on the way in while training, never afterwards. Padding is 0, and masked values are too."""

    def __init__(self, h: DenoisingAutoencoderHyperparameters, s: Signature) -> None:
        super().__init__()
        self.kind, self.level, self.shape = h.corruption, h.corruption_level, (s.length, s.features)
        size = s.length * s.features
        self.encoder = nn.Sequential(hidden_layers(size, h.hidden, h.layers, h.dropout), nn.Linear(h.hidden, h.bottleneck))
        self.decoder = nn.Sequential(hidden_layers(h.bottleneck, h.hidden, h.layers, h.dropout), nn.Linear(h.hidden, size))

    def forward(self, x: WindowTensors) -> Output:
        clean, _ = newest_last(x)
        seen = corrupted(clean, self.kind, self.level) if self.training else clean
        code = self.encoder(seen.flatten(1))
        window = self.decoder(code).unflatten(1, self.shape)
        return Output(code, window, (window[:, -1] - clean[:, -1]).square())


class DenoisingAutoencoder(Autoencoder[DenoisingAutoencoderHyperparameters]):
    """Scores the newest row by its reconstruction error, each feature's in units of its mean error on the training rows."""

    relative = True

    @property
    def width(self) -> int:
        return self.hyperparameters.bottleneck

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def loss(self, output: Output, batch: WindowTensors) -> Tensor:
        """Mean squared error against the clean window, its newest rows weighing most."""
        clean, there = newest_last(batch)
        return mean_over((output.window - clean).square(), recency(there, clean.shape[1], self.hyperparameters.half_life).to(clean.device))


def corrupted(clean: Tensor, kind: str, level: float) -> Tensor:
    """A copy of standardised windows (b, length, f) with noise of std `level`, or that share of values, or of rows in one run, set to 0.

    A run may leave the window at its end and go on at its start, so that each row is hidden equally often, the newest included.
    """
    if level == 0:
        return clean
    if kind == "gaussian":
        return clean + level * torch.randn_like(clean)
    if kind == "masking":
        return clean * (torch.rand_like(clean) >= level)
    rows, length = clean.shape[:2]
    steps = torch.arange(length, device=clean.device)
    start = (torch.rand(rows, 1, device=clean.device) * length).long()
    # A fraction of a row is hidden that often.
    run = level * length + torch.rand(rows, 1, device=clean.device)
    return clean * ((steps - start) % length >= run.long())[:, :, None]
