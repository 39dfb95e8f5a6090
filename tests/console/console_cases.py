"""An application over a ledger with releases, a gateway that is a few lines of ASGI, and a way to ask them without a socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from finml_console.app import create_app
from finml_console.services.gateway import Gateway
from finml_console.settings import Settings
from finml_ledger import Deployments, Ledger, Slot
from finml_models.core import catalog
from finml_models.evaluation.document import DataSection, MetricNote, Report, Resources, ScoredSummary, Seeds, TableRow, TrainingSummary
from finml_models.evaluation.verdict import Check, GateResult, Judgement, Verdict

TASK = "volatility_forecasting"
ADDRESS = "http://127.0.0.1:3400"
GRU_1, GRU_2, HAR, LOSER = (
    Slot(entry="gru", version="g1"),
    Slot(entry="gru", version="g2"),
    Slot(entry="log_har", version="h1"),
    Slot(entry="lstm", version="l1"),
)
ROWS = {"rows": [{"entity": "sp500", "time": "2018-12-31", "close": 2506.85}]}


class InProcess(httpx.BaseTransport):
    """Requests to an ASGI application, each in an event loop of its own, so that threads can send some at once."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app, raise_app_exceptions=False)) as client:
                return await client.send(request)

        # The content is encoded for the sync client: an async stream of its own it could not read.
        request = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        response = asyncio.run(ask())
        # Decoded above already.
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=response.content)


def http(app: Any, **headers: str) -> httpx.Client:
    return httpx.Client(transport=InProcess(app), base_url=ADDRESS, headers=headers)


@dataclass
class FakeGateway:
    """Says what the real one would, of the deployments in the same ledger."""

    ledger: Ledger
    refuses: set[Slot] = field(default_factory=set)
    forgetful: bool = False
    """Answers the fixed request otherwise each time: a roll back would not lead back."""
    away: bool = False
    prepared: list[Slot] = field(default_factory=list)
    refreshed: int = 0
    keys: list[str | None] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.away:
            raise httpx.ConnectError("refused")
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        status, document, headers = self.answer(scope["path"], json.loads(body + message["body"] or b"{}"), dict(scope["headers"]))
        media = b"application/problem+json" if status >= 400 else b"application/json"
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media), *headers]})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    def answer(self, path: str, body: dict[str, Any], headers: dict[bytes, bytes]) -> tuple[int, dict[str, Any], list[tuple[bytes, bytes]]]:
        if path in {"/readyz", "/deployments/refresh"}:
            self.refreshed += path == "/deployments/refresh"
            return 200, {"position": Deployments(self.ledger).position()}, []
        if path == "/versions/prepare":
            return self.prepare(Slot(entry=body["entry"], version=body["version"]))
        task = path.rsplit("/", 1)[1]
        champion = Deployments(self.ledger).now(task).state.champion
        if champion is None:
            return 409, {"detail": f"nothing is deployed for {task}"}, []
        if not body.get("rows"):
            return 422, {"detail": "1 field is not valid", "errors": [{"field": "rows", "message": "at least 1 item"}]}, []
        key = headers.get(b"x-finml-key")
        self.keys.append(key.decode() if key else None)
        told = {"entry": champion.entry, "version": champion.version, "role": "champion", "prediction": "p-1"}
        names = [(f"x-finml-{name}".encode(), value.encode()) for name, value in told.items()]
        if path.startswith("/explain/"):
            row = {"entity": "sp500", "time": "2018-12-31T00:00:00", "value": 1.0, "start": 0.5, "gap": 0.0, "parts": []}
            answer = {
                "task": task,
                "model": champion.entry,
                "version": champion.version,
                "method": "weights",
                "output": "variance",
                "caveat": "",
                "rows": [row],
            }
            return 200, answer, names
        asset = {"entity": "sp500", "as_of": "2018-12-31", "proxy": "close", "forecasts": []}
        return 200, {"version": champion.version, "level": 0.9, "assets": [asset], "warnings": ["far from training"]}, names

    def prepare(self, slot: Slot) -> tuple[int, dict[str, Any], list[tuple[bytes, bytes]]]:
        if slot in self.refuses:
            return 503, {"detail": f"{slot.entry}:{slot.version} does not match its manifest"}, []
        self.prepared.append(slot)
        said = f"{slot}{len(self.prepared) if self.forgetful else ''}"
        return 200, {"ready": True, "milliseconds": 12.5, "digest": hashlib.sha256(said.encode()).hexdigest()}, []


