"""Dagster's webserver over GraphQL: launching, watching and ending runs. Every answer comes within the limit, or is a `ServiceFailed`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from finml_models.core.errors import Conflict, DataError, ServiceFailed, UnknownName
from finml_models.core.keys import Key

from . import queries

SECONDS = 5.0
LAUNCH_SECONDS = 60.0
"""The limit of a launch alone, which makes Dagster plan the run: who asked for it may leave before, and come back for it."""
LOCATION, REPOSITORY, ASSETS = "finml", "__repository__", "__ASSET_JOB"
REMEDY = "start it with: finml up"
QUEUE = "QUEUED_RUN_COORDINATOR"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of Dagster. `steps` is empty where it was not asked for, or where the run is not one of assets."""

    id: str
    job: str
    status: str
    tags: Mapping[str, str]
    created: datetime
    started: datetime | None
    ended: datetime | None
    steps: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a run's log. `facts` is the metadata of an observation or materialisation, by label."""

    kind: str
    at: datetime
    level: str
    step: str | None
    message: str
    passed: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """A part of a run's log, and where the next one begins."""

    run: Run
    entries: tuple[Entry, ...]
    cursor: str | None
    more: bool


@dataclass(frozen=True, slots=True)
class Made:
    """The newest materialisation of an asset."""

    at: datetime
    facts: Mapping[str, Any]


class Dagster:
    """A client of the GraphQL endpoint. `seconds` is the limit of one question.

    Every method raises `ServiceFailed`, with the remedy, where Dagster is away, slow, or answers with an error of its own.
    """

    def __init__(self, url: str, *, seconds: float = SECONDS, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url, self.seconds = url.rstrip("/"), seconds
        # The environment's proxies are for elsewhere.
        self._client = httpx.AsyncClient(base_url=self.url, trust_env=False, transport=transport)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    def page(self, run_id: str) -> str:
        """The address of a run in Dagster's own pages."""
        return f"{self.url}/runs/{run_id}"

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """The limit over several questions together."""
        try:
            async with asyncio.timeout(self.seconds):
                yield
        except TimeoutError as error:
            raise self._slow() from error

    async def launch(self, ops: Mapping[str, Mapping[str, Any]], tags: Mapping[str, str], *, assets: Collection[Key] = (), job: str = ASSETS) -> Run:
        """Launch these assets, or a job, under a run configuration by op. Raises `DataError` where Dagster refuses the configuration."""
        selector: dict[str, Any] = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "pipelineName": job}
        if assets:
            selector["assetSelection"] = [{"path": list(key)} for key in sorted(assets)]
        parameters = {
            "selector": selector,
            "mode": "default",
            "runConfigData": {"ops": {op: {"config": dict(config)} for op, config in ops.items()}},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        found = (await self._ask(queries.LAUNCH, limit=max(LAUNCH_SECONDS, self.seconds), params=parameters))["launchRun"]
        match found["__typename"]:
            case "LaunchRunSuccess":
                return _run(found["run"])
            case "RunConfigValidationInvalid":
                raise DataError(f"the pipeline refuses this configuration: {'; '.join(error['message'] for error in found['errors'])[:1000]}")
            case other:
                said = found.get("message", "without a reason")[:500]
                raise ServiceFailed(f"Dagster does not launch the run ({other}): {said}; look at {self.url}/locations")

    async def cancel(self, run_id: str) -> None:
        """Ask a run to end. Raises `UnknownName`, and `Conflict` where it has ended."""
        found = (await self._ask(queries.CANCEL, id=run_id))["terminateRun"]
        match found["__typename"]:
            case "TerminateRunSuccess":
                return
            case "RunNotFoundError":
                raise _unknown(run_id)
            case "TerminateRunFailure":
                raise Conflict(f"run {run_id} is not cancelled: {found['message']}")
            case other:
                raise ServiceFailed(f"Dagster does not cancel run {run_id} ({other}): {found.get('message', 'without a reason')[:500]}")

    async def run(self, run_id: str) -> Run:
        """A run with the assets that it is to make. Raises `UnknownName`."""
        return self._one(await self._ask(queries.RUN, id=run_id), run_id)

    async def runs(
        self, *, after: str | None = None, limit: int = 50, statuses: Sequence[str] = (), tags: Mapping[str, str] | None = None, job: str | None = None
    ) -> list[Run]:
        """Runs older than the run `after`, newest first, that hold every given condition."""
        wanted: dict[str, Any] = {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]}
        if statuses:
            wanted["statuses"] = list(statuses)
        if job is not None:
            wanted["pipelineName"] = job
        found = (await self._ask(queries.RUNS, filter=wanted, cursor=after, most=limit))["runsOrError"]
        if found["__typename"] != "Runs":
            raise ServiceFailed(f"Dagster does not list its runs: {found.get('message', found['__typename'])[:500]}")
        return [_run(row) for row in found["results"]]

    async def log(self, run_id: str, after: str | None, limit: int) -> Log:
        """The entries of a run's log behind a cursor, with the run as it is after them. Raises `UnknownName`."""
        answer = await self._ask(queries.LOG, id=run_id, after=after, most=limit)
        run, found = self._one(answer, run_id), answer["logsForRun"]
        if found["__typename"] != "EventConnection":
            raise _unknown(run_id) if found["__typename"] == "RunNotFoundError" else self._wrong(found.get("message", ""))
        entries = tuple(_entry(row) for row in found["events"])
        return Log(run, entries, found["cursor"] if entries else after, found["hasMore"])

    async def heartbeat(self) -> datetime | None:
        """When the daemon that starts queued runs was last alive; None when it never was."""
        daemons = (await self._ask(queries.DAEMONS))["instance"]["daemonHealth"]["allDaemonStatuses"]
        beats = [row["lastHeartbeatTime"] for row in daemons if row["daemonType"] == QUEUE and row["lastHeartbeatTime"]]
        return _moment(max(beats)) if beats else None

    async def newest(self, keys: Collection[Key]) -> dict[Key, Made]:
        """The newest materialisation of each of these assets that was ever made."""
        answer = await self._ask(queries.NEWEST, keys=[{"path": list(key)} for key in keys])
        made = {tuple(node["assetKey"]["path"]): node["assetMaterializations"] for node in answer["assetNodes"]}
        return {key: Made(_milliseconds(rows[0]["timestamp"]), _facts(rows[0]["metadataEntries"])) for key, rows in made.items() if rows}

    async def _ask(self, query: str, *, limit: float | None = None, **variables: Any) -> dict[str, Any]:
        seconds = limit or self.seconds
        try:
            # The client's own limit is one of silence; an answer that drips is as slow.
            async with asyncio.timeout(seconds):
                content = {"query": query, "variables": variables}
                answer = await self._client.post("/graphql", json=content, timeout=httpx.Timeout(seconds, connect=min(self.seconds, 2.0)))
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
            if document.get("errors"):
                raise self._wrong(str(document["errors"][0].get("message", "")))
            found: dict[str, Any] = document["data"]
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._slow() from error
        except httpx.HTTPError as error:
            raise ServiceFailed(f"Dagster at {self.url} does not answer ({type(error).__name__}): {REMEDY}") from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise self._wrong("its answer is not what its GraphQL promises") from error
        return found

    def _one(self, answer: Mapping[str, Any], run_id: str) -> Run:
        found = answer["runOrError"]
        if found["__typename"] == "Run":
            return _run(found)
        raise _unknown(run_id) if found["__typename"] == "RunNotFoundError" else self._wrong(found.get("message", ""))

    def _slow(self) -> ServiceFailed:
        return ServiceFailed(f"Dagster at {self.url} did not answer within {self.seconds:g} s: look whether its runs are listed, and try again")

    def _wrong(self, said: str) -> ServiceFailed:
        return ServiceFailed(f"Dagster at {self.url} fails: {said[:500] or 'without a reason'}; its log says more")


