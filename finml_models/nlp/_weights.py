"""Pre-trained classifiers: by hub id and pinned revision, from the hub's cache or the hub itself, or from a folder of one's own.

The environment variable `FINML_WEIGHTS` names that folder. It holds `<organisation>/<name>/` as `save_pretrained` writes it, with
`model.safetensors`, and where it is set nothing else is looked at. No path ever comes from a client: hyperparameters name ids.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from finml_models.core.errors import FinmlError

FOLDER = "FINML_WEIGHTS"


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A published classifier: the encoder's configuration, the tokenizer as JSON, the tensors, and the labels in the order of its logits."""

    config: dict[str, Any]
    tokenizer: str
    tensors: Mapping[str, Tensor]
    labels: tuple[str, ...]
    place: str
    """Where it was found: `folder` or `hub`."""

    def digest(self) -> str:
        """sha256 over the tensors in the order of their names: what was loaded, wherever it came from."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            digest.update(name.encode())
            digest.update(self.tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def load(weights: str, revision: str, architecture: str) -> Pretrained:
    """The classifier of a hub id at a commit, as the class of transformers that `architecture` names.

    Raises `FinmlError` that says what to do where it is not to be had or not whole.
    The published files are looked for in the local cache first. The hub is asked only where `HF_HUB_OFFLINE` does not forbid it.
    A revision without `model.safetensors` is read through transformers' restricted reader of tensors; a folder has to have it.
    """
    folder = os.environ.get(FOLDER)
    # Otherwise transformers asks a service to convert the repository, in a thread, each time that it reads an old format.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        if folder is not None:
            return _read(_inside(folder, weights), "folder", architecture, local_files_only=True, use_safetensors=True)
        try:
            return _read(weights, "hub", architecture, revision=revision, local_files_only=True)
        except OSError:
            return _read(weights, "hub", architecture, revision=revision)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        where = f"in the folder that {FOLDER} names" if folder is not None else f"at commit {revision} in the hub's local cache, nor on the hub from here"
        raise FinmlError(
            f"weights: {weights!r} is not to be had {where} ({str(error).splitlines()[0]}): load it once where there is a network and HF_HUB_OFFLINE "
            f"is not set, or put config.json, model.safetensors and the tokenizer's files into <folder>/{weights} and set {FOLDER}=<folder>, "
            "or choose weights='scratch', which trains a small encoder of its own"
        ) from error


def _inside(folder: str, weights: str) -> Path:
    path = Path(folder).expanduser() / weights
    if not (path / "config.json").is_file():
        raise OSError(f"there is no config.json in {weights} there")
    return path


def _read(name: str | Path, place: str, architecture: str, **options: Any) -> Pretrained:
    import transformers
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, found = getattr(transformers, architecture).from_pretrained(name, output_loading_info=True, **options)
        options.pop("use_safetensors", None)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    finally:
        if shown:
            logging.enable_progress_bar()
    if missing := {key for key in found["missing_keys"] if not key.startswith("classifier.")}:
        raise FinmlError(f"weights: {name} lacks {sorted(missing)[:5]} of a {architecture}: take the files of the pinned revision, whole")
    pieces = tokenizer.backend_tokenizer.get_vocab_size()
    if pieces != model.config.vocab_size:
        # Without its files transformers makes a tokenizer that knows no word, and says nothing.
        raise FinmlError(
            f"weights: the tokenizer of {name} knows {pieces} pieces and the encoder {model.config.vocab_size}: "
            "put its vocab.txt, its vocab.json with merges.txt, or its tokenizer.json there"
        )
    config = json.loads(model.config.to_json_string())
    # What the head answers if it is one at all; a bare encoder has LABEL_0 and LABEL_1.
    labels = tuple(str(model.config.id2label[i]).lower() for i in range(model.config.num_labels)) if not found["missing_keys"] else ()
    return Pretrained(config, tokenizer.backend_tokenizer.to_str(), model.state_dict(), labels, place)
