"""Longformer (Beltagy, Peters and Cohan 2020): attention in a sliding window, and a first token that attends to all and all to it.

Embeddings, layers and head are those of transformers, so published weights fit. The attention is our own sum of the same terms, over texts
that lie one behind the other: transformers pads each text to a multiple of its window, which makes a headline as dear as a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from finml_models.nlp._classifier import SPREAD, TextClassifier, without_head
from finml_models.nlp._reading import TOKENS
from finml_models.training.plan import Group, Plan

from .card import LongformerHyperparameters

if TYPE_CHECKING:
    from transformers import LongformerConfig

    from finml_models.nlp._reading import TextTensors
    from finml_models.nlp._weights import Pretrained

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts one behind the other, without padding. Shapes: ids, text and place (t,) by token; start (b,) by text.

    `text` is the number of a token's text, `place` how many tokens of the text come before it, `start` the index of a text's first token.
    """

    ids: Tensor
    text: Tensor
    place: Tensor
    start: Tensor

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """The texts of padded parts, in their order."""
        lengths = torch.cat([mask.sum(dim=1) for _, mask in parts])
        start = lengths.cumsum(0) - lengths
        text = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
        return cls(torch.cat([ids[mask.bool()] for ids, mask in parts]), text, torch.arange(len(text), device=text.device) - start[text], start)


def packs(parts: Sequence[Part]) -> Iterator[Packed]:
    """Neighbouring parts together, of not many more tokens than one forward pass should have."""
    held: list[Part] = []
    for part in parts:
        if held and sum(ids.numel() for ids, _ in (*held, part)) > TOKENS[part[0].device.type]:
            yield Packed.of(held)
            held = []
        held.append(part)
    yield Packed.of(held)


