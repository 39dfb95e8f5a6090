"""Dagster's GraphQL in this process: runs with logs that grow as a test says, and switches for being slow, away or wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from typing import Any

import httpx
from fastapi import FastAPI

from finml_console import problems
from finml_console.routes import training as routes
from finml_console.services.dagster import Dagster
from finml_console.services.feeds import Feeds
from finml_console.services.training import Training
from finml_ledger import Ledger

TASK, ENTRY = "volatility_forecasting", "log_har"
ASSETS = [["raw", "market"], ["features", TASK], ["model", TASK, ENTRY], ["report", TASK, ENTRY], ["service", TASK, ENTRY], ["leaderboard", TASK]]
STEPS = ["__".join(key) for key in ASSETS]


class FakeDagster:
    """What a test arranges and looks at; `answer` is the endpoint."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.made: dict[tuple[str, ...], dict[str, Any]] = {}
        self.asked: list[str] = []
        self.launched: list[dict[str, Any]] = []
        self.beat: float | None = time.time()
        self.seconds = 0.0
        self.seconds_by_operation: dict[str, float] = {}
        self.answering = 0
        self.away = False
        self.refusal: dict[str, Any] | None = None

    def client(self, seconds: float = 5.0) -> Dagster:
        return Dagster("http://127.0.0.1:3000", seconds=seconds, transport=httpx.MockTransport(self.answer))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        document = json.loads(request.content)
        operation = document["query"].split("(")[0].split("{")[0].split()[-1]
        self.asked.append(operation)
        self.answering += 1
        try:
            await asyncio.sleep(self.seconds_by_operation.get(operation, self.seconds))
            return httpx.Response(200, json={"data": getattr(self, f"_{operation.lower()}")(**document["variables"])})
        finally:
            self.answering -= 1

    def start(self, job: str = "__ASSET_JOB", tags: dict[str, str] | None = None, assets: list[list[str]] | None = None, status: str = "QUEUED") -> str:
        run_id = str(uuid.uuid4())
        self.runs[run_id] = {
            "__typename": "Run",
            "runId": run_id,
            "jobName": job,
            "status": status,
            "creationTime": time.time(),
            "startTime": None,
            "endTime": None,
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
            "assetSelection": [{"path": key} for key in (ASSETS if assets is None else assets)],
        }
        self.logs[run_id] = []
        return run_id

    def tell(self, run_id: str, kind: str, step: str | None = None, *, message: str = "", level: str = "DEBUG", **more: Any) -> None:
        entry = {"__typename": kind, "timestamp": str(int(time.time() * 1000)), "level": level, "stepKey": step, "message": message, **more}
        self.logs[run_id].append(entry)
        turns = {"RunStartEvent": "STARTED", "RunSuccessEvent": "SUCCESS", "RunFailureEvent": "FAILURE", "RunCanceledEvent": "CANCELED"}
        self.runs[run_id]["status"] = turns.get(kind, self.runs[run_id]["status"])

    def observe(self, run_id: str, step: str, **facts: Any) -> None:
        rows = [{"label": label, ("text" if isinstance(value, str) else "floatValue"): value} for label, value in facts.items()]
        self.tell(run_id, "ObservationEvent", step, metadataEntries=rows)

    def play(self, run_id: str, *, fits: int = 4) -> None:
        """A whole training that ends well, with the noise that a log has."""
        for kind in ("RunEnqueuedEvent", "RunDequeuedEvent", "RunStartingEvent", "EngineEvent", "RunStartEvent"):
            self.tell(run_id, kind)
        for step in STEPS:
            self.tell(run_id, "ExecutionStepStartEvent", step)
            self.tell(run_id, "LogMessageEvent", step, message="nothing of note")
            if step.startswith("model"):
                for fit in range(fits):
                    self.observe(run_id, step, fit=f"fold {fit + 1} seed 0", done=fit / fits, epoch=1, epochs=1, loss=1.0 / (fit + 1))
            self.tell(run_id, "MaterializationEvent", step)
            self.tell(run_id, "ExecutionStepSuccessEvent", step)
        self.tell(run_id, "RunSuccessEvent")

    def materialise(self, key: tuple[str, ...], at: float, **facts: Any) -> None:
        rows = [{"label": label, **({"text": value} if isinstance(value, str) else {"jsonString": json.dumps(value)})} for label, value in facts.items()]
        self.made[key] = {"timestamp": str(int(at * 1000)), "metadataEntries": rows}

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        self.launched.append(params)
        if self.refusal is not None:
            return {"launchRun": self.refusal}
        tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
        selector = params["selector"]
        run_id = self.start(selector["pipelineName"], tags, [key["path"] for key in selector.get("assetSelection", [])])
        return {"launchRun": {"__typename": "LaunchRunSuccess", "run": self.runs[run_id]}}

    def _cancel(self, id: str) -> dict[str, Any]:  # noqa: A002 - the name of the question's variable
        if id not in self.runs:
            return {"terminateRun": {"__typename": "RunNotFoundError", "message": "no such run"}}
        self.tell(id, "RunCanceledEvent")
        return {"terminateRun": {"__typename": "TerminateRunSuccess"}}

    def _run(self, id: str) -> dict[str, Any]:  # noqa: A002
        return {"runOrError": self.runs.get(id, {"__typename": "RunNotFoundError", "message": "no such run"})}

    def _runs(self, filter: dict[str, Any], cursor: str | None, most: int) -> dict[str, Any]:  # noqa: A002
        newest = list(reversed(self.runs.values()))
        ids = [run["runId"] for run in newest]
        found = newest[ids.index(cursor) + 1 :] if cursor in ids else newest
        wanted = [(tag["key"], tag["value"]) for tag in filter["tags"]]
        found = [run for run in found if all({"key": key, "value": value} in run["tags"] for key, value in wanted)]
        found = [run for run in found if run["status"] in filter.get("statuses", [run["status"]])]
        return {"runsOrError": {"__typename": "Runs", "results": found[:most]}}

    def _log(self, id: str, after: str | None, most: int) -> dict[str, Any]:  # noqa: A002
        if id not in self.runs:
            missing = {"__typename": "RunNotFoundError", "message": "no such run"}
            return {"logsForRun": missing, "runOrError": missing}
        begin = json.loads(base64.b64decode(after))["value"] if after else 0
        events = self.logs[id][begin : begin + most]
        cursor = base64.b64encode(json.dumps({"type": "STORAGE_ID", "value": begin + len(events)}).encode()).decode()
        more = begin + len(events) < len(self.logs[id])
        return {"logsForRun": {"__typename": "EventConnection", "events": events, "cursor": cursor, "hasMore": more}, "runOrError": self.runs[id]}

    def _daemons(self) -> dict[str, Any]:
        status = {"daemonType": "QUEUED_RUN_COORDINATOR", "lastHeartbeatTime": self.beat}
        return {"instance": {"daemonHealth": {"allDaemonStatuses": [status, {"daemonType": "SENSOR", "lastHeartbeatTime": time.time()}]}}}

    def _newest(self, keys: list[dict[str, Any]]) -> dict[str, Any]:
        nodes = [{"assetKey": key, "assetMaterializations": [made] if (made := self.made.get(tuple(key["path"]))) else []} for key in keys]
        return {"assetNodes": nodes}


def application(ledger: Ledger, fake: FakeDagster, seconds: float = 5.0) -> FastAPI:
    """The routes of training alone, as they are included anywhere."""
    app = FastAPI()
    dagster = fake.client(seconds)
    app.state.ledger, app.state.training = ledger, Training(ledger, dagster, Feeds(dagster, period=0.02))
    problems.install(app)
    app.include_router(routes.router)
    return app


def ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    """One request to an application in this process."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", timeout=30) as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())
