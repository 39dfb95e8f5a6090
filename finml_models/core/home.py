"""Where state lives: one folder, `FINML_HOME`, default `.finml/` in the working directory."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The state folder as an absolute path; not created here."""
    return Path(os.environ.get("FINML_HOME", ".finml")).expanduser().resolve()


def artifacts(task: str, entry: str) -> Path:
    """Root of the artifacts of a pair."""
    return home() / "artifacts" / task / entry


def reports(task: str, entry: str) -> Path:
    """Root of the reports of a pair."""
    return home() / "reports" / task / entry
