"""What holds for every test: one thread, no telemetry, no network beyond the loopback, no state outside a temporary folder."""

from __future__ import annotations

import os

# Before anything imports torch, transformers, bentoml or dagster: they read these once.
os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    BENTOML_DO_NOT_TRACK="True",
    DAGSTER_DISABLE_TELEMETRY="yes",
    MPLBACKEND="Agg",
)

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


class OutsideNetwork(BaseException):
    """A test reached for the network. No `Exception`, so that code under test cannot take it for a lost connection."""


def _check(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
        local = address.is_loopback or address.is_unspecified
    except ValueError:
        local = name in {"localhost", socket.gethostname()}
    if not local:
        raise OutsideNetwork(f"a test reached for {name!r}; tests may talk to the loopback only")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex"):
            original = getattr(socket.socket, method)

            def guarded(self: socket.socket, address: Any, _original: Any = original) -> Any:
                if self.family in (socket.AF_INET, socket.AF_INET6):
                    _check(address[0])
                return _original(self, address)

            patch.setattr(socket.socket, method, guarded)
        resolve = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            _check(host)
            return resolve(host, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FINML_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public data sets that some tests compare with: `FINML_TEST_DATA`, or `shared/data` beside the repository."""
    folder = Path(os.environ.get("FINML_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public test data at {folder}; name its folder in FINML_TEST_DATA")
    return folder
