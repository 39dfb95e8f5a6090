"""Longformer (Beltagy et al. 2020): windows of attention, and one token that sees and is seen by the whole document.

Each token attends to `reach` tokens on either side (their section 3.1), the first token, from which the class is read, to all and all
to it, by projections of its own (section 3.1, "Global Attention"). Scores are made in blocks along the diagonal, so time and memory
grow with the length and not with its square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from finml_models.nlp import _weights
from finml_models.nlp._classifier import TextClassifier
from finml_models.nlp._reading import TextTensors

from .card import LongformerHyperparameters


class Network(nn.Module):
    """Encoder and classifier of a Longformer. Shape: parts of (b, width) ids -> (sum of b, classes) logits."""

    def __init__(self, config: Mapping[str, Any], *, dropout: float, global_attention: bool) -> None:
        super().__init__()
        self.model = _weights.LONGFORMER.build(config)
        self.model.classifier.dropout.p = dropout
        self.global_attention = global_attention
        self._block = max(self.model.config.attention_window)

    def forward(self, x: TextTensors) -> Tensor:
        return torch.cat([self.part(ids, mask) for ids, mask in x.parts])

    def part(self, ids: Tensor, mask: Tensor, **wanted: bool) -> Any:
        """(b, classes) logits of (b, width) ids; with `wanted`, such as `output_attentions`, all that transformers gives."""
        # Blocks of two windows have to come out even; without a word transformers would pad too, and warn.
        missing = -ids.shape[1] % self._block
        ids, mask = pad(ids, (0, missing), value=self.model.config.pad_token_id), pad(mask, (0, missing))
        everywhere = torch.zeros_like(mask)
        everywhere[:, 0] = int(self.global_attention)
        found = self.model(input_ids=ids, attention_mask=mask, global_attention_mask=everywhere, **wanted)
        return found if wanted else found.logits


class Longformer(TextClassifier[LongformerHyperparameters]):
    """Longformer, or the small encoder of its kind that stands in for it where nobody has put its weights."""

    published = "the published Longformer"
    architecture = _weights.LONGFORMER

    def scratch(self) -> dict[str, Any]:
        # The padding is number 0 and positions are counted from behind it.
        return {"model_type": "longformer", "max_position_embeddings": self.hyperparameters.max_length + 1, "pad_token_id": 0}

    def classifier(self, config: Mapping[str, Any]) -> nn.Module:
        h = self.hyperparameters
        window = {"attention_window": [2 * h.reach] * int(config["num_hidden_layers"])}
        return Network({**config, **window}, dropout=h.dropout, global_attention=h.global_attention)
