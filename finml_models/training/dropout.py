"""Dropout whose mask is cheap on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

MANY = 2**13
"""Random numbers from which on another generator is worth its seeding."""


class Dropout(nn.Module):
    """`nn.Dropout` with four mask entries from each random 64-bit number, so that the share is a multiple of 1/65,536.

    PyTorch draws one number an entry, which in a narrow transformer on a CPU takes a fifth of the training step. Elsewhere it is PyTorch's.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """`x` with a share of its entries 0 and the others scaled up."""
        if not self.training or self.share == 0:
            return x
        return x * self._mask(x) if x.device.type == "cpu" else dropout(x, self.share)

    def onto(self, residual: Tensor, x: Tensor) -> Tensor:
        """residual + dropout(x), in one pass."""
        if not self.training or self.share == 0:
            return residual + x
        return torch.addcmul(residual, x, self._mask(x)) if x.device.type == "cpu" else residual + dropout(x, self.share)

    def _mask(self, x: Tensor) -> Tensor:
        """0 for the entries to drop and 1 / (1 - share) for the others. In the type of `x`: products with booleans are slow."""
        dropped = min(round(self.share * 2**16), 2**16 - 1)
        drawn = _bits((x.numel() + 3) // 4).view(torch.int16)[: x.numel()].view(x.shape)
        return torch.ge(drawn, dropped - 2**15, out=torch.empty(x.shape, dtype=x.dtype)).mul_(2**16 / (2**16 - dropped))


def _bits(numbers: int) -> Tensor:
    """(numbers,) random 64-bit integers that follow from PyTorch's generator, large amounts by a generator twice as fast."""
    if numbers < MANY:
        return torch.empty(numbers, dtype=torch.int64).random_(-(2**63), None)
    seed = int(torch.empty((), dtype=torch.int64).random_())
    return torch.from_numpy(np.random.SFC64(seed).random_raw(numbers).view(np.int64))
