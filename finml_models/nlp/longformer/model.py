"""Longformer (Beltagy, Peters and Cohan 2020): attention in a sliding window, and a first token that attends to all and all to it.

Embeddings, layers and head are those of transformers, so published weights fit. The attention is our own sum of the same terms:
transformers pads every text to a multiple of its window, which makes a headline as dear as a page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from finml_models.nlp._classifier import SPREAD, TextClassifier, without_head
from finml_models.training.plan import Group, Plan

from .card import LongformerHyperparameters

if TYPE_CHECKING:
    from transformers import LongformerConfig

    from finml_models.nlp._reading import TextTensors
    from finml_models.nlp._weights import Pretrained


class WindowAttention(nn.Module):
    """Each token attends to those at most `reach` away (section 3.1).

    Where `anchored`, it attends to the first token too, and the first one to all, by projections of its own (equation 1 with Q_g, K_g and V_g).
    """

    def __init__(self, width: int, heads: int, *, reach: int, anchored: bool, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.query_global, self.key_global, self.value_global = (nn.Linear(width, width) for _ in range(3))
        self.heads, self.reach, self.anchored, self.dropout = heads, reach, anchored, dropout

    def forward(self, x: Tensor, read: Tensor, *, first_only: bool = False) -> Tensor:
        """Shapes: x (b, n, width), read (b, n) False for padding -> (b, n, width), or (b, 1, width) where only the first token is asked for."""
        if first_only and not self.anchored:
            near = self.reach + 1
            return self._windows(x[:, :near], read[:, :near])[:, :1]
        if not self.anchored:
            return self._windows(x, read)
        first = self._attend(self._split(self.query_global(x[:, :1])), self._split(self.key_global(x)), self._split(self.value_global(x)), read[:, None, None])
        return _joined(first) if first_only else torch.cat([_joined(first), self._windows(x, read)[:, 1:]], dim=1)

    def _windows(self, x: Tensor, read: Tensor) -> Tensor:
        """(b, n, width) what each token reads of its window."""
        query, key, value = (self._split(project(x)) for project in (self.query, self.key, self.value))
        if x.shape[1] <= self.reach + 1:
            return _joined(self._attend(query, key, value, read[:, None, None]))
        return _joined(self._blocks(query, key, value, read))

    def _blocks(self, query: Tensor, key: Tensor, value: Tensor, read: Tensor) -> Tensor:
        """Blocks of `reach` queries, each over the keys of three blocks, its own in the middle: memory is linear in n. Shapes: (b, heads, n, d)."""
        n, w = query.shape[2], self.reach
        blocks = -(-n // w)
        beyond = blocks * w - n
        queries = pad(query, (0, 0, 0, beyond)).unflatten(2, (blocks, w))
        # (b, heads, blocks, 3 w, d)
        keys, values = (pad(part, (0, 0, w, w + beyond)).unfold(2, 3 * w, w).transpose(3, 4) for part in (key, value))
        if self.anchored:
            read = read.clone()
            read[:, 0] = False
        around = pad(read, (w, w + beyond)).unfold(1, 3 * w, w)[:, :, None]
        distance = torch.arange(-w, 2 * w, device=read.device) - torch.arange(w, device=read.device)[:, None]
        # Whatever there is to read, a token reads itself: a softmax over nothing is not a number.
        mask = (around & (distance.abs() <= w)) | (distance == 0)
        if self.anchored:
            keys, values = (torch.cat([part[:, :, None, :1].expand(-1, -1, blocks, -1, -1), own], 3) for part, own in ((key, keys), (value, values)))
            mask = pad(mask, (1, 0), value=True)
        folded = (part.transpose(1, 2).flatten(0, 1) for part in (queries, keys, values))
        found = self._attend(*folded, mask.flatten(0, 1)[:, None])
        return found.unflatten(0, (-1, blocks)).transpose(1, 2).flatten(2, 3)[:, :, :n]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0)


def _joined(x: Tensor) -> Tensor:
    """(b, heads, n, d) to (b, n, heads * d)."""
    return x.transpose(1, 2).flatten(2)


class Network(nn.Module):
    """Embeddings, layers, and a classifier on the first token. Shape: parts of (b, width) ids -> (sum of b, classes) logits."""

    def __init__(self, config: LongformerConfig, *, anchored: bool, dropout: float) -> None:
        from transformers import LongformerForSequenceClassification

        super().__init__()
        self.longformer = LongformerForSequenceClassification(config)
        self.longformer.classifier.dropout.p = dropout
        for layer, window in zip(self.longformer.longformer.encoder.layer, config.attention_window, strict=True):
            drawn = layer.attention.self.state_dict()
            # The global projections begin as the local ones, as in the paper.
            drawn |= {name.replace(".", "_global."): value for name, value in drawn.items() if "_global" not in name}
            layer.attention.self = WindowAttention(
                config.hidden_size, config.num_attention_heads, reach=window // 2, anchored=anchored, dropout=config.attention_probs_dropout_prob
            )
            layer.attention.self.load_state_dict(drawn)

    def forward(self, x: TextTensors) -> Tensor:
        return torch.cat([self.longformer.classifier(self.first(ids, mask.bool())) for ids, mask in x.parts])

    def first(self, ids: Tensor, read: Tensor) -> Tensor:
        """(b, 1, width) the first token after all layers; of the last one nothing else is worked out, for nothing else is read."""
        body = self.longformer.longformer
        x = body.embeddings(ids)
        *lower, last = body.encoder.layer
        for layer in lower:
            x = layer.ff_chunk(layer.attention.output(layer.attention.self(x, read), x))
        return last.ff_chunk(last.attention.output(last.attention.self(x, read, first_only=True), x[:, :1]))


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
