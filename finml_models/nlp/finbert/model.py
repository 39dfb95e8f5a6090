"""FinBERT (Araci 2019): a BERT encoder and a classifier on its first token, fine-tuned from the top down.

From pre-trained weights it learns as Araci does, by the rules of Howard and Ruder (ULMFiT, 2018): lower layers at lower rates
(their equation 2), a slanted triangular schedule (equation 3), and layers that join from the top. From scratch there is nothing
to protect: all layers learn at once and at one rate.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from finml_models.core.errors import FinmlError
from finml_models.nlp._classifier import SPREAD, TextClassifier, without_head
from finml_models.training.plan import Group, Plan

from .card import FinBERTHyperparameters

if TYPE_CHECKING:
    from transformers import BertConfig

    from finml_models.nlp._reading import TextTensors
    from finml_models.nlp._weights import Pretrained

LABELS = {"ProsusAI/finbert": ("positive", "negative", "neutral")}
"""What the logits of published weights mean, in their order; files that say otherwise are refused."""
TUNED_ON = {"ProsusAI/finbert": ("financial_phrasebank",)}
"""Corpora whose labels published weights have seen: a score on them is contaminated."""
RATIO = 32
"""The highest rate of the slanted triangle over its lowest, as in Howard and Ruder."""


class Network(nn.Module):
    """Encoder, pooler and classifier of a BERT. Shape: parts of (b, width) ids -> (sum of b, classes) logits."""

    def __init__(self, config: BertConfig) -> None:
        from transformers import BertForSequenceClassification

        super().__init__()
        self.bert = BertForSequenceClassification(config)

    def forward(self, x: TextTensors) -> Tensor:
        return torch.cat([self.bert(input_ids=ids, attention_mask=mask).logits for ids, mask in x.parts])

    def depths(self) -> Iterator[list[nn.Parameter]]:
        """Parameters from the top down: the classifier with the pooler, each layer, the embeddings."""
        body = self.bert.bert
        yield [*self.bert.classifier.parameters(), *body.pooler.parameters()]
        yield from ([*layer.parameters()] for layer in reversed(body.encoder.layer))
        yield [*body.embeddings.parameters()]


class FinBERT(TextClassifier[FinBERTHyperparameters]):
    """FinBERT, or the small encoder that stands in for it where nobody has put its weights."""

    published = "FinBERT"
    architecture = "BertForSequenceClassification"

    @property
    def tuned_on(self) -> tuple[str, ...]:
        """Corpora whose labels the pre-trained weights have seen."""
        return TUNED_ON.get(self.hyperparameters.weights, ())

    def contaminated_by(self, corpora: Collection[str]) -> tuple[str, ...]:
        """Which of a dataset's corpora (`datasets.news.schema.corpora`) make a score on it worthless, because the weights know their labels."""
        return tuple(name for name in self.tuned_on if name in corpora)

    def network(self) -> nn.Module:
        from transformers import BertConfig

        network = Network(BertConfig.from_dict(self.reader().config | {"classifier_dropout": self.hyperparameters.dropout}))
        self.begin(network.bert)
        return network

    def plan(self, network: nn.Module) -> Plan:
        h = self.hyperparameters

        def triangle(step: int, steps: int) -> float:
            return slanted_triangle(step, steps, h.warmup)

        assert isinstance(network, Network)  # noqa: S101 - what `network` made
        depths = list(network.depths())
        if h.weights == "scratch":
            return Plan((Group([parameter for depth in depths for parameter in depth]),), triangle)
        first = unfreezing(len(depths), self.config.max_epochs) if h.gradual_unfreezing else [1] * len(depths)
        groups = (Group(part, rate=h.rate * h.layer_decay**depth, from_epoch=epoch) for depth, (part, epoch) in enumerate(zip(depths, first, strict=True)))
        return Plan(tuple(groups), triangle)

    def small(self, vocabulary: int) -> dict[str, Any]:
        h, width = self.hyperparameters, self.hyperparameters.heads * self.hyperparameters.head_width
        return {
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": h.layers,
            "num_attention_heads": h.heads,
            "intermediate_size": 4 * width,
            "max_position_embeddings": h.max_length,
            "type_vocab_size": 1,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": SPREAD / math.sqrt(width),
        }

    def kept(self, found: Pretrained) -> dict[str, Tensor]:
        """The tensors with the classifier's rows in the order of the signature's classes, or without it where the classes are others."""
        expected, labels = LABELS[self.hyperparameters.weights], found.labels or ("no classifier",)
        if found.labels != expected:
            raise FinmlError(f"weights: {self.hyperparameters.weights} answers {labels} where {expected} is pinned: take the files of the pinned revision")
        body = without_head(found.tensors)
        if set(labels) != set(self.signature.classes):
            return body
        order = [labels.index(name) for name in self.signature.classes]
        return body | {name: value[order] for name, value in found.tensors.items() if name not in body}


def slanted_triangle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate: a short linear rise and a long linear fall to a 32nd (Howard and Ruder 2018, equation 3)."""
    cut = warmup * steps
    p = step / cut if step < cut else 1 - (step - cut) / (steps - cut)
    return (1 + p * (RATIO - 1)) / RATIO


def unfreezing(depths: int, epochs: int) -> list[int]:
    """The epoch from which each depth learns, the head from the first, one after the other until in the middle of the training all do."""
    return [1 + depth * min(depths - 1, epochs // 2) // max(1, depths - 1) for depth in range(depths)]
