"""Every measurement as a line of a file, so that a long run goes on where it was stopped and a figure keeps its day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from finml_models.core.home import home

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measurement:
    """What a row reached with one seed; `code` is the digest of what measured it."""

    row: str
    seed: int
    value: float
    note: str
    seconds: float
    day: str
    code: str


@dataclass(frozen=True)
class Journal:
    """Measurements in a file, a line each; a later one of the same row and seed goes before an earlier one."""

    path: Path

    @classmethod
    def of_home(cls) -> Journal:
        """The journal of the state folder."""
        return cls(home() / "quality.jsonl")

    def add(self, found: Measurement) -> None:
        """Append a line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(found)) + "\n")

    def kept(self, codes: Mapping[str, str]) -> dict[tuple[str, int], Measurement]:
        """By row and seed, those whose row is measured by this very code still; `codes` is the digest a row."""
        if not self.path.is_file():
            return {}
        every = [one for line in self.path.read_text(encoding="utf-8").splitlines() if (one := _measurement(line))]
        return {(one.row, one.seed): one for one in every if codes.get(one.row) == one.code}


def _measurement(line: str) -> Measurement | None:
    """None for what a killed run left of a line."""
    try:
        return Measurement(**json.loads(line))
    except (ValueError, TypeError):
        return None


@cache
def digest(module: str) -> str:
    """Of all code of the models, and of the module of this package that measures: what is measured anew when it changes."""
    files = [*sorted((ROOT / "finml_models").rglob("*.py")), ROOT / "benchmarks" / "quality" / f"{module}.py"]
    found = hashlib.sha256()
    for path in files:
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def today() -> str:
    """The date, UTC."""
    return datetime.now(UTC).date().isoformat()
