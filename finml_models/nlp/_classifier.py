"""What classifiers of texts share: an encoder with published weights, or a small one from scratch that says that it is not the published one."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from finml_models.core.errors import NotFitted
from finml_models.core.estimator import H, Signature, TrainingConfig
from finml_models.training.torch_estimator import TorchEstimator

from . import _weights, _wordpiece
from ._reading import TextEncoder, texts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

HEAD = "classifier."
SPREAD = 0.02 * math.sqrt(768)
"""BERT draws weights with a deviation of 0.02 at a width of 768; a narrower encoder needs larger ones for sums of the same size."""


class TextClassifier(TorchEstimator[H]):
    """A classifier of texts.

    Its hyperparameters have weights, revision, max_length and batch_size, and for the stand-in heads, head_width, layers and vocabulary.
    """

    published: ClassVar[str]
    """What the published model is called, and the stand-in from scratch is not."""
    architecture: ClassVar[str]
    """The class of transformers that the published files belong to."""

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        config = config or TrainingConfig()
        super().__init__(hyperparameters, signature, config.model_copy(update={"batch_size": min(config.batch_size, hyperparameters.batch_size)}))

    @abstractmethod
    def small(self, vocabulary: int) -> dict[str, Any]:
        """The configuration of the encoder from scratch, for so many word pieces."""

    @abstractmethod
    def kept(self, found: _weights.Pretrained) -> dict[str, Tensor]:
        """The published tensors to start from; raises `FinmlError` where the files are others than the pinned ones."""

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

    def encoder(self, train: Batch) -> TextEncoder:
        """The published tokenizer, or word pieces of the training texts."""
        h = self.hyperparameters
        if h.weights == "scratch":
            written = _wordpiece.train(texts_of(train).texts.tolist(), h.vocabulary)
            return TextEncoder(written, self.small(_wordpiece.read(written).get_vocab_size()) | self._labels(), {"weights": "scratch"}, h.max_length)
        found = _weights.load(h.weights, h.revision, self.architecture)
        origin = {"weights": h.weights, "revision": h.revision, "place": found.place, "sha256": found.digest()}
        return TextEncoder(found.tokenizer, _encoder_alone(found.config) | self._labels(), origin, h.max_length, self.kept(found))

    def restored_encoder(self, state: Mapping[str, NDArray[Any]]) -> TextEncoder:
        return TextEncoder.restore(state, self.hyperparameters.max_length)

    def begin(self, model: nn.Module) -> None:
        """Put the published tensors, where there are some, into a new network; a head that is not among them stays as it was drawn."""
        reader = self.reader()
        if reader.tensors is not None:
            model.load_state_dict({**model.state_dict(), **reader.tensors})
            reader.tensors = None

    def read(self, batch: Batch) -> tuple[NDArray[np.int64], int]:
        """(n,) tokens of each text, and how many of them the encoder reads at most."""
        reader = self.reader()
        return reader.tokens(texts_of(batch).texts).lengths + 2, reader.most

    def reader(self) -> TextEncoder:
        """The fitted encoder; `NotFitted` before `fit` or `restore`."""
        if not isinstance(self._encoder, TextEncoder):
            raise NotFitted(f"{type(self).__name__} has learned nothing yet: call `fit` or `restore` first")
        return self._encoder

    def _labels(self) -> dict[str, Any]:
        return {"id2label": {str(i): name for i, name in enumerate(self.signature.classes)}}


def _encoder_alone(config: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {"transformers_version", "id2label", "label2id", "num_labels", "architectures"}
    return {name: value for name, value in config.items() if name not in left_out}


def without_head(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors."""
    return {name: value for name, value in tensors.items() if not name.startswith(HEAD)}
