"""The console on a port of the loopback, in a thread of this process, over a copy of the seeded state."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import runs
from console_cases import FakeGateway, application
from fake_dagster import FakeDagster
from listening import listening
from seeded import Seeded

from finml_console.services.feeds import Feeds
from finml_console.services.training import Training
from finml_ledger import Deployments, Ledger

PERIOD = 0.05
"""Seconds between two looks at a run: what a page shows of it is to come soon."""


@dataclass(frozen=True, slots=True)
class Console:
    """A server, and what stands behind it."""

    url: str
    seeded: Seeded
    ledger: Ledger
    gateway: FakeGateway
    dagster: FakeDagster
    ended: str
    """A training that came to the version of `HAR`."""
    failed: str
    going: str

    @property
    def deployments(self) -> Deployments:
        """What serves, without the server between."""
        return Deployments(self.ledger)


@contextmanager
def served(seeded: Seeded, folder: Path, **settings: Any) -> Iterator[Console]:
    """A server over a copy of the state, until the block ends. `settings` are the server's, such as its token."""
    home = folder / "home"
    shutil.copytree(seeded.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(home))
        ledger = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
        gateway, dagster = FakeGateway(ledger), FakeDagster()
        app = application(ledger, gateway, **settings)
        told = [runs.that_ended(dagster), runs.that_failed(dagster), runs.that_goes_on(dagster)]
        client = dagster.client()
        app.state.training = Training(ledger, client, Feeds(client, period=PERIOD))
        with listening(app) as url:
            yield Console(url, seeded, ledger, gateway, dagster, *told)
        ledger.close()
