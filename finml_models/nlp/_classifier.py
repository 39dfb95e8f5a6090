"""What text classifiers share: whose weights they start from, what they say of them, and how they learn from scratch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor, nn

from finml_models.core.errors import FinmlError, NotFitted
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.nlp import _weights, _wordpiece
from finml_models.nlp._hyperparameters import TextHyperparameters
from finml_models.nlp._reading import TextEncoder, texts_of
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.nlp._weights import Architecture

H = TypeVar("H", bound=TextHyperparameters)

RATIO = 32
"""The highest rate of the slanted triangle over its lowest, as in Howard and Ruder."""
BERT_SPREAD = 0.02 * math.sqrt(768)
"""BERT draws weights with a deviation of 0.02 at a width of 768; a narrower encoder needs larger ones for sums of the same size."""


class TextClassifier(TorchEstimator[H]):
    """A published encoder by its id, or the small one that stands in for it where nobody has put its weights."""

    published: ClassVar[str]
    """The name that only the published weights deserve."""
    architecture: ClassVar[Architecture]
    labels: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What the logits of published classifiers mean, in their order; files that say otherwise are refused. Bare encoders are not named."""
    corpora: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Corpora whose labels published weights have seen: a score on them is contaminated."""

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        config = config or TrainingConfig()
        super().__init__(hyperparameters, signature, config.model_copy(update={"batch_size": min(config.batch_size, hyperparameters.batch_size)}))

    @abstractmethod
    def scratch(self) -> dict[str, Any]:
        """The settings of transformers' configuration that only this architecture has, for the stand-in."""

    @abstractmethod
    def classifier(self, config: Mapping[str, Any]) -> nn.Module:
        """The network of a configuration, with transformers' names of its parameters under `model.`."""

    @property
    def weights(self) -> str:
        """In a sentence for clients and reports, whose weights answer; `NotFitted` before `fit` or `restore`."""
        origin = self.reader().origin
        if origin["weights"] == "scratch":
            layers, width = self.hyperparameters.layers, self.hyperparameters.heads * self.hyperparameters.head_width
            return f"a small encoder ({layers} x {width}) trained from scratch on this data; not {self.published}"
        return f"{origin['weights']} at commit {origin['revision'][:12]} (read from the {origin['place']}), fine-tuned on this data"

    @property
    def notes(self) -> tuple[str, ...]:
        """Whose weights these are."""
        return (f"Weights: {self.weights}.",)

    @property
    def tuned_on(self) -> tuple[str, ...]:
        """Corpora whose labels the pre-trained weights have seen."""
        return self.corpora.get(self.hyperparameters.weights, ())

    def contaminated_by(self, corpora: Collection[str]) -> tuple[str, ...]:
        """Which of a dataset's corpora (`datasets.news.schema.corpora`) make a score on it worthless, because the weights know their labels."""
        return tuple(name for name in self.tuned_on if name in corpora)

    def encoder(self, train: Batch) -> TextEncoder:
        """The published tokenizer, or word pieces of the training texts."""
        h = self.hyperparameters
        if h.weights == "scratch":
            written = _wordpiece.train(texts_of(train).texts.tolist(), h.vocabulary)
            return TextEncoder(written, self._small(written), {"weights": "scratch"}, h.max_length)
        found = _weights.load(h.weights, h.revision, self.architecture)
        expected = self.labels.get(h.weights, found.labels)
        if found.labels != expected:
            raise FinmlError(
                f"weights: {h.weights} answers {found.labels or ('no classifier',)} where {expected} is pinned: take the files of the pinned revision"
            )
        origin = {"weights": h.weights, "revision": h.revision, "place": found.place, "sha256": found.digest()}
        return TextEncoder(found.tokenizer, self._published(found.config), origin, h.max_length, self._relabelled(found.tensors, found.labels))

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> TextEncoder:
        return TextEncoder.restore(state, self.hyperparameters.max_length)

    def network(self) -> nn.Module:
        reader = self.reader()
        network = self.classifier(reader.config)
        if reader.tensors is not None:
            # A head for other classes than the published ones stays as it was drawn.
            own = network.get_submodule("model")
            own.load_state_dict({**own.state_dict(), **reader.tensors})
            reader.tensors = None
        return network

    def plan(self, network: nn.Module) -> Plan:
        """All parameters at one rate under the slanted triangle: from scratch there is nothing to protect."""
        h = self.hyperparameters
        rate = 1.0 if h.weights == "scratch" else h.rate
        return Plan((Group(list(network.parameters()), rate=rate),), self.triangle)

    def triangle(self, step: int, steps: int) -> float:
        """Share of the peak rate at a step."""
        return slanted_triangle(step, steps, self.hyperparameters.warmup)

    def read(self, batch: Batch) -> tuple[NDArray[np.int64], int]:
        """(n,) tokens of each text, and how many of them the encoder reads at most."""
        reader = self.reader()
        return reader.tokens(texts_of(batch).texts).lengths + 2, reader.most

    def reader(self) -> TextEncoder:
        """Tokenizer and configuration; `NotFitted` before there are any."""
        if not isinstance(self._encoder, TextEncoder):
            raise NotFitted(f"{self.published} has learned nothing yet: call `fit` or `restore` first")
        return self._encoder

    def _small(self, tokenizer: str) -> dict[str, Any]:
        h, width = self.hyperparameters, self.hyperparameters.heads * self.hyperparameters.head_width
        return {
            "vocab_size": _wordpiece.read(tokenizer).get_vocab_size(),
            "hidden_size": width,
            "num_hidden_layers": h.layers,
            "num_attention_heads": h.heads,
            "intermediate_size": 4 * width,
            "type_vocab_size": 1,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": BERT_SPREAD / math.sqrt(width),
            **self.scratch(),
            **self._classes(),
        }

    def _published(self, config: Mapping[str, Any]) -> dict[str, Any]:
        left_out = {"transformers_version", "id2label", "label2id", "num_labels", "architectures"}
        return {name: value for name, value in config.items() if name not in left_out} | self._classes()

    def _classes(self) -> dict[str, Any]:
        return {"id2label": {str(i): name for i, name in enumerate(self.signature.classes)}}

    def _relabelled(self, tensors: Mapping[str, Tensor], labels: tuple[str, ...]) -> dict[str, Tensor]:
        """The tensors with the last layer's rows in the order of the signature's classes, or without a head where the classes are others."""
        if set(labels) != set(self.signature.classes):
            return {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
        order = [labels.index(name) for name in self.signature.classes]
        return {name: value[order] if name.startswith(self.architecture.output) else value for name, value in tensors.items()}


def slanted_triangle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate: a short linear rise and a long linear fall to a 32nd (Howard and Ruder 2018, equation 3)."""
    cut = warmup * steps
    p = step / cut if step < cut else 1 - (step - cut) / (steps - cut)
    return (1 + p * (RATIO - 1)) / RATIO
