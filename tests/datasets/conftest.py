"""A settings file in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes a settings file and makes it the current one; returns its folder."""
    folder = tmp_path / "data"
    folder.mkdir()

    def write(text: str) -> Path:
        (folder / "datasets.toml").write_text(text, encoding="utf-8")
        monkeypatch.setenv("FINML_DATASETS", str(folder / "datasets.toml"))
        return folder

    return write