def _unknown(run_id: str) -> UnknownName:
    return UnknownName("run", run_id, ())


def _run(row: Mapping[str, Any]) -> Run:
    return Run(
        id=row["runId"],
        job=row["jobName"],
        status=row["status"],
        tags={tag["key"]: tag["value"] for tag in row["tags"]},
        created=_moment(row["creationTime"]),
        started=None if row["startTime"] is None else _moment(row["startTime"]),
        ended=None if row["endTime"] is None else _moment(row["endTime"]),
        steps=tuple(tuple(key["path"]) for key in row.get("assetSelection") or ()),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    failure = (row.get("failureMetadata") or {}).get("description") or (row.get("error") or {}).get("message")
    evaluation = row.get("evaluation")
    return Entry(
        kind=row["__typename"],
        at=_milliseconds(row["timestamp"]),
        level=row["level"],
        step=row["stepKey"],
        message=(failure or (evaluation or {}).get("checkName") or row["message"] or "").strip(),
        passed=None if evaluation is None else evaluation["success"],
        facts=_facts(row.get("metadataEntries") or ()),
    )


def _facts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        values = [row[name] for name in ("floatValue", "intValue", "text") if row.get(name) is not None]
        if values or row.get("jsonString"):
            found[row["label"]] = values[0] if values else json.loads(row["jsonString"])
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _milliseconds(text: str) -> datetime:
    return _moment(int(text) / 1000)
