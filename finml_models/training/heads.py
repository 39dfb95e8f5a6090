"""What stands on top of a network: a point and non-crossing quantiles for each horizon, or logits of classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from finml_models.core.estimator import Signature
from finml_models.core.spec import Objective


class ForecastOutput(NamedTuple):
    """A forecast on the standardised target. Shapes: point (b, horizons), quantiles (b, horizons, levels)."""

    point: Tensor
    quantiles: Tensor


class ForecastHead(nn.Module):
    """Hidden state to a point and quantiles. Shape: (b, inputs) -> (b, horizons), (b, horizons, levels).

    The quantile nearest the median is free, its neighbours are reached by cumulated softplus steps, so that quantiles
    cannot cross whatever the weights are. The biases start at the quantiles of a standard normal, which is what a
    standardised target looks like before anything is known.
    """

    def __init__(self, inputs: int, signature: Signature, dropout: float = 0.0) -> None:
        super().__init__()
        self.horizons, levels = len(signature.horizons), signature.levels
        self.middle = min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5), default=0)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(inputs, self.horizons * (1 + len(levels)))
        with torch.no_grad():
            bias = self.linear.bias.view(self.horizons, -1).zero_()
            if levels:
                normal = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64))
                bias[:, 1] = normal[self.middle]
                bias[:, 2:] = normal.diff().expm1().log()  # the inverse of softplus

    def forward(self, hidden: Tensor) -> ForecastOutput:
        out = self.linear(self.dropout(hidden)).unflatten(-1, (self.horizons, -1))
        point, middle, steps = out[..., 0], out[..., 1:2], out[..., 2:]
        if not middle.shape[-1]:
            return ForecastOutput(point, middle)
        climb = pad(softplus(steps).cumsum(-1), (1, 0))
        return ForecastOutput(point, middle + (climb - climb[..., self.middle, None]))


class ClassHead(nn.Module):
    """Hidden state to logits. Shape: (b, inputs) -> (b, classes)."""

    def __init__(self, inputs: int, signature: Signature, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(inputs, len(signature.classes))

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(hidden))
        return logits


def head_of(inputs: int, signature: Signature, dropout: float = 0.0) -> ForecastHead | ClassHead:
    """The head that a signature's objective needs."""
    if signature.objective is Objective.FORECAST:
        return ForecastHead(inputs, signature, dropout)
    if signature.objective is Objective.CLASSIFY:
        return ClassHead(inputs, signature, dropout)
    raise NotImplementedError(f"objective {signature.objective.value}: a head forecasts or classifies")
