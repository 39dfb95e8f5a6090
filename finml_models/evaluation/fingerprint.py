"""Everything that decides a result, hashed: data, code, configuration, seeds, platform. No paths, no clock."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from finml_models.core.estimator import TrainingConfig
from finml_models.core.spec import Hyperparameters
from finml_models.core.task import WalkForward

PACKAGES = ("numpy", "pandas", "scipy", "torch", "lightning", "scikit-learn", "arch", "exchange-calendars", "safetensors", "pydantic", "pyarrow")
"""Distributions whose version can change a number; those that are not installed are left out."""

SOURCES = Path(__file__).parents[1]


def fingerprint(
    *, snapshot: str, entry: str, task: str, hyperparameters: Hyperparameters, config: TrainingConfig, seeds: Sequence[int], split: WalkForward
) -> dict[str, JsonValue]:
    """The identity of a result: equal fingerprints promise equal numbers on the same machine.

    `snapshot` is the hash of the raw data, `entry` and `task` are catalogue ids. `config_hash` is the sha256 of what was chosen, `id` of all other fields.
    Moments in time are left out on purpose, so that a repeated run has the same id.
    """
    settings: dict[str, JsonValue] = {
        "hyperparameters": hyperparameters.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "seeds": list(seeds),
        "split": split.model_dump(mode="json"),
    }
    document: dict[str, JsonValue] = {
        "snapshot": snapshot,
        "task": task,
        "entry": entry,
        **settings,
        "config_hash": _sha256(settings),
        **code(),
        "platform": dict(computer()),
        "packages": dict(package_versions()),
    }
    return {**document, "id": _sha256(document)}


def identity(mark: Mapping[str, JsonValue]) -> str:
    """The `id` that a fingerprint must have by its other fields."""
    return _sha256({name: value for name, value in mark.items() if name != "id"})


@cache
def code() -> dict[str, JsonValue]:
    """`code_version`: sha256 over the library's files; `commit` and `dirty`: of the git checkout that tracks them, else None."""
    digest = hashlib.sha256()
    for path in sorted(p for p in SOURCES.rglob("*") if p.suffix in {".py", ".j2", ".toml"} and p.is_file()):
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    # An installed copy may lie inside somebody else's checkout: only a commit that tracks these very files is theirs.
    tracked = _git("ls-files", "--error-unmatch", "__init__.py") is not None
    commit = _git("rev-parse", "HEAD") if tracked else None
    changes = _git("status", "--porcelain", "--", ".") if commit else None
    return {"code_version": digest.hexdigest(), "commit": commit, "dirty": None if changes is None else bool(changes)}


def computer() -> dict[str, str]:
    """What of the machine can change the last bits of a sum: its kind, its vector instructions, and how many threads share a sum."""
    import numpy as np

    # The stubs say None; in this mode it is a dictionary.
    found: Any = np.show_config(mode="dicts")
    instructions = found.get("SIMD Extensions", {}).get("found", [])
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "instructions": "+".join(instructions),
        "threads": os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1),
    }


@cache
def package_versions() -> dict[str, str]:
    """Version of each of `PACKAGES` that is installed."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sha256(document: dict[str, JsonValue]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _git(*arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run([git, *arguments], cwd=SOURCES, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
