"""What the API's tests start from: two versions of a GRU and a baseline that passed their gates, and an LSTM that did not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, LOSER, FakeGateway, application, http, release
from fake_dagster import FakeDagster
from fastapi import FastAPI

from finml_ledger import Deployments, Ledger
from finml_models.evaluation.verdict import Verdict


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    home.mkdir(exist_ok=True)
    opened = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    release(opened, home, HAR, value=0.3, verdict=Verdict.NON_INFERIOR)
    release(opened, home, GRU_1, value=0.25)
    release(opened, home, LOSER, value=0.4, passed=False, verdict=Verdict.INFERIOR)
    release(opened, home, GRU_2, value=0.2)
    yield opened
    opened.close()


@pytest.fixture
def deployments(ledger: Ledger) -> Deployments:
    return Deployments(ledger)


@pytest.fixture
def gateway(ledger: Ledger) -> FakeGateway:
    return FakeGateway(ledger)


@pytest.fixture
def app(ledger: Ledger, gateway: FakeGateway) -> FastAPI:
    return application(ledger, gateway)


@pytest.fixture
def api(app: FastAPI) -> httpx.Client:
    return http(app)


@pytest.fixture
def book(home: Path) -> Iterator[Ledger]:
    """A ledger without a row."""
    home.mkdir()
    opened = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def fake() -> FakeDagster:
    return FakeDagster()
