"""The last whole epoch of a training on disk, so that a killed fit goes on where it stood.

```
<folder>/checkpoint.safetensors   weights, best weights, optimiser moments; key, history and digest in its metadata
<folder>/lease                    locked while someone trains; the operating system frees it when that process dies
```
One file holds everything, so a crash leaves the old epoch or the new one, never a mixture.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from finml_models.core.errors import LeaseHeld
from finml_models.core.files import write_atomic

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Estimator

log = logging.getLogger(__name__)

_ARRAYS = ("panel", "values", "texts", "codes", "series", "end", "target", "static", "known", "nodes", "present", "graph", "snapshot", "node")
_EDGES = ("offsets", "source", "target", "weight")


class EpochLoss(NamedTuple):
    """One point of the learning curve; epochs count from 1."""

    epoch: int
    train: float
    valid: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A training at the end of an epoch. When to stop and which epoch was best follow from the history."""

    history: list[EpochLoss]
    arrays: Mapping[str, NDArray[Any]]


class Checkpoints:
    """A folder that holds the newest epoch of one training, and the lease that makes its writer the only one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "checkpoint.safetensors"
        self._lease = folder / "lease"
        self._handle: int | None = None

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the folder for the length of a fit. Raises `LeaseHeld` when another process, or another fit, holds it."""
        self._lease.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._lease, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LeaseHeld(
                    f"{self._lease.parent}: another process is training here: wait for it, end it, or give this training a folder of its own"
                ) from None
            self._handle = handle
            yield
        finally:
            self._handle = None
            os.close(handle)

    def load(self, key: str) -> Snapshot | None:
        """The snapshot written under this key; None, with a warning, when there is another one or a damaged one."""
        if not self.path.exists():
            return None
        try:
            written, snapshot = _read(self.path)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged (%s): training starts from the first epoch", self.path, error)
            return None
        if written != key:
            log.warning("%s belongs to other data or another configuration: training starts from the first epoch", self.path)
            return None
        return snapshot

    def save(self, key: str, snapshot: Snapshot) -> None:
        """Replace the snapshot. Raises `LeaseHeld` when the folder is not, or no longer, this writer's."""
        try:
            mine = self._handle is not None and os.path.samestat(os.fstat(self._handle), self._lease.stat())
        except FileNotFoundError:
            mine = False
        if not mine:
            raise LeaseHeld(f"{self._lease}: this training does not hold the lease (any more): the folder was removed or taken over; start the training again")
        history = json.dumps(snapshot.history)
        arrays = {name: np.ascontiguousarray(array) for name, array in snapshot.arrays.items()}
        write_atomic(self.path, save(arrays, metadata={"key": key, "history": history, "digest": _digest(history, arrays)}))

    def clear(self) -> None:
        """Forget the snapshot: the training is over."""
        self.path.unlink(missing_ok=True)


def training_key(estimator: Estimator[Any], train: Batch, valid: Batch) -> str:
    """Hash of everything that the weights follow from: class, hyperparameters, signature, configuration and data."""
    digest = hashlib.sha256(f"{type(estimator).__module__}.{type(estimator).__qualname__}".encode())
    for words in (estimator.hyperparameters, estimator.signature, estimator.config):
        digest.update(json.dumps(words.model_dump(mode="json"), sort_keys=True).encode())
    hashed: set[int] = set()
    edges = getattr(train, "edges", None)
    for held, names in ((train, _ARRAYS), (valid, _ARRAYS), (edges, _EDGES)):
        for name in names:
            array = getattr(held, name, None)
            if array is None or id(array) in hashed:
                continue
            hashed.add(id(array))
            _update(digest, name, array if array.dtype != object else _texts(array))
    digest.update(train.time.tobytes())
    return digest.hexdigest()


def _texts(texts: NDArray[Any]) -> NDArray[Any]:
    """Texts as bytes, each after its own length, so that no two lists of texts look alike."""
    parts = [str(text).encode("utf-8", "surrogatepass") for text in texts]
    return np.frombuffer(b"".join(len(part).to_bytes(8, "little") + part for part in parts), np.uint8)


def _read(path: Path) -> tuple[str, Snapshot]:
    with safe_open(path, framework="numpy") as file:
        words = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.offset_keys()}
    if words["digest"] != _digest(words["history"], arrays):
        raise ValueError("its digest does not match its content")
    return words["key"], Snapshot([EpochLoss(*row) for row in json.loads(words["history"])], arrays)


def _digest(history: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(history.encode())
    for name in sorted(arrays):
        _update(digest, name, arrays[name])
    return digest.hexdigest()


def _update(digest: hashlib._Hash, name: str, array: NDArray[Any]) -> None:
    digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).view(np.uint8) if array.ndim else array.tobytes())
