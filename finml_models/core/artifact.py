"""What is deployed: a folder of safetensors and JSON, named by its content, verified before anything is read from it.

```
<root>/<version>/weights.safetensors   the estimator's state
                 reference.safetensors ranges and distributions of the training inputs
                 model.json            entry, task, hyperparameters, signature, training config, fingerprint
                 manifest.json         size and sha256 of every other file
```
The version is the first 16 hex digits of the manifest's sha256: equal bits have equal versions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, ValidationError

from . import catalog
from .errors import CorruptArtifact
from .estimator import Estimator, Signature, TrainingConfig
from .files import sync_folder, write_atomic
from .spec import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS, REFERENCE, MODEL, MANIFEST = "weights.safetensors", "reference.safetensors", "model.json", "manifest.json"


class FileRecord(Frozen):
    """Size and digest of one file."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Frozen):
    """The files of an artifact; nothing else may lie in the folder."""

    format: int = Field(1, ge=1, le=1)
    files: dict[str, FileRecord]


class ModelRecord(Frozen):
    """The words that go with the weights: enough to rebuild the estimator and to say where it came from."""

    task: str
    entry: str
    hyperparameters: dict[str, JsonValue]
    signature: Signature
    config: TrainingConfig
    fingerprint: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified artifact, loaded."""

    version: str
    record: ModelRecord
    estimator: Estimator[Any]
    reference: Mapping[str, NDArray[Any]]


def save(root: Path, estimator: Estimator[Any], *, task: str, entry: str, fingerprint: Mapping[str, JsonValue], reference: Mapping[str, NDArray[Any]]) -> Path:
    """Write a fitted estimator under `root` and return its folder. Writing the same bits twice is one artifact.

    `reference` holds arrays that describe the training inputs (ranges, distributions), for warnings and drift.
    """
    from safetensors.numpy import save as encode

    record = ModelRecord(
        task=task,
        entry=entry,
        hyperparameters=estimator.hyperparameters.model_dump(mode="json"),
        signature=estimator.signature,
        config=estimator.config,
        fingerprint=dict(fingerprint),
    )
    files = {
        WEIGHTS: encode(_contiguous(estimator.state())),
        REFERENCE: encode(_contiguous(reference)),
        MODEL: _canonical(record.model_dump(mode="json")),
    }
    manifest = Manifest(files={name: FileRecord(size=len(data), sha256=_sha256(data)) for name, data in sorted(files.items())})
    encoded = _canonical(manifest.model_dump(mode="json"))
    folder = root / _sha256(encoded)[:16]
    if folder.exists():
        verify(folder)
        return folder
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=root))
    try:
        for name, data in {**files, MANIFEST: encoded}.items():
            write_atomic(staging / name, data)
        staging.rename(folder)
        sync_folder(root)
    except OSError:
        # Another process may have published the same bits first; anything else is a real fault.
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def verify(folder: Path) -> Manifest:
    """Check every file of an artifact against its manifest, and the folder's name against the manifest's digest.

    Raises `CorruptArtifact` naming the file with the expected and the actual digest.
    """
    try:
        encoded = (folder / MANIFEST).read_bytes()
        manifest = Manifest.model_validate_json(encoded)
    except (OSError, ValidationError) as error:
        raise CorruptArtifact(f"{folder.name}: {MANIFEST} is missing or unreadable ({error}); train again or restore it from a copy") from error
    if _sha256(encoded)[:16] != folder.name:
        raise CorruptArtifact(f"{folder.name}: its manifest has sha256 {_sha256(encoded)[:16]}…; the folder was renamed or the manifest changed")
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if present != set(manifest.files):
        raise CorruptArtifact(f"{folder.name}: files {sorted(present)} differ from the manifest's {sorted(manifest.files)}")
    for name, expected in manifest.files.items():
        data = (folder / name).read_bytes()
        if len(data) != expected.size or _sha256(data) != expected.sha256:
            raise CorruptArtifact(
                f"{folder.name}/{name}: expected {expected.size} bytes with sha256 {expected.sha256}, found {len(data)} bytes with {_sha256(data)}"
            )
    return manifest


def load(folder: Path) -> Artifact:
    """Verify an artifact, then rebuild its estimator."""
    from safetensors.numpy import load as decode

    verify(folder)
    record = ModelRecord.model_validate_json((folder / MODEL).read_bytes())
    chosen = catalog.entry(record.entry)
    estimator = chosen.estimator()(chosen.card.hyperparameters.model_validate(record.hyperparameters), record.signature, record.config)
    estimator.restore(decode((folder / WEIGHTS).read_bytes()))
    estimator.typical = decode((folder / REFERENCE).read_bytes())
    return Artifact(folder.name, record, estimator, estimator.typical)


def describe(folder: Path) -> tuple[ModelRecord, Mapping[str, NDArray[Any]]]:
    """Verify an artifact, then read its words and its `reference`: what can be known of it without building the estimator."""
    from safetensors.numpy import load as decode

    verify(folder)
    return ModelRecord.model_validate_json((folder / MODEL).read_bytes()), decode((folder / REFERENCE).read_bytes())


def _contiguous(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    import numpy as np

    # safetensors writes the buffer as it lies in memory: a transposed view would be stored scrambled. `ascontiguousarray` would make one number a list.
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
