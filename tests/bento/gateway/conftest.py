"""Three fitted versions, trained once, in an empty state folder for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_cases import fitted_versions, released
from service_cases import TASK

from bento.gateway.serve import serve_gateway
from bento.process import Running
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot


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


@pytest.fixture(scope="session")
def standing(trained_home: tuple[Path, list[Slot]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Ledger]]:
    """One gateway for all tests that leave it as well as they found it, and its ledger."""
    home = tmp_path_factory.mktemp("standing") / "home"
    shutil.copytree(trained_home[0], home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(home))
        ledger = released(trained_home[1])
        Deployments(ledger).deploy(TASK, trained_home[1][0], actor="test")
        gateway = serve_gateway()
    with gateway:
        yield gateway, ledger
