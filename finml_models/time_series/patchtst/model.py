"""PatchTST (Nie, Nguyen, Sinthong and Kalagnanam, ICLR 2023): each channel alone, read as patches, by one transformer for all of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, gelu, pad, softplus

from finml_models.core.estimator import OnProgress, Signature, ignore
from finml_models.training.columns import attention, linear
from finml_models.training.dropout import Dropout
from finml_models.training.heads import ForecastOutput
from finml_models.training.loop import Loop, seeded
from finml_models.training.minibatch import Source, WindowTensors
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

from .card import PatchTSTHyperparameters

READOUT_RATE = 10.0
"""Multiple of the configured learning rate for the readout: a weight a channel and horizon, which has a way to go from the plain mean."""
EPSILON = 1e-5
"""Added to a window's variance, so that a constant channel becomes zeros."""


class Instance(NamedTuple):
    """The location and scale of each channel in its window. Shape: (b, 1, c) each."""

    mean: Tensor
    std: Tensor


def aligned(x: WindowTensors) -> tuple[Tensor, Tensor | None]:
    """The windows (b, length, c) with their newest row last, and which of the rows exist (b, length, 1); None when all do.

    A window cut by the start of its series repeats its oldest row in front.
    """
    if x.lengths is None:
        return x.past, None
    steps = torch.arange(x.past.shape[1], device=x.past.device)
    source = steps - (x.past.shape[1] - x.lengths.to(x.past.device))[:, None]
    return x.past.gather(1, source.clamp(min=0)[:, :, None].expand_as(x.past)), (source >= 0)[:, :, None]


def instance(past: Tensor, there: Tensor | None) -> Instance:
    """Mean and deviation over the rows that exist (Kim et al. 2022, equation 1, without learned gains, as PatchTST uses it)."""
    if there is None:
        mean = past.mean(dim=1, keepdim=True)
        return Instance(mean, ((past - mean).square().mean(dim=1, keepdim=True) + EPSILON).sqrt())
    count = there.sum(dim=1, keepdim=True)
    mean = (past * there).sum(dim=1, keepdim=True) / count
    return Instance(mean, (((past - mean).square() * there).sum(dim=1, keepdim=True) / count + EPSILON).sqrt())


def patch_count(length: int, patch_length: int, stride: int) -> int:
    """⌊(L - P) / S⌋ + 2 tokens of a window of L rows (section 3.1); one that is shorter than a patch counts as a patch."""
    return (max(length, patch_length) - patch_length) // stride + 2


def places(length: int, patch_length: int, stride: int) -> Tensor:
    """(tokens, patch_length) rows of each patch: the newest repeated `stride` times at the end, the oldest in front of a short window."""
    start = torch.arange(patch_count(length, patch_length, stride)) * stride - max(patch_length - length, 0)
    return (start[:, None] + torch.arange(patch_length)).clamp(0, length - 1)


def patches(series: Tensor, patch_length: int, stride: int) -> Tensor:
    """(b, c, length) -> (b, c, tokens, patch_length)."""
    return series[..., places(series.shape[-1], patch_length, stride)]


class TokenNorm(nn.Module):
    """Batch norm over all tokens of a minibatch, a mean and deviation a unit. Shape: (width, n).

    It stands where other transformers have layer norm. Predictions use the running moments, so a row does not feel its batch.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return batch_norm(x[None], self.mean, self.variance, self.gain, self.bias, training=self.training)[0]


class EncoderLayer(nn.Module):
    """Attention among the tokens of one channel, then a feed-forward pair; batch norm after each residual sum (section 3.1)."""

    def __init__(self, h: PatchTSTHyperparameters) -> None:
        super().__init__()
        width = h.heads * h.head_width
        self.heads = h.heads
        self.inputs, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, h.feedforward * width), nn.Linear(h.feedforward * width, width)
        self.first, self.second = TokenNorm(width), TokenNorm(width)
        self.dropout = Dropout(h.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(width, tokens, sequences), kept."""
        shape, x = x.shape, x.flatten(1)
        qkv = linear(self.inputs, x).view(3, self.heads, -1, *shape[1:])  # each (heads, head width, tokens, sequences)
        x = self.first(self.dropout.onto(x, linear(self.output, attention(qkv).reshape(x.shape))))
        return self.second(self.dropout.onto(x, linear(self.narrow, self.dropout(gelu(linear(self.wide, x)))))).view(shape)


