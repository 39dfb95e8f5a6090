"""What runs a deployed network: onnxruntime where the exported network says what the trained one says, torch where it does not.

```
<FINML_HOME>/onnx/<version>/model.onnx      the network alone, for any number of rows; absent where torch answers
                            manifest.json   the artifact's version, size and sha256 of the network, what a comparison found, or why torch answers
```
A cache beside the artifacts: deleting it loses speed and nothing else. It is made when a version is packaged (`made`), in a process of its
own, and published whole. Preprocessing, calibration and explanations stay where they were: only the forward pass of a prediction changes.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import Field, ValidationError

from .artifact import FileRecord
from .errors import CorruptArtifact
from .files import sync_folder, write_atomic
from .home import home
from .spec import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .artifact import Artifact

NETWORK, MANIFEST = "model.onnx", "manifest.json"
TOLERANCE = 1e-5
"""Largest difference from the trained model's answer, in units of the larger of 1 and that answer."""
SECONDS = 600.0
"""After which an export is given up: unrolled recurrences take minutes, and torch answers as well."""
EXPORTER = "finml_models.training.export"
log = logging.getLogger("finml.runtime")

Run = Callable[[Mapping[str, "NDArray[Any]"]], dict[str, "NDArray[Any]"]]
"""An exported network: named arrays in, named arrays out."""


class Export(Frozen):
    """What came of exporting a version."""

    format: int = Field(1, ge=1, le=1)
    version: str = Field(description="of the artifact whose network this is")
    reason: str = Field("", description="why torch answers; empty where the exported network does")
    network: FileRecord | None = None
    inputs: tuple[str, ...] = Field((), description="tensors of a minibatch that the network was exported for, by the path of their fields")
    difference: float | None = Field(None, ge=0, description="largest difference from the trained model on the probes, as `TOLERANCE` counts")


@runtime_checkable
class Exportable(Protocol):
    """An estimator whose network can be run by something else."""

    def answer_by(self, run: Run | None, inputs: tuple[str, ...] = ()) -> None:
        """Let `run` answer for minibatches of these tensors; None gives the work back to the network."""
        ...


def attach(held: Artifact, root: Path | None = None) -> str:
    """Let the exported network of an artifact answer for it. Says why torch answers, or nothing where onnxruntime does.

    `root` holds a folder a version, by default the state folder's. What does not match its manifest is not loaded.
    """
    if not isinstance(held.estimator, Exportable):
        return "it answers without torch"
    try:
        found = read(_folder(held.version, root), held.version)
        if found is None:
            return "its network was not exported"
        export, network = found
        if export.reason or network is None:
            return export.reason
        held.estimator.answer_by(session(network), export.inputs)
    except CorruptArtifact as error:
        log.warning("torch answers instead of onnxruntime: %s", error)
        return str(error)
    except ImportError:
        return "onnxruntime is not installed"
    return ""


def read(folder: Path, version: str) -> tuple[Export, bytes | None] | None:
    """The verified export of a version, None where there is none. Raises `CorruptArtifact` with the expected and the actual digest."""
    if not folder.exists():
        return None
    try:
        export = Export.model_validate_json((folder / MANIFEST).read_bytes())
        network = (folder / NETWORK).read_bytes() if export.network else None
    except (OSError, ValidationError) as error:
        raise CorruptArtifact(f"{folder.name}: the export's {MANIFEST} or {NETWORK} is missing or unreadable ({error}); delete {folder}") from error
    if export.version != version:
        raise CorruptArtifact(f"{folder.name}: the export is of version {export.version}, not of {version}; delete {folder}")
    if network is not None and export.network != record_of(network):
        raise CorruptArtifact(f"{folder.name}/{NETWORK}: expected {export.network}, found {record_of(network)}; delete {folder}")
    return export, network


def made(artifact: Path, root: Path | None = None) -> Path:
    """The folder of the export of an artifact, made in a process of its own where it is not there or does not match its manifest."""
    folder = _folder(artifact.name, root)
    try:
        if read(folder, artifact.name):
            return folder
    except CorruptArtifact as error:
        log.warning("exported again: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", EXPORTER, "--artifact", str(artifact), "--root", str(folder.parent)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=Path(__file__).resolve().parents[2])
        problem = done.stderr.strip()[-300:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"it took longer than {SECONDS:g} s"
    if problem or not folder.exists():
        publish(folder, Export(version=artifact.name, reason=f"the export failed: {problem or 'it left nothing behind'}"), None)
    return folder


def publish(folder: Path, export: Export, network: bytes | None) -> None:
    """Write an export, whole or not at all; where two processes do at once, one of them is kept."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.parent))
    try:
        if network is not None:
            write_atomic(staging / NETWORK, network)
        write_atomic(staging / MANIFEST, export.model_dump_json(indent=1).encode())
        staging.rename(folder)
        sync_folder(folder.parent)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def session(network: bytes) -> Run:
    """A network in onnxruntime, on one thread: a small one gains nothing from more, and requests wait for each other's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Memory for the largest batch ever seen would be kept a model; blocks of small ones come from the allocator as fast.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    loaded = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    taken = [node.name for node in loaded.get_inputs()]
    names = [node.name for node in loaded.get_outputs()]

    def run(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        # The exporter leaves out what the network does not read.
        return dict(zip(names, loaded.run(names, {name: arrays[name] for name in taken}), strict=True))

    return run


def record_of(network: bytes) -> FileRecord:
    """Size and digest."""
    return FileRecord(size=len(network), sha256=hashlib.sha256(network).hexdigest())


def _folder(version: str, root: Path | None) -> Path:
    return (root or home() / "onnx") / version
