"""The guards of the suite themselves."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from finml_models.core.home import home as state_folder


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_connection_beyond_the_loopback_is_stopped(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(BaseException, match="loopback only"):
        client.connect((address, 80))


def test_a_lookup_of_an_outside_name_is_stopped() -> None:
    with pytest.raises(BaseException, match="loopback only"):
        socket.getaddrinfo("example.org", 443)


def test_the_loopback_still_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b"x"


def test_state_goes_to_the_tests_own_folder(home: Path) -> None:
    assert state_folder() == home.resolve()