class Backbone(nn.Module):
    """Patches to representations, the same weights for every channel. Shape: (b, c, length) -> (b, c, tokens, width).

    Tokens are many and narrow, so inside they lie in columns (`training.columns`): what is returned is (width, tokens, b, c) in memory.
    """

    def __init__(self, h: PatchTSTHyperparameters, length: int) -> None:
        super().__init__()
        self.patch_length, self.stride, self.width = h.patch_length, h.stride, h.heads * h.head_width
        self.tokens = patch_count(length, h.patch_length, h.stride)
        self.embedding = nn.Linear(h.patch_length, self.width)
        self.position = nn.Parameter(torch.empty(self.tokens, self.width).uniform_(-0.02, 0.02))
        self.dropout = Dropout(h.dropout)
        self.layers = nn.Sequential(*(EncoderLayer(h) for _ in range(h.layers)))

    def forward(self, series: Tensor) -> Tensor:
        rows = series.permute(2, 0, 1).flatten(1)  # (length, sequences)
        cut = rows[places(len(rows), self.patch_length, self.stride).T]  # (patch_length, tokens, sequences)
        embedded = (self.embedding.weight @ cut.flatten(1)).unflatten(1, cut.shape[1:])
        x = self.dropout(embedded + (self.position + self.embedding.bias).T[..., None])
        return self.layers(x).unflatten(2, series.shape[:2]).permute(2, 3, 1, 0)


class ChannelForecast(nn.Module):
    """The paper's own task: each channel's next rows from its past alone. Shape: past (b, length, c) -> (b, c, horizons, outputs), Instance.

    The flatten head is shared as well. Of `outputs` numbers a horizon the first `located` are values of the channel, on which the instance
    normalisation is undone; the others are left in the unit of the normalised window.
    """

    def __init__(self, h: PatchTSTHyperparameters, length: int, horizons: int, *, outputs: int = 1, located: int = 1) -> None:
        super().__init__()
        self.backbone = Backbone(h, length)
        self.dropout = Dropout(h.head_dropout)
        self.head = nn.Linear(self.backbone.tokens * self.backbone.width, horizons * outputs)
        self.outputs, self.located, self.reversible = outputs, located, h.reversible_normalisation

    def forward(self, past: Tensor, there: Tensor | None = None) -> tuple[Tensor, Instance]:
        moments, series = self.normalised(past, there)
        hidden = self.dropout(self.backbone(series).permute(3, 2, 0, 1))  # as it lies in memory
        # The flatten head counts the numbers of a token first.
        weight = self.head.weight.unflatten(1, (-1, len(hidden))).transpose(1, 2).flatten(1)
        out = torch.addmm(self.head.bias[:, None], weight, hidden.flatten(2).flatten(0, 1))
        out = out.view(-1, self.outputs, *series.shape[:2])  # (horizons, outputs, b, c)
        if self.reversible:
            located = torch.arange(self.outputs, device=out.device)[:, None, None] < self.located
            mean, std = (part[:, 0] for part in moments)
            out = torch.addcmul(mean.where(located, 0.0), out, std.where(located, 1.0))
        return out.permute(2, 3, 0, 1), moments

    def normalised(self, past: Tensor, there: Tensor | None) -> tuple[Instance, Tensor]:
        """The moments of each channel, and the channels (b, c, length) without them where the normalisation is on."""
        moments = instance(past, there)
        return moments, ((past - moments.mean) / moments.std if self.reversible else past).transpose(1, 2)


class Readout(nn.Module):
    """The channels' forecasts to the target's. Shape: (b, c, horizons, 1 + levels), Instance -> (b, horizons), (b, horizons, levels).

    The target may be a channel, a function of some or neither, so the paper leaves open what it gets of them. Here the point and the
    middle quantile are, for each horizon, a weighted sum of the channels' forecasts after the inverse normalisation: linear, so that
    where a channel is shifted by δ the target moves by its weight times δ. It is the only place where channels meet. The steps to the
    outer quantiles are softplus of a weighted sum of the channels' own and of the logs of their scales, so that quantiles cannot cross
    and a wilder window may have a wider interval.
    """

    def __init__(self, channels: int, signature: Signature) -> None:
        super().__init__()
        horizons, levels = len(signature.horizons), signature.levels
        self.middle = min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5), default=0)
        self.weight = nn.Parameter(torch.full((horizons, channels), 1 / channels))
        self.bias = nn.Parameter(torch.zeros(horizons, 1 + len(levels)))
        self.spread = nn.Parameter(torch.zeros(horizons, channels)) if levels else None
        with torch.no_grad():
            if levels:
                # As in `heads.ForecastHead`: the quantiles of a standard normal.
                normal = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64))
                self.bias[:, 1] = normal[self.middle]
                self.bias[:, 2:] = normal.diff().expm1().log()

    def forward(self, forecasts: Tensor, moments: Instance) -> ForecastOutput:
        out = torch.einsum("bchk,hc->bhk", forecasts, self.weight) + self.bias
        if self.spread is None:
            return ForecastOutput(out[..., 0], out[..., 1:])
        scale = moments.std[:, 0].log() @ self.spread.T  # (b, horizons)
        climb = pad(softplus(out[..., 2:] + scale[..., None]).cumsum(-1), (1, 0))
        return ForecastOutput(out[..., 0], out[..., 1:2] + (climb - climb[..., self.middle, None]))


