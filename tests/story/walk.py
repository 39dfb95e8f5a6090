"""The parts of `finml up` over a state folder of the test's own, what one asks them, and a load that counts what fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pandas as pd

from finml_cli import up
from finml_cli.processes import Processes, free_ports
from finml_console.client import Client, Unavailable
from finml_console.schemas.training import ENDED, RunStatus

TASK, ENTRY, DATASET = "volatility_forecasting", "ewma", "small_market"
SESSIONS = 70
"""Of one request; the use case needs 66."""
THREADS = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Started:
    """Where the parts are."""

    gateway: str
    api: str

    def client(self, seconds: float = 30.0) -> Client:
        """A typed client of the API."""
        return Client(self.api, actor="story", seconds=seconds)


@contextmanager
def everything_up(logs: Path) -> Iterator[Started]:
    """What `finml up` starts, on free ports, until the block ends; nothing of it may be left then."""
    ports = free_ports(dict.fromkeys(("--port-dagster", "--port-gateway", "--port-api"), (up.LOOPBACK, 0)))
    with Processes(logs) as processes:
        processes.wait_until_ready(*[processes.start(part) for part in up.parts(up.LOOPBACK, ports, None)])
        urls = {child.part.name: child.part.url for child in processes.children}
        yield Started(urls["gateway"], urls["api"])
        processes.check()
    assert not processes._running()


def request(closes: Path) -> dict[str, Any]:
    """The newest sessions of one asset, as a client sends them."""
    newest = pd.read_csv(closes).tail(SESSIONS)
    return {"rows": [{"entity": "AAA", "time": date, "close": close} for date, close in zip(newest["date"], newest["AAA"], strict=True)]}


def train(finml: Client, seconds: float, **hyperparameters: Any) -> RunStatus:
    """Configure and train the entry through the API, and follow it to its end: its percentage never falls."""
    config = finml.configure(ENTRY, use_case=TASK, hyperparameters=hyperparameters, training_config={"device": "cpu"})
    deadline = time.monotonic() + seconds
    job = retried(lambda: finml.train(ENTRY, config.config_id, DATASET), deadline).job_id
    shares: list[float] = []
    while True:
        status = finml.training_status(job)
        shares.append(status.percentage or 0.0)
        if status.state in ENDED:
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.5)
    assert shares == sorted(shares)
    assert (status.state, status.error, shares[-1]) == ("succeeded", None, 100)
    return status


def retried(ask: Callable[[], T], deadline: float) -> T:
    """The answer of a server that says "not now" while it loads."""
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def predict_each(started: Started, keys: list[str], asked: dict[str, Any]) -> dict[str, str]:
    """The version that answers each key, asked of the API by a few clients at once."""

    def ask(mine: list[str]) -> dict[str, str]:
        with started.client() as finml:
            return {key: finml.predict(ENTRY, asked, key=key).version for key in mine}

    return at_once(ask, keys)


def predict_each_at_the_gateway(started: Started, keys: list[str], asked: dict[str, Any]) -> dict[str, str]:
    """The same without the API between."""

    def ask(mine: list[str]) -> dict[str, str]:
        with httpx.Client(base_url=started.gateway, trust_env=False, timeout=30) as http:
            return {key: http.post(f"/predict/{TASK}", json=asked, headers={"x-finml-key": key}).raise_for_status().headers["x-finml-version"] for key in mine}

    return at_once(ask, keys)


def at_once(ask: Callable[[list[str]], dict[str, str]], keys: list[str]) -> dict[str, str]:
    """What all threads together were answered."""
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(ask, [keys[number::THREADS] for number in range(THREADS)])
        return {key: version for answered in parts for key, version in answered.items()}


@dataclass
class Load:
    """Threads that ask gateway and API in turn until they are told to end. `failed` holds every answer that is none."""

    started: Started
    asked: dict[str, Any]
    pause: float = 0.02
    failed: list[str] = field(default_factory=list)
    answers: list[tuple[float, str, bytes]] = field(default_factory=list)
    """When the request began, who answered, and the gateway's bytes (none of the API's, which wraps them)."""
    _done: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as http:
            turn = number
            while not self._done.wait(self.pause):
                began, turn = time.monotonic(), turn + 1
                try:
                    self.answers.append((began, *self._ask(http, f"load-{number}-{turn}", through_api=bool(turn % 2))))
                except (httpx.HTTPError, KeyError, AssertionError) as error:
                    self.failed.append(f"{type(error).__name__}: {error}")

    def _ask(self, http: httpx.Client, key: str, *, through_api: bool) -> tuple[str, bytes]:
        headers = {"x-finml-key": key, "content-type": "application/json"}
        if through_api:
            body = {"model_id": ENTRY, "use_case": TASK, "input_data": self.asked}
            answer = http.post(f"{self.started.api}/models/predict", content=json.dumps(body), headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json()["version"], b""
        answer = http.post(f"{self.started.gateway}/predict/{TASK}", content=json.dumps(self.asked), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-finml-version"], answer.content

    def who(self, after: float, before: float = float("inf")) -> set[str]:
        """The versions that answered what was asked between two moments."""
        return {version for began, version, _ in self.answers if after <= began < before}


@contextmanager
def load(started: Started, asked: dict[str, Any]) -> Iterator[Load]:
    """A load while the block runs."""
    running = Load(started, asked)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(THREADS))
        stack.callback(running._done.set)
        futures = [pool.submit(running.run, number) for number in range(THREADS)]
        yield running
    for future in futures:
        future.result()
