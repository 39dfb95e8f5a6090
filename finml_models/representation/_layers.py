"""What both autoencoders are made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def hidden_layers(inputs: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """Linear maps, each followed by GELU and dropout. Shape: (b, inputs) -> (b, width)."""
    widths = [inputs] + [width] * layers
    return nn.Sequential(*(module for pair in pairwise(widths) for module in (nn.Linear(*pair), nn.GELU(), nn.Dropout(dropout))))