class Network(nn.Module):
    """Channel forecasts and the readout. Shape: (b, length, features) -> (b, horizons), (b, horizons, levels).

    Static and known inputs have no place in the paper's network and are not read.
    """

    def __init__(self, h: PatchTSTHyperparameters, s: Signature) -> None:
        super().__init__()
        self.channels = ChannelForecast(h, s.length, len(s.horizons), outputs=1 + len(s.levels), located=1 + bool(s.levels))
        self.readout = Readout(s.features, s)

    def forward(self, x: WindowTensors) -> ForecastOutput:
        return self.readout(*self.channels(*aligned(x)))


class Masked(nn.Module):
    """Blocks of a patch's length are hidden from each normalised channel, and the network says what stood there (section 3.2).

    Rows are hidden before they are cut into patches, so that none shines through a patch that overlaps; the paper's pre-training has no
    overlap. Shape: (b, length, features) -> scalar, the mean squared error on the hidden rows that exist.
    """

    def __init__(self, h: PatchTSTHyperparameters, channels: ChannelForecast) -> None:
        super().__init__()
        self.channels, self.share = channels, h.mask_ratio
        self.rebuild = nn.Linear(channels.backbone.width, h.patch_length)

    def forward(self, x: WindowTensors) -> Tensor:
        past, there = aligned(x)
        _, series = self.channels.normalised(past, there)
        hidden = self._hidden(series)
        if there is not None:
            hidden = hidden & there.transpose(1, 2)
        backbone = self.channels.backbone
        wanted, mask = (patches(part, backbone.patch_length, backbone.stride) for part in (series, hidden.to(series.dtype)))
        error = (self.rebuild(backbone(series.masked_fill(hidden, 0.0))) - wanted).square() * mask
        return error.sum() / mask.sum().clamp(min=1)

    def _hidden(self, series: Tensor) -> Tensor:
        """Which rows are hidden, of each channel the same number of blocks and at least one. Shape: (b, c, length)."""
        length, block = series.shape[-1], self.channels.backbone.patch_length
        blocks = -(-length // block)
        # Validation always hides the same blocks, so that its losses can be compared.
        generator = None if self.training else torch.Generator().manual_seed(0)
        order = torch.rand(*series.shape[:2], blocks, generator=generator).argsort(-1)
        hidden = order < max(1, round(self.share * blocks))
        return hidden.repeat_interleave(block, dim=-1)[..., :length].to(series.device)


class PatchTST(TorchEstimator[PatchTSTHyperparameters]):
    """A transformer over patches, each channel read alone."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature."""
        return Network(self.hyperparameters, self.signature)

    def plan(self, network: nn.Module) -> Plan:
        """The readout learns faster than the channels' network."""
        return Plan((Group([*network.channels.parameters()]), Group([*network.readout.parameters()], rate=READOUT_RATE)))

    def pretrain(self, network: nn.Module, seen: Source, held: Source, on_progress: OnProgress = ignore) -> None:
        """Masked patches of all windows, targets or not; the backbone keeps what it learned, the rest stays as it was drawn."""
        if not self.hyperparameters.pretraining_epochs:
            return
        with seeded(self.config.seed, 0, stream="pre-training", device=torch.device("cpu")):
            masked = Masked(self.hyperparameters, network.channels).to(next(network.parameters()).device)
        backbone = [*network.channels.backbone.parameters(), *masked.rebuild.parameters()]
        config = self.config.model_copy(update={"max_epochs": self.hyperparameters.pretraining_epochs})
        Loop(masked, _itself, seen, held, config, on_progress, Plan((Group(backbone),))).run()
        network.requires_grad_(True)


def _itself(loss: Tensor, batch: object) -> Tensor:
    del batch
    return loss
