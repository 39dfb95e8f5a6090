"""The real webserver and daemon on loopback, and the GraphQL calls that a browser makes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from small_market import register

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}"""
STATUS = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run { status assetCheckEvaluations: eventConnection { events { __typename ... on AssetCheckEvaluationEvent { evaluation {
      checkName success severity assetKey { path } } } ... on MaterializationEvent { assetKey { path } } } } }
  }
}"""


class Webserver:
    """The GraphQL endpoint."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).raise_for_status().json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, keys: list[list[str]], ops: dict[str, Any]) -> dict[str, Any]:
        selector = {"repositoryLocationName": "finml", "repositoryName": "__repository__", "pipelineName": "__ASSET_JOB"}
        selector["assetSelection"] = [{"path": key} for key in keys]
        return self.ask(LAUNCH, params={"selector": selector, "mode": "default", "runConfigData": {"ops": ops}})["launchRun"]

    def wait(self, run_id: str, wanted: set[str], seconds: float = SECONDS) -> dict[str, Any]:
        """The run once its status is one of those wanted, or as it is when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            run = self.ask(STATUS, id=run_id)["runOrError"]
            if run["status"] in wanted or time.monotonic() > deadline:
                return run
            time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(folder: Path) -> dict[str, str]:
    """A state folder with the small dataset, and a Dagster instance in it."""
    found = {**os.environ, "FINML_HOME": str(folder / "home"), "FINML_DATASETS": str(register(folder / "data")), "PYTHONPATH": str(ROOT)}
    found.pop("DAGSTER_HOME", None)
    made = subprocess.run([sys.executable, "-m", "finml_pipelines.instance"], env=found, capture_output=True, text=True, check=True)
    return {**found, "DAGSTER_HOME": made.stdout.strip()}


@contextmanager
def servers(folder: Path, variables: dict[str, str]) -> Iterator[tuple[Webserver, list[subprocess.Popen[bytes]]]]:
    """Webserver and daemon of an instance until the block ends; each is ended by its own process id."""
    tools, port = Path(sys.executable).parent, free_port()
    workspace = ["-w", str(ROOT / "workspace.yaml")]
    commands = {
        "webserver": [str(tools / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), *workspace],
        "daemon": [str(tools / "dagster-daemon"), "run", *workspace],
    }
    with ExitStack() as stack:
        processes = []
        for name, command in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("a"))
            process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=folder)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            processes.append(process)
        server = Webserver(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert all(process.poll() is None for process in processes), [path.read_text()[-2000:] for path in folder.glob("*.log")]
            try:
                server.client.get("/server_info").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.3)
        yield server, processes
