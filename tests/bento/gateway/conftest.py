"""Three fitted versions, trained once, in an empty state folder for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from gateway_cases import fitted_versions, released

from finml_ledger import Ledger
from finml_ledger.deployments import Slot


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Slot]]:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(folder))
        return folder, fitted_versions(3)


@pytest.fixture
def slots(trained_home: tuple[Path, list[Slot]], home: Path) -> list[Slot]:
    """Three released versions of one baseline."""
    shutil.copytree(trained_home[0], home)
    return trained_home[1]


@pytest.fixture
def ledger(slots: list[Slot]) -> Ledger:
    return released(slots)