def application(ledger: Ledger, gateway: FakeGateway, **settings: object) -> FastAPI:
    """The application over this ledger and gateway; no Dagster answers."""
    client = Gateway("http://gateway", transport=httpx.ASGITransport(app=gateway))
    return create_app(Settings(dagster_url="http://127.0.0.1:9", **settings), ledger=ledger, gateway=client)


def report(slot: Slot, *, task: str = TASK, passed: bool = True, verdict: Verdict = Verdict.SUPERIOR, value: float = 0.2, milliseconds: float = 4.0) -> Report:
    use_case, entry = catalog.task(task), catalog.entry(slot.entry)
    baseline, metric = "log_har", use_case.metrics[0]
    judgement = Judgement(
        verdict=verdict, model=slot.entry, against=baseline, metric=metric, model_value=value, baseline_value=0.3, difference=value - 0.3, low=-0.2, high=0.0,
        level=0.9, p=0.01, p_adjusted=0.02, tried=2, margin=0.006, dates=500, sentence=f"{slot.entry} against {baseline}: {verdict.value}.",
    )  # fmt: skip
    return Report(
        pair=f"{task}-{slot.entry}", task=task, task_name=use_case.name, entry=slot.entry, entry_name=entry.card.name, version=slot.version,
        is_baseline=entry.is_baseline, headline="A headline.", verdict=verdict, judgement=judgement,
        gate=GateResult(passed=passed, version="v/1", checks=(Check(name="best baseline", passed=passed, value=0.0, limit=0.006, sentence="Compared."),)),
        rule=use_case.gate, best_baseline=baseline,
        metrics=(MetricNote(id=metric, label=metric, explanation="A loss.", unit="", lower_is_better=True),),
        table=tuple(
            TableRow(entry=name, horizon="all", metric=metric, value=v, low=v - 0.01, high=v + 0.01, n=1500)
            for name, v in {baseline: 0.3, slot.entry: value}.items()
        ),
        slices=(), seeds=Seeds(values={0: value}, spread=None),
        data=DataSection(dataset="us_market", snapshot="d" * 64, rows=60_000, entities=3, first="2005-01-03", last="2018-12-31", repairs={}),
        scored=ScoredSummary(rows=1500, dates=500, entities=3, folds=3, first="2015-01-02", last="2018-12-31"),
        training=TrainingSummary(profile="fast", seconds=12.0, fits=3, epochs=5.0, parameters=1000, curve=()),
        resources=Resources(milliseconds=milliseconds, megabytes=0.5), fingerprint={"id": "f", "hyperparameters": {"hidden": 16}},
        reproduce="finml run", limitations=("It forgets.",),
    )  # fmt: skip


def release(ledger: Ledger, home: Path, slot: Slot, *, run_id: str | None = None, **facts: Any) -> None:
    """A release with its report and page, as the pipeline leaves them."""
    document = report(slot, **facts)
    folder = Path("reports") / document.task / slot.entry / slot.version
    (home / folder).mkdir(parents=True, exist_ok=True)
    (home / folder / "report.json").write_text(document.model_dump_json())
    (home / folder / "report.html").write_text(f"<!doctype html><title>{document.pair}</title>")
    ledger.record_release(
        task=document.task,
        entry=slot.entry,
        version=slot.version,
        artifact=f"artifacts/{document.task}/{slot.entry}/{slot.version}",
        verdict=document.verdict.value,
        gate_passed=document.gate.passed,
        headline=document.headline_figures(),
        fingerprint={"id": "f"},
        bento_tag=f"{document.task}-{slot.entry}:{slot.version}" if document.gate.passed else None,
        report=str(folder / "report.json"),
        run_id=run_id or f"run-{slot.version}",
    )
