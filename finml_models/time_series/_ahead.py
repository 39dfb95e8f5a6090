"""What a decoder needs of the steps ahead: which it writes, what is known of them, and the answer at each horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from finml_models.core.errors import DataError
from finml_models.core.estimator import Signature
from finml_models.training.heads import ForecastHead, ForecastOutput
from finml_models.training.minibatch import WindowTensors


class Ahead(nn.Module):
    """The steps that a decoder writes, 1 being the first row after the window.

    Where inputs are known ahead of time it writes every step up to the largest horizon, for a label five sessions ahead
    depends on the calendar of all five. Where nothing is known there is nothing to read in between, and one step a horizon
    says the same for less work.
    """

    steps: Tensor
    asked: Tensor

    def __init__(self, s: Signature) -> None:
        super().__init__()
        last = max(s.horizons)
        steps = list(range(1, last + 1)) if s.known_names else sorted(set(s.horizons))
        # Follows from the signature, so that the saved state need not repeat it.
        self.register_buffer("steps", torch.tensor(steps), persistent=False)
        self.register_buffer("asked", torch.tensor([steps.index(h) for h in s.horizons]), persistent=False)

    def __len__(self) -> int:
        return len(self.steps)

    def known(self, x: WindowTensors) -> Tensor | None:
        """(b, steps, j) the inputs known of the steps; `DataError` where the batch does not reach the largest horizon."""
        if x.known is None:
            return None
        length = x.past.shape[1]
        there = x.known.shape[1] - length
        if there < len(self):
            raise DataError(f"known: {there} steps ahead where the largest horizon is {len(self)}: give the inputs known ahead up to it")
        if x.lengths is None:
            return x.known[:, length : length + len(self)]
        rows = x.lengths.to(x.known.device)[:, None] + self.steps - 1
        return x.known.gather(1, rows[..., None].expand(-1, -1, x.known.shape[2]))


class HorizonHead(nn.Module):
    """One head for all horizons: what a decoder wrote at each to its point and quantiles. Shape: (b, horizons, width) -> `ForecastOutput`."""

    def __init__(self, width: int, s: Signature, dropout: float = 0.0) -> None:
        super().__init__()
        self.head = ForecastHead(width, s.model_copy(update={"horizons": (1,)}), dropout)

    def forward(self, hidden: Tensor) -> ForecastOutput:
        point, quantiles = self.head(hidden)
        return ForecastOutput(point.squeeze(-1), quantiles.squeeze(-2))


def inputs_so_far(x: WindowTensors) -> Tensor:
    """(b, length, features + known): the window, with the inputs known ahead beside it."""
    return x.past if x.known is None else torch.cat([x.past, x.known[:, : x.past.shape[1]]], dim=-1)
