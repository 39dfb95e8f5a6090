"""One fitted artifact for all tests of the service."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_cases import guarded, trained

from bento.guard import Guard


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def app(folder: Path) -> Guard:
    return guarded(folder)
