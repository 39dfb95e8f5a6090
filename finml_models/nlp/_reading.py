"""What text classifiers share: minibatches of similar length, and what is kept with the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from finml_models.core.texts import Texts
from finml_models.training.encoder import Encoder, Shared
from finml_models.training.minibatch import Source

from . import _wordpiece
from ._wordpiece import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

EDGES = (16, 32, 64, 128, 256, 512, 1_024, 2_048)
"""Longest text of each bucket of a minibatch, in tokens."""
TOKENS = {"cpu": 4_096, "cuda": 65_536}
"""Padded tokens of one forward pass: more gain nothing and only take memory."""


@dataclass(frozen=True, slots=True)
class TextTensors:
    """A minibatch in parts of similar length. Shapes: ids and mask (b, width of the part), target (sum of b,) in the order of the parts."""

    parts: tuple[tuple[Tensor, Tensor], ...]
    target: Tensor | None = None


class TextSource(Source):
    """Texts in the order of their length: unit i is the i-th shortest, so that neighbours need little padding."""

    chunk = 512

    def __init__(self, tokens: Tokens, special: tuple[int, int, int], most: int, target: Tensor | None, device: torch.device) -> None:
        """`special` are the ids of padding, start and end, `most` the tokens that are read, both ends included; `target` (n,) by row."""
        kept = np.minimum(tokens.lengths, most - 2)
        order = np.argsort(kept, kind="stable")
        self._widths = torch.from_numpy(kept[order] + 2)
        self._order = torch.from_numpy(order)
        self._first = torch.from_numpy((np.cumsum(tokens.lengths) - tokens.lengths)[order])
        # A number beyond the last text, so that an offset into padding is never outside.
        self._ids = torch.from_numpy(np.append(tokens.ids, np.int32(0))).to(device)
        self._pad, self._start, self._end = special
        self._target, self._device = target, device

    def __len__(self) -> int:
        return len(self._order)

    def rows(self, units: Tensor) -> Tensor:
        return self._order[units.sort().values]

    def gather(self, units: Tensor) -> TextTensors:
        """Parts of similar length, shortest first; the sequence is start, text, end, padding."""
        units = units.sort().values
        widths = self._widths[units]
        sizes = torch.bincount(torch.bucketize(widths, torch.tensor(EDGES)), minlength=len(EDGES) + 1).tolist()
        parts = []
        for same in units.split([size for size in sizes if size]):
            width = int(self._widths[same[-1]])
            parts += [self._part(few, int(self._widths[few[-1]])) for few in same.split(max(1, TOKENS[self._device.type] // width))]
        target = None if self._target is None else self._target[self._order[units].to(self._target.device)]
        return TextTensors(tuple(parts), target)

    def _part(self, units: Tensor, width: int) -> tuple[Tensor, Tensor]:
        last = (self._widths[units] - 1)[:, None].to(self._device, non_blocking=True)
        first = self._first[units][:, None].to(self._device, non_blocking=True)
        place = torch.arange(width, device=self._device)
        at = (first + place - 1).clamp(0, len(self._ids) - 1)
        ids = self._ids[at].long()
        ids = torch.where(place == 0, self._start, torch.where(place < last, ids, torch.where(place == last, self._end, self._pad)))
        return ids, (place <= last).long()


class TextEncoder(Encoder):
    """The tokenizer, the encoder's configuration, and where its weights came from: all that a machine without a network needs."""

    def __init__(self, tokenizer: str, config: dict[str, Any], origin: dict[str, str], most: int, tensors: Mapping[str, Tensor] | None = None) -> None:
        """`tensors` are pre-trained weights to start from; they are not part of the state, the network's are."""
        self.config, self.origin, self.tensors = config, origin, tensors
        self.most = min(most, positions(config))
        self._written = tokenizer
        self._tokenizer = _wordpiece.read(tokenizer)
        self._special = _wordpiece.special(self._tokenizer)
        self._newest: tuple[NDArray[np.object_], Tokens] | None = None

    def tokens(self, texts: NDArray[np.object_]) -> Tokens:
        """The texts as numbers; asked twice for the newest texts, they are split once."""
        held = self._newest
        if held is None or held[0] is not texts:
            held = self._newest = texts, Tokens.of(self._tokenizer, texts.tolist())
        return held[1]

    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> TextSource:
        del shared  # texts have no panel in common
        return TextSource(self.tokens(texts_of(batch).texts), self._special, self.most, target, device)

    def state(self) -> dict[str, NDArray[Any]]:
        words = {"tokenizer": self._written, "config": json.dumps(self.config, sort_keys=True), "origin": json.dumps(self.origin, sort_keys=True)}
        return {f"encoder.{name}": np.frombuffer(text.encode(), np.uint8).copy() for name, text in words.items()}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], most: int) -> TextEncoder:
        """The encoder of `state()`; `KeyError` for a missing array, `ValueError` for one that is no such text."""
        tokenizer, config, origin = (np.asarray(state[f"encoder.{name}"], np.uint8).tobytes().decode() for name in ("tokenizer", "config", "origin"))
        return cls(tokenizer, json.loads(config), json.loads(origin), most)


def positions(config: Mapping[str, Any]) -> int:
    """Tokens that an encoder has positions for. Those of a Longformer, as of the RoBERTa it comes from, begin behind the padding's id."""
    unused = int(config["pad_token_id"]) + 1 if config.get("model_type") == "longformer" else 0
    return int(config["max_position_embeddings"]) - unused


def texts_of(batch: Batch) -> Texts:
    """The batch as the texts that it has to be."""
    if not isinstance(batch, Texts):
        raise TypeError(f"batch: a text classifier reads texts, not {type(batch).__name__}")
    return batch
