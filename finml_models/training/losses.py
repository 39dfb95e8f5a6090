"""Losses of a forecast: pinball for the quantiles, and for the point the loss that the signature names."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from finml_models.core.estimator import Signature

from .heads import ForecastOutput

QLIKE_LINEAR_FROM = 6.0
"""Log ratio of realised to forecast variance from which the training loss goes on as a straight line: exp(6) is a variance
403 times the forecast. Beyond it the exponential would overflow float32 and let one day own the gradient of its batch."""


def pinball(quantiles: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """Mean quantile loss (Koenker & Bassett 1978). Shapes: quantiles (b, h, q), target (b, h), levels (q,)."""
    error = target[..., None] - quantiles
    return torch.maximum(levels * error, (levels - 1) * error).mean()


def qlike(forecast: Tensor, target: Tensor) -> Tensor:
    """Mean of exp(d) - d - 1 with d = target - forecast, both log variances (Patton 2011, robust to a noisy proxy).

    Beyond d = `QLIKE_LINEAR_FROM` it continues as the tangent there. For training: an evaluation uses the exact loss.
    """
    d = target - forecast
    near = d.clamp(max=QLIKE_LINEAR_FROM)
    return (near.exp() + math.exp(QLIKE_LINEAR_FROM) * (d - near) - d - 1).mean()


def squared(forecast: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return (target - forecast).square().mean()


class ForecastLoss(nn.Module):
    """The signature's point loss plus pinball over its levels.

    Everything is on the standardised target but QLIKE, which has a meaning on log variances only and therefore gets the
    errors in the target's own unit; the mean cancels in the difference.
    """

    scale: Tensor
    levels: Tensor

    def __init__(self, signature: Signature, target_std: Tensor) -> None:
        """`target_std` (horizons,) is the unit of the standardised target. Raises `ValueError` for an unknown loss."""
        super().__init__()
        if signature.loss not in ("squared", "qlike"):
            raise ValueError(f"loss: {signature.loss!r} is unknown; use 'squared' or 'qlike'")
        self.is_qlike = signature.loss == "qlike"
        self.register_buffer("scale", target_std)
        self.register_buffer("levels", torch.tensor(signature.levels))

    def forward(self, output: ForecastOutput, target: Tensor) -> Tensor:
        point = qlike(output.point * self.scale, target * self.scale) if self.is_qlike else squared(output.point, target)
        return point + pinball(output.quantiles, target, self.levels) if len(self.levels) else point
