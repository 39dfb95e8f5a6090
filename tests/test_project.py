"""The project's own files agree with each other."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def test_every_dependency_is_pinned_inside_its_declared_range() -> None:
    optional = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    pinned = pins()
    for wanted in map(Requirement, [*PROJECT["dependencies"], *optional]):
        assert canonicalize_name(wanted.name) in pinned, f"{wanted.name} has no line in constraints.txt"
        assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, f"{wanted} does not admit the pin of constraints.txt"


def test_pins_name_public_versions_only() -> None:
    assert not [f"{name}=={version}" for name, version in pins().items() if version.local]


def test_make_explains_every_target() -> None:
    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "demo", "test", "test-slow", "lint", "types", "check", "ui", "bench-training", "clean"):
        assert f"\n  {target} " in shown


def test_make_says_what_to_do_without_a_python(tmp_path: Path) -> None:
    done = subprocess.run(["make", "install", "PY=", f"VENV={tmp_path / 'venv'}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no Python 3.11 or 3.12" in done.stderr
