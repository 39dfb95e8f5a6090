"""Artifact → bento: `python -m bento.package --artifact DIR --home BENTOML_HOME [--json]`.

A bento `<task>-<entry>:<version>` carries the artifact, its network as ONNX where that answers the same, our sources and the pinned
requirements; it needs no model store, no network to be built, and nothing of this repository to be served.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from finml_models.core import artifact as artifacts
from finml_models.core import catalog, runtime
from finml_models.core.errors import FinmlError, ServiceFailed
from finml_models.core.files import sync_folder, write_atomic

from .requirements import ROOT, pinned

SERVICE = "bento.service:Predictor"
SERVED = ("__init__", "service", "api", "guard", "problem")
SOURCES = {".py", ".toml", ".j2"}


@dataclass(frozen=True, slots=True)
class BuiltBento:
    """A bento in the store of `--home`."""

    tag: str
    path: str


def build(artifact: Path, home: Path) -> BuiltBento:
    """Package an artifact folder into the bento store `home`, in a process of its own; the same version is built once.

    Raises `ServiceFailed` with the builder's words.
    """
    # BentoML reads its home at import, so that one process can only ever write to one store.
    command = [sys.executable, "-m", "bento.package", "--artifact", str(artifact), "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise ServiceFailed(f"{artifact} was not packaged: {done.stderr.strip()[-2000:]}")
    return BuiltBento(**json.loads(done.stdout.strip().splitlines()[-1]))


def package(artifact: Path, home: Path) -> BuiltBento:
    """Verify the artifact, then build; two processes that package the same version at once both get the one bento."""
    artifacts.verify(artifact)
    record = artifacts.ModelRecord.model_validate_json((artifact / artifacts.MODEL).read_bytes())
    name = f"{record.task}-{record.entry}"
    final = home / "bentos" / name / artifact.name
    if not final.exists():
        home.mkdir(parents=True, exist_ok=True)
        # A store of its own inside the home: renaming out of it publishes the whole bento at once.
        staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=home))
        try:
            _publish(_build(artifact, record, staging), final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    # Also of one that was there: who made it may have died before this, and who packages it again means it.
    if _named(latest := final.parent / "latest") != final.name:
        write_atomic(latest, final.name.encode())
    return BuiltBento(f"{name}:{artifact.name}", str(final))


def _build(artifact: Path, record: artifacts.ModelRecord, staging: Path) -> Path:
    os.environ |= {"BENTOML_HOME": str(staging / "store"), "BENTOML_DO_NOT_TRACK": "True"}
    (staging / "store").mkdir()
    import bentoml

    # Outside the store, because BentoML would copy a store inside its context into itself without end.
    context = staging / "context"
    requirements = _requirements(record)
    _assemble(artifact, context)
    if any(line.startswith("torch==") for line in requirements):
        shutil.copytree(runtime.made(artifact), context / "onnx" / artifact.name)
        requirements = sorted({*requirements, *pinned("finml_models.core.runtime")})
    built = bentoml.build(
        SERVICE,
        name=f"{record.task}-{record.entry}",
        version=artifact.name,
        labels={"task": record.task, "entry": record.entry, "version": artifact.name, "fingerprint": str(record.fingerprint.get("id", ""))[:16]},
        description=f"{catalog.task(record.task).name} by {catalog.entry(record.entry).card.name}",
        build_ctx=str(context),
        include=["**"],
        python={"packages": requirements, "lock_packages": False},
    )
    return Path(built.path)


def _assemble(artifact: Path, context: Path) -> None:
    for source in (ROOT / "finml_models").rglob("*"):
        if source.suffix in SOURCES and source.is_file():
            target = context / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    (context / "bento").mkdir()
    for module in SERVED:
        shutil.copyfile(ROOT / "bento" / f"{module}.py", context / "bento" / f"{module}.py")
    shutil.copytree(artifact, context / "artifact" / artifact.name)
    artifacts.verify(context / "artifact" / artifact.name)


def _requirements(record: artifacts.ModelRecord) -> list[str]:
    # What bento.service imports, without itself: BentoML adds its own pin.
    return pinned("bento.api", "bento.guard", "finml_models.core.artifact", catalog.task(record.task).__module__, catalog.entry(record.entry).module)


def _publish(built: Path, final: Path) -> None:
    for path in built.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        built.rename(final)
    except OSError:
        # Another process may have published the same version first; anything else is a real fault.
        if not final.exists():
            raise
    sync_folder(final.parent)


def _named(latest: Path) -> str | None:
    return latest.read_text().strip() if latest.is_file() else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bento.package", description="Build the bento of an artifact, offline.")
    parser.add_argument("--artifact", type=Path, required=True, help="the artifact's folder")
    parser.add_argument("--home", type=Path, required=True, help="BentoML's home, where the bento goes")
    parser.add_argument("--json", action="store_true", help="print one JSON line with tag and path")
    options = parser.parse_args()
    try:
        built = package(options.artifact.resolve(), options.home.resolve())
    except FinmlError as error:
        sys.exit(str(error))
    print(json.dumps(asdict(built)) if options.json else f"{built.tag}\n{built.path}")


if __name__ == "__main__":
    main()
