"""FinBERT (Araci 2019): a BERT encoder and a classifier on its first token, fine-tuned from the top down.

From pre-trained weights it learns as Araci does, by the rules of Howard and Ruder (ULMFiT, 2018): lower layers at lower rates
(their equation 2), a slanted triangular schedule (equation 3), and layers that join from the top. From scratch there is nothing
to protect: all layers learn at once and at one rate.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from finml_models.core.errors import FinmlError, NotFitted
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.nlp import _weights, _wordpiece
from finml_models.nlp._reading import TextEncoder, TextTensors, texts_of
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

from .card import FinBERTHyperparameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import BertConfig

    from finml_models.core.batches import Batch

LABELS = {"ProsusAI/finbert": ("positive", "negative", "neutral")}
"""What the logits of published weights mean, in their order; files that say otherwise are refused."""
TUNED_ON = {"ProsusAI/finbert": ("financial_phrasebank",)}
"""Corpora whose labels published weights have seen: a score on them is contaminated."""
RATIO = 32
"""The highest rate of the slanted triangle over its lowest, as in Howard and Ruder."""
BERT_SPREAD = 0.02 * math.sqrt(768)
"""BERT draws weights with a deviation of 0.02 at a width of 768; a narrower encoder needs larger ones for sums of the same size."""


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


class FinBERT(TorchEstimator[FinBERTHyperparameters]):
    """FinBERT, or the small encoder that stands in for it where nobody has put its weights."""

    def __init__(self, hyperparameters: FinBERTHyperparameters, signature: Signature, config: TrainingConfig | None = None) -> None:
        config = config or TrainingConfig()
        super().__init__(hyperparameters, signature, config.model_copy(update={"batch_size": min(config.batch_size, hyperparameters.batch_size)}))

    @property
    def weights(self) -> str:
        """In a sentence for clients and reports, whose weights answer; `NotFitted` before `fit` or `restore`."""
        origin = self._reader().origin
        if origin["weights"] == "scratch":
            layers, width = self.hyperparameters.layers, self.hyperparameters.heads * self.hyperparameters.head_width
            return f"a small encoder ({layers} x {width}) trained from scratch on this data; not FinBERT"
        return f"{origin['weights']} at commit {origin['revision'][:12]} (read from the {origin['place']}), fine-tuned on this data"

    @property
    def notes(self) -> tuple[str, ...]:
        """Whose weights these are."""
        return (f"Weights: {self.weights}.",)

    @property
    def tuned_on(self) -> tuple[str, ...]:
        """Corpora whose labels the pre-trained weights have seen."""
        return TUNED_ON.get(self.hyperparameters.weights, ())

    def contaminated_by(self, corpora: Collection[str]) -> tuple[str, ...]:
        """Which of a dataset's corpora (`datasets.news.schema.corpora`) make a score on it worthless, because the weights know their labels."""
        return tuple(name for name in self.tuned_on if name in corpora)

    def encoder(self, train: Batch) -> TextEncoder:
        """The published tokenizer, or word pieces of the training texts."""
        h = self.hyperparameters
        if h.weights == "scratch":
            written = _wordpiece.train(texts_of(train).texts.tolist(), h.vocabulary)
            return TextEncoder(written, self._small(written), {"weights": "scratch"}, h.max_length)
        found = _weights.load(h.weights, h.revision)
        expected, labels = LABELS[h.weights], found.labels or ("no classifier",)
        if found.labels != expected:
            raise FinmlError(f"weights: {h.weights} answers {labels} where {expected} is pinned: take the files of the pinned revision")
        origin = {"weights": h.weights, "revision": h.revision, "place": found.place, "sha256": found.digest()}
        return TextEncoder(found.tokenizer, self._published(found.config), origin, h.max_length, self._relabelled(found.tensors, found.labels))

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> TextEncoder:
        return TextEncoder.restore(state, self.hyperparameters.max_length)

    def network(self) -> nn.Module:
        from transformers import BertConfig

        reader = self._reader()
        network = Network(BertConfig.from_dict(reader.config))
        if reader.tensors is not None:
            # A head for other classes than the published ones stays as it was drawn.
            network.bert.load_state_dict({**network.bert.state_dict(), **reader.tensors})
            reader.tensors = None
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

    def read(self, batch: Batch) -> tuple[NDArray[np.int64], int]:
        """(n,) tokens of each text, and how many of them the encoder reads at most."""
        reader = self._reader()
        return reader.tokens(texts_of(batch).texts).lengths + 2, reader.most

    def _small(self, tokenizer: str) -> dict[str, Any]:
        h, width = self.hyperparameters, self.hyperparameters.heads * self.hyperparameters.head_width
        return {
            "vocab_size": _wordpiece.read(tokenizer).get_vocab_size(),
            "hidden_size": width,
            "num_hidden_layers": h.layers,
            "num_attention_heads": h.heads,
            "intermediate_size": 4 * width,
            "max_position_embeddings": h.max_length,
            "type_vocab_size": 1,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": BERT_SPREAD / math.sqrt(width),
            **self._head(),
        }

    def _published(self, config: Mapping[str, Any]) -> dict[str, Any]:
        left_out = {"transformers_version", "id2label", "label2id", "num_labels", "architectures"}
        return {name: value for name, value in config.items() if name not in left_out} | self._head()

    def _head(self) -> dict[str, Any]:
        return {"classifier_dropout": self.hyperparameters.dropout, "id2label": {str(i): name for i, name in enumerate(self.signature.classes)}}

    def _relabelled(self, tensors: Mapping[str, Tensor], labels: tuple[str, ...]) -> dict[str, Tensor]:
        """The tensors with the classifier's rows in the order of the signature's classes, or without it where the classes are others."""
        body = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
        if set(labels) != set(self.signature.classes):
            return body
        order = [labels.index(name) for name in self.signature.classes]
        return body | {name: value[order] for name, value in tensors.items() if name.startswith("classifier.")}

    def _reader(self) -> TextEncoder:
        if not isinstance(self._encoder, TextEncoder):
            raise NotFitted("FinBERT has learned nothing yet: call `fit` or `restore` first")
        return self._encoder


def slanted_triangle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate: a short linear rise and a long linear fall to a 32nd (Howard and Ruder 2018, equation 3)."""
    cut = warmup * steps
    p = step / cut if step < cut else 1 - (step - cut) / (steps - cut)
    return (1 + p * (RATIO - 1)) / RATIO


def unfreezing(depths: int, epochs: int) -> list[int]:
    """The epoch from which each depth learns, the head from the first, one after the other until in the middle of the training all do."""
    return [1 + depth * min(depths - 1, epochs // 2) // max(1, depths - 1) for depth in range(depths)]
