"""Temporal Fusion Transformer (Lim, Arik, Loeff and Pfister, International Journal of Forecasting 37, 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, layer_norm, linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from finml_models.core.errors import NotExplained
from finml_models.core.explanations import Attribution, Explanation
from finml_models.time_series._ahead import Ahead, HorizonHead, inputs_so_far
from finml_models.training.dropout import Dropout
from finml_models.training.torch_estimator import TorchEstimator

from .card import TFTHyperparameters

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature
    from finml_models.training.heads import ForecastOutput
    from finml_models.training.minibatch import WindowTensors

CAVEAT = (
    "Weights say what this network leaned on, not what causes the outcome: correlated inputs share weight arbitrarily, another seed may "
    "share it otherwise, and an input can matter through the state that later steps carry. An input's weight does not say in which "
    "direction it moves the forecast."
)


class StackedLinear(nn.Module):
    """One linear layer a variable, all in one product. Shape: (variables, n, inputs) -> (variables, n, outputs)."""

    def __init__(self, copies: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(copies, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(copies, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class StackedNorm(nn.Module):
    """Layer normalisation with gain and bias a variable. Shape: (variables, n, width), kept."""

    def __init__(self, copies: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(copies, 1, width))
        self.bias = nn.Parameter(torch.zeros(copies, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, layer_norm(x, x.shape[-1:]), self.weight)


class Gate(nn.Module):
    """LayerNorm(skip + GLU(x)): the network can shut a part of itself off. `copies` of them when over 0, stacked in front."""

    def __init__(self, inputs: int, outputs: int, dropout: float, copies: int = 0) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.linear = _linear(copies, inputs, 2 * outputs)
        self.norm = StackedNorm(copies, outputs) if copies else nn.LayerNorm(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        # PyTorch's own GLU works out the sigmoid again on the way back, which costs a tenth of a training step.
        value, opening = self.linear(self.dropout(x)).chunk(2, dim=-1)
        return self.norm(torch.addcmul(skip, value, opening.sigmoid()))


class GatedResidual(nn.Module):
    """LayerNorm(a + GLU(W1 ELU(W2 a + W3 c))), equations 2 to 5; `a` goes through a linear layer where widths differ."""

    def __init__(self, inputs: int, width: int, outputs: int, dropout: float, *, context: int = 0, copies: int = 0) -> None:
        super().__init__()
        self.first = _linear(copies, inputs, width)
        self.context = nn.Linear(context, width, bias=False) if context else None
        self.second = _linear(copies, width, width)
        self.gate = Gate(width, outputs, dropout, copies)
        self.skip = None if inputs == outputs else _linear(copies, inputs, outputs)

    def forward(self, a: Tensor, context: Tensor | None = None) -> Tensor:
        return self.rest(self.first(a), a if self.skip is None else self.skip(a), context)

    def rest(self, first: Tensor, skip: Tensor, context: Tensor | None = None) -> Tensor:
        """All that comes after the two layers that read `a`."""
        hidden = first if self.context is None or context is None else first + self.context(context)
        return self.gate(self.second(elu(hidden)), skip)


class VariableSelection(nn.Module):
    """Embeds each variable, sends it through a network of its own, and mixes them by softmax weights (equations 6 to 8).

    Shape: x (b, [t,] v), context (b, [1,] width) -> (b, [t,] width), weights (b, [t,] v). A variable is one number, so its
    embedding is linear in it, and so is every layer that reads embeddings: their matrices are multiplied with the embedding's
    once a pass, and not with each of the b × t × v embedded numbers. The mathematics is unchanged.
    """

    def __init__(self, variables: int, width: int, dropout: float, *, context: int = 0, weighs: bool = True) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.empty(variables, 1, width).uniform_(-1, 1))
        self.offset = nn.Parameter(torch.empty(variables, 1, width).uniform_(-1, 1))
        self.transform = GatedResidual(width, width, width, dropout, copies=variables)
        # The weight of a single variable is 1 whatever a network says.
        self.weigh = GatedResidual(variables * width, width, variables, dropout, context=context) if weighs and variables > 1 else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        weights = self.weights(x, context)
        numbers = x.flatten(0, -2).T[..., None]  # (v, n, 1)
        first = self.transform.first
        hidden = torch.baddbmm(first(self.offset), numbers, self.slope @ first.weight)
        embedded = torch.baddbmm(self.offset, numbers, self.slope)
        transformed = self.transform.rest(hidden, embedded)  # (v, n, width)
        mixed = (transformed * weights.flatten(0, -2).T[..., None]).sum(0)
        return mixed.unflatten(0, x.shape[:-1]), weights

    def weights(self, x: Tensor, context: Tensor | None) -> Tensor:
        """(b, [t,] v) summing to 1; all alike without a selection network."""
        if self.weigh is None:
            return torch.full_like(x, 1 / x.shape[-1])
        first, skip = (self._over_embeddings(layer, x) for layer in (self.weigh.first, self.weigh.skip))
        return self.weigh.rest(first, skip, context).softmax(-1)

    def _over_embeddings(self, layer: nn.Linear, x: Tensor) -> Tensor:
        """The layer of all embeddings side by side, as a layer of the numbers."""
        slope = torch.einsum("ovw,vw->ov", layer.weight.unflatten(1, self.slope.shape[::2]), self.slope[:, 0])
        return linear(x, slope, layer(self.offset.flatten()))


class InterpretableAttention(nn.Module):
    """Heads with queries and keys of their own over one shared value, averaged (equations 13 to 16).

    Shape: queries (b, q, width), keys (b, k, width), hidden (b or 1, q, k) true where a query may not look -> (b, q, width),
    weights (b, q, k). With shared values the mean of the heads is one attention with the mean of their weights.
    """

    def __init__(self, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        width = heads * head_width
        self.heads, self.scale = heads, head_width**-0.5
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # a bias adds the same to all scores of a query: softmax drops it
        self.value = nn.Linear(width, head_width)
        self.out = nn.Linear(head_width, width, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, queries: Tensor, keys: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        q, k = (side.unflatten(-1, (self.heads, -1)).transpose(1, 2) for side in (self.query(queries) * self.scale, self.key(keys)))
        scores = (q @ k.mT).masked_fill(hidden[:, None], -torch.inf)
        weights = scores.softmax(-1).mean(1)
        return self.out(self.dropout(weights) @ self.value(keys)), weights


class Reading(NamedTuple):
    """What the network made of a minibatch. Shapes: hidden (b, horizons, width), static (b, k), past (b, length, v),
    known (b, steps, j) and attention (b, horizons, length + steps) weights; None where it has no such part."""

    hidden: Tensor
    static: Tensor | None
    past: Tensor
    known: Tensor | None
    attention: Tensor | None


class Network(nn.Module):
    """Selection, a local LSTM encoder-decoder, and attention over the whole of it. Static and known parts are absent where inputs are."""

    def __init__(self, h: TFTHyperparameters, s: Signature) -> None:
        super().__init__()
        width, drop = h.heads * h.head_width, h.dropout
        statics, known = len(s.static_names), len(s.known_names)
        variables = s.features + known
        self.ahead = Ahead(s)
        self.register_buffer("horizons", torch.tensor(s.horizons), persistent=False)
        # Contexts: of the LSTM's two initial states, of the enrichment, and of the selections where there is something to select.
        contexts = (3 + (h.variable_selection and variables > 1)) if statics else 0
        selects = {"context": width if contexts == 4 else 0, "weighs": h.variable_selection}
        self.static = VariableSelection(statics, width, drop, weighs=h.variable_selection) if statics else None
        self.contexts = GatedResidual(width, width, width, drop, copies=contexts) if statics else None
        self.past = VariableSelection(variables, width, drop, **selects)
        self.future = VariableSelection(known, width, drop, **selects) if known else None
        self.placeholders = None if known else nn.Parameter(torch.empty(len(self.ahead), width).uniform_(-1, 1))
        self.encoder, self.decoder = (nn.LSTM(width, width, h.lstm_layers, batch_first=True, dropout=drop if h.lstm_layers > 1 else 0.0) for _ in range(2))
        self.local_gate = Gate(width, width, drop)
        self.enrichment = GatedResidual(width, width, width, drop, context=width) if statics else None
        self.attention = InterpretableAttention(h.heads, h.head_width, drop) if h.self_attention else None
        self.attention_gate = Gate(width, width, drop) if h.self_attention else None
        self.feedforward = GatedResidual(width, width, width, drop)
        self.output_gate = Gate(width, width, drop)
        self.head = HorizonHead(width, s)

    def forward(self, x: WindowTensors) -> ForecastOutput:
        return self.head(self.read(x).hidden)

    def read(self, x: WindowTensors) -> Reading:
        """The hidden state at each horizon, and all the weights on the way to it."""
        static, static_weights, state = None, None, None
        enrichment = selection = None
        if self.static is not None:
            static, static_weights = self.static(x.static)
            cell, hidden, enrichment, *rest = self.contexts(static.expand(len(self.contexts.first.weight), -1, -1))
            selection = rest[0][:, None] if rest else None
            state = tuple(c.expand(self.encoder.num_layers, -1, -1).contiguous() for c in (hidden, cell))
        past, past_weights = self.past(inputs_so_far(x), selection)
        future, known_weights = self._future(x, selection)
        local = self.local_gate(self._lstm(past, future, state, x.lengths), torch.cat([past, future], dim=1))
        enriched = local if self.enrichment is None else self.enrichment(local, enrichment[:, None])
        asked = past.shape[1] + self.ahead.asked
        hidden, attention = enriched[:, asked], None
        # Nothing but the horizons is read from here on, so only they ask; every step up to a horizon can be looked at.
        if self.attention is not None:
            attended, attention = self.attention(hidden, enriched, self._unseen(x))
            hidden = self.attention_gate(attended, hidden)
        hidden = self.output_gate(self.feedforward(hidden), local[:, asked])
        return Reading(hidden, static_weights, past_weights, known_weights, attention)

    def _future(self, x: WindowTensors, selection: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(b, steps, width) of what is known of the steps ahead: their inputs, or how far ahead they are."""
        known = self.ahead.known(x)
        if known is None:
            return self.placeholders.expand(x.past.shape[0], -1, -1), None
        return self.future(known, selection)

    def _lstm(self, past: Tensor, future: Tensor, state: tuple[Tensor, Tensor] | None, lengths: Tensor | None) -> Tensor:
        """(b, length + steps, width): the decoder goes on from where each window ends."""
        if lengths is None:
            before, state = self.encoder(past, state)
        else:
            packed, state = self.encoder(pack_padded_sequence(past, lengths, batch_first=True, enforce_sorted=False), state)
            before, _ = pad_packed_sequence(packed, batch_first=True, total_length=past.shape[1])
        return torch.cat([before, self.decoder(future, state)[0]], dim=1)

    def _unseen(self, x: WindowTensors) -> Tensor:
        """(b or 1, horizons, length + steps): true for steps beyond a horizon, and for rows that a short window lacks."""
        length, device = x.past.shape[1], x.past.device
        later = self.ahead.steps > self.horizons[:, None]
        valid = torch.tensor([length], device=device) if x.lengths is None else x.lengths.to(device)
        missing = torch.arange(length, device=device) >= valid[:, None]
        return torch.cat([missing[:, None].expand(-1, len(later), -1), later.expand(len(valid), -1, -1)], dim=-1)


