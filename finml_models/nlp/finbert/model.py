"""FinBERT (Araci 2019): a BERT encoder and a classifier on its first token, fine-tuned from the top down.

From pre-trained weights it learns as Araci does, by the rules of Howard and Ruder (ULMFiT, 2018): lower layers at lower rates
(their equation 2), a slanted triangular schedule (equation 3), and layers that join from the top. From scratch there is nothing
to protect: all layers learn at once and at one rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from finml_models.nlp import _weights
from finml_models.nlp._classifier import TextClassifier
from finml_models.nlp._reading import TextTensors
from finml_models.training.plan import Group, Plan

from .card import FinBERTHyperparameters


class Network(nn.Module):
    """Encoder, pooler and classifier of a BERT. Shape: parts of (b, width) ids -> (sum of b, classes) logits."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = _weights.BERT.build(config)

    def forward(self, x: TextTensors) -> Tensor:
        return torch.cat([self.model(input_ids=ids, attention_mask=mask).logits for ids, mask in x.parts])

    def depths(self) -> Iterator[list[nn.Parameter]]:
        """Parameters from the top down: the classifier with the pooler, each layer, the embeddings."""
        body = self.model.bert
        yield [*self.model.classifier.parameters(), *body.pooler.parameters()]
        yield from ([*layer.parameters()] for layer in reversed(body.encoder.layer))
        yield [*body.embeddings.parameters()]


class FinBERT(TextClassifier[FinBERTHyperparameters]):
    """FinBERT, or the small encoder that stands in for it where nobody has put its weights."""

    published = "FinBERT"
    architecture = _weights.BERT
    labels = {"ProsusAI/finbert": ("positive", "negative", "neutral")}  # noqa: RUF012 - a mapping that nobody changes
    corpora = {"ProsusAI/finbert": ("financial_phrasebank",)}  # noqa: RUF012 - as above

    def scratch(self) -> dict[str, Any]:
        return {"max_position_embeddings": self.hyperparameters.max_length}

    def classifier(self, config: Mapping[str, Any]) -> nn.Module:
        return Network({**config, "classifier_dropout": self.hyperparameters.dropout})

    def plan(self, network: nn.Module) -> Plan:
        h = self.hyperparameters
        if h.weights == "scratch":
            return super().plan(network)
        assert isinstance(network, Network)  # noqa: S101 - what `network` made
        depths = list(network.depths())
        first = unfreezing(len(depths), self.config.max_epochs) if h.gradual_unfreezing else [1] * len(depths)
        groups = (Group(part, rate=h.rate * h.layer_decay**depth, from_epoch=epoch) for depth, (part, epoch) in enumerate(zip(depths, first, strict=True)))
        return Plan(tuple(groups), self.triangle)


def unfreezing(depths: int, epochs: int) -> list[int]:
    """The epoch from which each depth learns, the head from the first, one after the other until in the middle of the training all do."""
    return [1 + depth * min(depths - 1, epochs // 2) // max(1, depths - 1) for depth in range(depths)]