class WindowAttention(nn.Module):
    """Each token attends to those of its text that are at most `reach` away (section 3.1).

    Where `anchored`, it attends to its text's first token too, and the first token to the whole text, by projections of its own.
    """

    def __init__(self, width: int, heads: int, *, reach: int, anchored: bool, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.query_global, self.key_global, self.value_global = (nn.Linear(width, width) for _ in range(3))
        self.heads, self.reach, self.anchored, self.dropout = heads, reach, anchored, dropout

    def forward(self, x: Tensor, texts: Packed, *, first_only: bool = False) -> Tensor:
        """Shapes: x (t, width) -> (t, width), or (b, width) of the first tokens alone."""
        if not self.anchored:
            found = self.windows(x, texts)
            return found[texts.start] if first_only else found
        first = self.whole(x, texts)
        return first if first_only else self.windows(x, texts).index_copy(0, texts.start, first)

    def whole(self, x: Tensor, texts: Packed) -> Tensor:
        """(b, width) what the first tokens read of their whole texts: a softmax a text, in memory linear in t."""
        query, key, value = self._split(self.query_global(x[texts.start])), self._split(self.key_global(x)), self._split(self.value_global(x))
        score = (query[texts.text] * key).sum(-1) / math.sqrt(key.shape[-1])
        empty = score.new_zeros(len(texts.start), self.heads)
        peak = (empty - torch.inf).scatter_reduce(0, texts.text[:, None].expand_as(score), score.detach(), "amax")
        share = (score - peak[texts.text]).exp()
        share = share / empty.index_add(0, texts.text, share)[texts.text]
        share = dropout(share, self.dropout, self.training)
        return value.new_zeros(query.shape).index_add(0, texts.text, share[..., None] * value).flatten(1)

    def windows(self, x: Tensor, texts: Packed) -> Tensor:
        """(t, width) what each token reads of its window: blocks of `reach` queries over three blocks of keys, so memory is linear in t."""
        t, w = len(x), self.reach
        blocks = -(-t // w)
        query, key, value = (self._split(project(x)) for project in (self.query, self.key, self.value))
        query = query / math.sqrt(query.shape[-1])
        # (heads, blocks, w, d), and of keys and values (heads, blocks, 3 w, d)
        queries = pad(query, (0, 0, 0, 0, 0, blocks * w - t)).unflatten(0, (blocks, w)).permute(2, 0, 1, 3)
        keys, values = (_around(part, blocks, w).permute(2, 0, 1, 3) for part in (key, value))
        score = (queries @ keys.transpose(2, 3)).masked_fill(~self._allowed(texts, blocks), -torch.inf)
        if self.anchored:
            anchor = texts.start[texts.text]
            first = pad((query * key[anchor]).sum(-1), (0, 0, 0, blocks * w - t)).unflatten(0, (blocks, w)).permute(2, 0, 1)
            score = torch.cat([score, first[..., None]], dim=-1)
        share = dropout(score.softmax(-1), self.dropout, self.training)
        found = (share[..., : 3 * w] @ values).permute(1, 2, 0, 3).flatten(0, 1)[:t]
        if self.anchored:
            found = found + share[..., 3 * w].permute(1, 2, 0).flatten(0, 1)[:t, :, None] * value[anchor]
        return found.flatten(1)

    def _allowed(self, texts: Packed, blocks: int) -> Tensor:
        """(blocks, w, 3 w) whether a token reads another: near, of the same text, and not the first token where that has a place of its own."""
        w, device = self.reach, texts.text.device
        own = pad(texts.text, (0, blocks * w - len(texts.text)), value=-1)
        # A token that has nothing else to read reads itself, in the filling of the last block too: a softmax over nothing is no number.
        others = _around(texts.text.masked_fill(texts.place == 0, -2) if self.anchored else texts.text, blocks, w, filling=-1)
        distance = torch.arange(-w, 2 * w, device=device) - torch.arange(w, device=device)[:, None]
        return (own.unflatten(0, (blocks, w))[:, :, None] == others[:, None, :]) & (distance.abs() <= w)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


def _around(x: Tensor, blocks: int, w: int, filling: float = 0) -> Tensor:
    """(t, ...) to (blocks, 3 w, ...): each block between its neighbours."""
    cut = pad(x, (0, 0) * (x.ndim - 1) + (w, (blocks + 1) * w - len(x)), value=filling).unflatten(0, (blocks + 2, w))
    return torch.cat([cut[:-2], cut[1:-1], cut[2:]], dim=1)


class Network(nn.Module):
    """Embeddings, layers, and a classifier on the first token. Shape: parts of (b, width) ids -> (sum of b, classes) logits."""

    def __init__(self, config: LongformerConfig, *, anchored: bool, dropout: float) -> None:
        from transformers import LongformerForSequenceClassification

        super().__init__()
        self.longformer = LongformerForSequenceClassification(config)
        self.longformer.classifier.dropout.p = dropout
        self.unused_positions = config.pad_token_id + 1
        for layer, window in zip(self.longformer.longformer.encoder.layer, config.attention_window, strict=True):
            drawn = layer.attention.self.state_dict()
            # The global projections begin as the local ones, as in the paper.
            drawn |= {name.replace(".", "_global."): value for name, value in drawn.items() if "_global" not in name}
            layer.attention.self = WindowAttention(
                config.hidden_size, config.num_attention_heads, reach=window // 2, anchored=anchored, dropout=config.attention_probs_dropout_prob
            )
            layer.attention.self.load_state_dict(drawn)

    def forward(self, x: TextTensors) -> Tensor:
        return torch.cat([self.longformer.classifier(self.first(texts)[:, None]) for texts in packs(x.parts)])

    def first(self, texts: Packed) -> Tensor:
        """(b, width) the first token after all layers; of the last one nothing else is worked out, for nothing else is read."""
        body = self.longformer.longformer
        x = body.embeddings(texts.ids[None], position_ids=texts.place[None] + self.unused_positions)[0]
        *lower, last = body.encoder.layer
        for layer in lower:
            x = layer.ff_chunk(layer.attention.output(layer.attention.self(x, texts), x))
        return last.ff_chunk(last.attention.output(last.attention.self(x, texts, first_only=True), x[texts.start]))


class Longformer(TextClassifier[LongformerHyperparameters]):
    """Longformer, or the small encoder of the same make that stands in for it where nobody has put its weights."""

    published = "Longformer"
    architecture = "LongformerForSequenceClassification"

    def network(self) -> nn.Module:
        from transformers import LongformerConfig

        h = self.hyperparameters
        network = Network(LongformerConfig.from_dict(self.reader().config), anchored=h.global_attention, dropout=h.dropout)
        self.begin(network.longformer)
        return network

    def plan(self, network: nn.Module) -> Plan:
        """A linear rise and a linear fall, as Beltagy et al. fine-tune classifiers (appendix); from scratch at the training's own rate."""
        h = self.hyperparameters

        def rise_and_fall(step: int, steps: int) -> float:
            rising = h.warmup * steps
            return (step + 1) / (rising + 1) if step < rising else (steps - step) / (steps - rising)

        return Plan((Group([*network.parameters()], rate=1.0 if h.weights == "scratch" else h.rate),), rise_and_fall)

    def small(self, vocabulary: int) -> dict[str, Any]:
        h, width = self.hyperparameters, self.hyperparameters.heads * self.hyperparameters.head_width
        return {
            "model_type": "longformer",
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": h.layers,
            "num_attention_heads": h.heads,
            "intermediate_size": 4 * width,
            "attention_window": 2 * h.reach,
            "pad_token_id": 0,
            "max_position_embeddings": h.max_length + 1,
            "type_vocab_size": 1,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": SPREAD / math.sqrt(width),
        }

    def kept(self, found: Pretrained) -> dict[str, Tensor]:
        """The encoder's tensors: the published Longformer was never a classifier, so the head is drawn anew."""
        return without_head(found.tensors)
