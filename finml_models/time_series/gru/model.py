"""GRU (Cho et al. 2014): an update and a reset gate, and no cell state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from finml_models.core.estimator import Signature
from finml_models.training import recurrent
from finml_models.training.heads import ForecastOutput, head_of
from finml_models.training.minibatch import WindowTensors
from finml_models.training.torch_estimator import TorchEstimator

from .card import GRUHyperparameters


class Network(nn.Module):
    """The last hidden state to a head. Shape: (b, length, features) -> (b, horizons), (b, horizons, levels) of a forecast, or (b, classes).

    Every window starts from a zero state, so nothing is carried from one series or batch to another.
    """

    def __init__(self, h: GRUHyperparameters, s: Signature) -> None:
        super().__init__()
        inputs = s.features + len(s.known_names)
        self.rnn = recurrent.GRU(inputs, h.hidden, h.layers, batch_first=True, dropout=h.dropout if h.layers > 1 else 0.0)
        self.head = head_of(h.hidden + len(s.static_names), s, dropout=h.dropout)
        self._reset()

    def forward(self, x: WindowTensors) -> ForecastOutput | Tensor:
        _, hidden = self.rnn(x.sequence())  # (layers, b, hidden) at each window's last valid row
        last = hidden[-1]
        return self.head(last if x.static is None else torch.cat([last, x.static], dim=-1))

    @torch.no_grad()
    def _reset(self) -> None:
        """Orthogonal recurrence a gate, Xavier inputs, zero biases."""
        for name, weight in self.rnn.named_parameters():
            if name.startswith("bias"):
                weight.zero_()
                continue
            for gate in weight.chunk(3):
                nn.init.orthogonal_(gate) if name.startswith("weight_hh") else nn.init.xavier_uniform_(gate)


class GRU(TorchEstimator[GRUHyperparameters]):
    """Gated recurrent unit over a window of rows."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature."""
        return Network(self.hyperparameters, self.signature)