class TFT(TorchEstimator[TFTHyperparameters]):
    """Names the inputs and the past steps that each forecast leaned on."""

    def network(self) -> nn.Module:
        """The network for these hyperparameters and this signature."""
        return Network(self.hyperparameters, self.signature)

    @torch.inference_mode()
    def explain(self, batch: Batch) -> Explanation:
        """Selection weights of static, past and known inputs, and the attention over the past; each row of a part sums to 1."""
        if not (self.hyperparameters.variable_selection or self.hyperparameters.self_attention):
            raise NotExplained("TFT: variable selection and attention are both switched off, and nothing else in it has weights to show: switch one on")
        self.predict(batch)  # refuses what cannot be read
        module, _, _ = self._fitted()
        x = self._source(batch, next(module.parameters()).device, labelled=False).gather(torch.arange(len(batch)))
        reading, parts = module.read(x), []
        lengths = torch.full((len(batch),), self.signature.length) if x.lengths is None else x.lengths
        if self.hyperparameters.variable_selection:
            parts = list(self._selections(reading, lengths.to(x.past.device)))
        if reading.attention is not None:
            parts.append(self._steps(reading.attention, lengths.to(x.past.device)))
        return Explanation("variable selection and interpretable attention (Lim et al. 2021)", CAVEAT, tuple(parts))

    def _selections(self, reading: Reading, lengths: Tensor) -> list[Attribution]:
        s, length = self.signature, self.signature.length
        there = (torch.arange(length, device=lengths.device) < lengths[:, None])[..., None]
        past = (reading.past * there).sum(1) / lengths[:, None]
        found = [
            ("static features", s.static_names, reading.static, "share of each static feature in the context that steers the whole network"),
            ("features", (*s.feature_names, *s.known_names), past, "share of each input in what is read of the window, mean over its steps"),
            (
                "features known ahead",
                s.known_names,
                None if reading.known is None else reading.known.mean(1),
                "share of each input in what is known of the steps ahead, mean over them",
            ),
        ]
        return [Attribution(name, names, _array(weights), meaning) for name, names, weights, meaning in found if weights is not None]

    def _steps(self, attention: Tensor, lengths: Tensor) -> Attribution:
        """The newest step last, wherever a short window begins."""
        length = self.signature.length
        past = attention[..., :length].mean(1)
        past = past / past.sum(-1, keepdim=True)
        row = torch.arange(length, device=lengths.device) - (length - lengths[:, None])
        weights = past.gather(1, row.clamp(min=0)).masked_fill(row < 0, torch.nan)
        names = tuple(f"t-{lag}" if lag else "t" for lag in reversed(range(length)))
        meaning = "share of each row of the window in the attention that goes to the window, mean over the horizons and heads"
        return Attribution("steps", names, _array(weights), meaning)


def _linear(copies: int, inputs: int, outputs: int) -> nn.Module:
    return StackedLinear(copies, inputs, outputs) if copies else nn.Linear(inputs, outputs)


def _array(weights: Tensor) -> np.ndarray:
    return weights.float().cpu().numpy()
