"""Variational autoencoder (Kingma & Welling 2014) of a window, with a decoder that states its own variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from finml_models.core.errors import NotFitted
from finml_models.core.spec import Objective
from finml_models.representation._layers import hidden_layers
from finml_models.training.plan import Group, Plan
from finml_models.training.representation import Autoencoder, mean_over, newest_last, recency

from .card import VAEHyperparameters

if TYPE_CHECKING:
    from finml_models.core.estimator import Signature
    from finml_models.training.minibatch import WindowTensors

LEAST_LOG_VARIANCE = -6.0
"""Of the decoder, on standardised inputs. Without a floor, a constant feature drives its density, and with it the ELBO, to infinity."""
VARIANCE_RATE = 20.0
"""Multiple of the learning rate for variances that are single numbers: each is one step of Adam a batch away from where it should be."""


class Output(NamedTuple):
    """Shapes: embedding (b, latent), the posterior's mean, and its log_variance; window (b, length, f) and spread, the decoder's
    mean and log variance, spread (b, 1, f) or (1, 1, f or 1); surprise (b, f) of the newest row, 0 where none is asked for."""

    embedding: Tensor
    log_variance: Tensor
    window: Tensor
    spread: Tensor
    surprise: Tensor


class Decoder(nn.Module):
    """A latent point to the mean and the log variance of every number of a window. Shape: (..., latent) -> (..., length · f), (..., f)."""

    def __init__(self, h: VAEHyperparameters, s: Signature) -> None:
        super().__init__()
        self.hidden = hidden_layers(h.latent, h.hidden, h.layers, h.dropout)
        self.mean = nn.Linear(h.hidden, s.length * s.features)
        self.variance = nn.Linear(h.hidden, s.features) if h.variance == "latent" else None
        if self.variance is None:
            self.shared = nn.Parameter(torch.zeros(s.features if h.variance == "feature" else 1))

    def spread(self, hidden: Tensor) -> Tensor:
        """(..., f) log variance, or (f,), or (1,); a soft floor keeps a gradient (Rybkin, Daniilidis & Levine 2021)."""
        free = self.shared if self.variance is None else self.variance(hidden)
        return LEAST_LOG_VARIANCE + softplus(free - LEAST_LOG_VARIANCE)


class Network(nn.Module):
    """Encoder, reparameterised latent point, decoder.

    The point is drawn while training and the posterior's mean afterwards, so nothing is random at inference. With `beta` 0
    the point is the mean in training too, and what remains is a plain autoencoder.
    """

    points: Tensor

    def __init__(self, h: VAEHyperparameters, s: Signature) -> None:
        super().__init__()
        self.beta, self.annealing, self.shape = h.beta, h.annealing_epochs, (s.length, s.features)
        self.scores = s.objective is Objective.SCORE
        self.encoder = hidden_layers(s.length * s.features, h.hidden, h.layers, h.dropout)
        self.posterior = nn.Linear(h.hidden, 2 * h.latent)
        self.decoder = Decoder(h, s)
        self.rise = 1.0
        self.register_buffer("points", normal_points(h.samples if h.beta else 1, h.latent))

    def begin(self, epoch: int) -> None:
        """Let the weight of the KL term rise from 0 in the first epoch to `beta` (Bowman et al. 2016)."""
        self.rise = min(1.0, (epoch - 1) / self.annealing) if self.annealing else 1.0

    @property
    def weight(self) -> float:
        """Of the KL term: what it has risen to in training, `beta` in validation, so that epochs are compared by one measure."""
        return self.beta * (self.rise if self.training else 1.0)

    def forward(self, x: WindowTensors) -> Output:
        past, _ = newest_last(x)
        mean, log_variance = self.posterior(self.encoder(past.flatten(1))).chunk(2, dim=-1)
        drawn = self.training and self.beta > 0
        point = mean + (0.5 * log_variance).exp() * torch.randn_like(mean) if drawn else mean
        hidden = self.decoder.hidden(point)
        window = self.decoder.mean(hidden).unflatten(1, self.shape)
        spread = self.decoder.spread(hidden)
        surprise = self._surprise(past[:, -1], mean, log_variance) if self.scores and not self.training else torch.zeros_like(past[:, -1])
        return Output(mean, log_variance, window, spread[:, None] if spread.ndim == 2 else spread, surprise)

    def _surprise(self, newest: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """(b, f) minus the reconstruction probability, E_q[log p(x | z)] (An & Cho 2015), of the newest row over fixed points z."""
        features = newest.shape[-1]
        total = torch.zeros_like(newest)
        last = self.decoder.mean.weight[-features:], self.decoder.mean.bias[-features:]
        for point in self.points:
            hidden = self.decoder.hidden(mean + (0.5 * log_variance).exp() * point)
            total += surprise(newest, nn.functional.linear(hidden, *last), self.decoder.spread(hidden))
        return total / len(self.points)


class VAE(Autoencoder[VAEHyperparameters]):
    """Scores the newest row by its reconstruction probability; its embedding is the posterior's mean."""

    @property
    def width(self) -> int:
        return self.hyperparameters.latent

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def plan(self, network: nn.Module) -> Plan:
        """A faster rate for variances that are single numbers, and the KL term's annealing."""
        assert isinstance(network, Network)  # noqa: S101 - made by `network`
        single = [p for name, p in network.named_parameters() if name == "decoder.shared"]
        others = [p for name, p in network.named_parameters() if name != "decoder.shared"]
        groups = (Group(others), *([Group(single, rate=VARIANCE_RATE, decays=False)] if single else []))
        return Plan(groups, begin=network.begin)

    def loss(self, output: Output, batch: WindowTensors) -> Tensor:
        """Minus the ELBO a number of the window, in nats, with free bits (Kingma et al. 2016); dividing by their count leaves its optimum where it is.

        The likelihood of a row counts by its `recency`, and the count of numbers is the sum of these weights.
        """
        if not isinstance(self._module, Network):
            raise NotFitted("loss: there is no network yet: call `fit`")
        past, there = newest_last(batch)
        weights = recency(there, past.shape[1], self.hyperparameters.half_life).to(past.device)
        reconstruction = mean_over(surprise(past, output.window, output.spread), weights)
        if self._module.weight == 0:
            return reconstruction
        numbers = weights.sum(dim=-1).mean() * past.shape[2]
        by_dimension = kl(output.embedding, output.log_variance).mean(dim=0)
        return reconstruction + self._module.weight * by_dimension.clamp(min=self.hyperparameters.free_bits).sum() / numbers


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension (Kingma & Welling 2014, appendix B), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def surprise(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Minus the log density of x under a normal, number by number, in nats."""
    return 0.5 * ((x - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


def normal_points(count: int, dimensions: int) -> Tensor:
    """(count, dimensions) points of Sobol's sequence as standard normal numbers: the same for every row and call. The first is the mean, 0."""
    uniform = torch.quasirandom.SobolEngine(dimensions).draw(count + 1, dtype=torch.float64)[1:]
    return torch.special.ndtri(uniform).float()
