"""The OpenAPI document: every route of it answers, every object of it is closed, and a TypeScript client comes out of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_cases import GRU_1, ROWS, TASK
from fastapi import FastAPI
from states_cases import keep_vae

from finml_ledger import Deployments, Ledger

TYPESCRIPT = "openapi-typescript@7"
PARAMETERS = {
    "use_case": TASK,
    "model_id": "gru",
    "version": "g1",
    "dataset_id": "us_market",
    "moment": "2026-01-01T00:00:00Z",
}
BODIES: dict[str, Any] = {
    "/models/configure": {"model_id": "gru", "hyperparameters": {}, "training_config": {}},
    "/models/predict": {"model_id": "gru", "input_data": ROWS},
    "/v1/explain": {"model_id": "gru", "input_data": ROWS},
    "/v1/deployments/{use_case}/deploy": {"model_id": "gru", "version": "g2"},
    "/v1/deployments/{use_case}/split": {"model_id": "gru", "version": "g2", "share": 0.1},
    "/v1/deployments/{use_case}/shadow": {"shadow": {"model_id": "gru", "version": "g2"}},
    "/v1/deployments/{use_case}/promote": {"model_id": "gru", "version": "g2"},
    "/v1/deployments/{use_case}/rollback": {"reason": "a walk through all routes"},
    "/v1/deployments/{use_case}/withdraw": {},
}
TABLE = {
    ("get", "/models/list"), ("get", "/models/{model_id}"), ("get", "/models/recommend"), ("get", "/models/categories"), ("get", "/models/use-cases"),
    ("post", "/models/configure"), ("post", "/models/train"), ("get", "/models/training-status/{job_id}"), ("post", "/models/predict"),
    ("get", "/models/deployed"),
}  # fmt: skip
ELSEWHERE = {"/v1/intelligence/{use_case}/{model_id}": {"use_case": "regime_detection", "model_id": "vae"}}
"""Parameters of a path that not every use case has an answer to."""
NOT_THERE = "none"
"""What the routes of runs, alarms and predictions are asked for: an id that there is none of."""


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, item in app.openapi()["paths"].items() for method, operation in item.items()]


def test_the_paths_of_the_specification_are_there(app: FastAPI) -> None:
    assert {(method, path) for method, path, _ in operations(app)} >= TABLE


def test_every_route_of_the_document_answers_as_it_says(app: FastAPI, api: httpx.Client, deployments: Deployments, ledger: Ledger, home: Path) -> None:
    deployments.deploy(TASK, GRU_1, actor="t")
    keep_vae(ledger, home)
    # Changes in the order of `BODIES`, which withdraws last: what only reads comes before them.
    order = list(BODIES)
    for method, path, operation in sorted(operations(app), key=lambda found: order.index(found[1]) if found[1] in order else -1):
        query = {p["name"]: PARAMETERS.get(p["name"], NOT_THERE) for p in operation.get("parameters", []) if p["in"] == "query" and p.get("required")}
        given = PARAMETERS | ELSEWHERE.get(path, {})
        address = re.sub(r"\{(\w+)\}", lambda found, given=given: given.get(found[1], NOT_THERE), path)
        answer = api.request(method, address, params=query, json=None if method == "get" else BODIES.get(path, {}))
        told = (path, answer.text)
        if answer.status_code == 503:
            assert "Dagster" in answer.json()["detail"], told
        elif set(re.findall(r"\{(\w+)\}", path)) <= set(PARAMETERS) and (method == "get" or path in BODIES):
            assert answer.status_code == 200, told
            assert "200" in operation["responses"], told
        else:
            assert answer.status_code in {404, 409, 422}, told


def test_every_route_says_what_it_is_for_and_answers_errors_as_problems(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        assert operation.get("description"), (method, path)
        for status, response in operation["responses"].items():
            if status == "default" or status >= "400":
                assert "application/problem+json" in response["content"], (method, path, status)


def test_literal_paths_come_before_parameters(api: httpx.Client) -> None:
    for name in ("list", "categories", "use-cases", "deployed"):
        assert "hyperparameters" not in api.get(f"/models/{name}").json()


def test_requests_are_closed_to_unknown_fields(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    bodies = [operation["requestBody"]["content"]["application/json"]["schema"] for _, _, operation in operations(app) if "requestBody" in operation]
    assert len(bodies) >= len(BODIES)
    for body in bodies:
        assert schemas[body["$ref"].rpartition("/")[2]]["additionalProperties"] is False


@pytest.mark.slow
def test_a_typescript_client_comes_out_of_the_document(app: FastAPI, tmp_path: Path) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npx is not installed, so that no TypeScript can be generated; install Node.js")
    (tmp_path / "openapi.json").write_text(json.dumps(app.openapi()))
    command = [npx, "--yes", TYPESCRIPT, "openapi.json", "--output", "finml.ts", "--additional-properties"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and re.search(
        r"npm (ERR|error).*(ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|E404|network|registry|EACCES)", done.stderr, re.DOTALL | re.IGNORECASE
    ):
        pytest.skip(f"npm cannot install {TYPESCRIPT} here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "finml.ts").read_text()
    for path in app.openapi()["paths"]:
        assert f'"{path}"' in written
    assert "ProblemDocument" in written
