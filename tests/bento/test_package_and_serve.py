"""From an artifact's folder to an answer over HTTP, with processes of their own."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from service_cases import ENTRY, TASK, good_request

from bento.guard import MOST_BYTES
from bento.package import BuiltBento, build
from bento.problem import MEDIA_TYPE
from bento.requirements import ROOT, pinned
from bento.serve import Running, find, serve
from finml_models.core import artifact, catalog, explained, serving
from finml_models.core.errors import CorruptArtifact, ServiceFailed, UnknownName


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def built(folder: Path, home: Path) -> BuiltBento:
    """Built by two processes at once."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: build(folder, home), range(2))
    assert first == second
    return first


@pytest.fixture(scope="module")
def running(built: BuiltBento, home: Path) -> Iterator[Running]:
    with serve(built.tag, home=home) as service:
        yield service


def test_a_bento_carries_the_artifact_our_sources_and_nothing_half_built(built: BuiltBento, folder: Path, home: Path) -> None:
    assert built.tag == f"{TASK}-{ENTRY}:{folder.name}"
    source = Path(built.path) / "src"
    artifact.verify(source / "artifact" / folder.name)
    for module in ("core/artifact", f"tasks/{TASK}", f"baselines/{ENTRY}"):
        assert (source / f"finml_models/{module}.py").read_bytes() == (ROOT / f"finml_models/{module}.py").read_bytes()
    assert not [path for path in source.rglob("*") if path.suffix in {".pyc", ".pkl", ".sqlite"}]
    assert sorted(path.name for path in home.iterdir()) == ["bentos"]


def test_the_served_sources_import_only_what_is_bundled(built: BuiltBento) -> None:
    source = Path(built.path) / "src"
    for path in (source / "bento").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                assert (source / "bento" / f"{node.module}.py").is_file(), f"{path.name} imports .{node.module}"


def test_the_same_version_is_built_once(built: BuiltBento, folder: Path, home: Path) -> None:
    before = (Path(built.path) / "bento.yaml").stat().st_mtime_ns
    assert build(folder, home) == built
    assert (Path(built.path) / "bento.yaml").stat().st_mtime_ns == before


def test_requirements_follow_the_imports(built: BuiltBento) -> None:
    names = {line.partition("==")[0].lower() for line in (Path(built.path) / "env/python/requirements.txt").read_text().split()}
    assert {"numpy", "pandas", "pydantic", "safetensors", "starlette", "bentoml"} <= names
    assert not names & {"torch", "dagster", "sqlalchemy", "lightning", "matplotlib"}
    assert any(line.startswith("torch==") and "+" not in line for line in pinned("finml_models.time_series.gru.model"))


def test_a_changed_artifact_is_not_packaged(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    flip(copy / "weights.safetensors")
    with pytest.raises(ServiceFailed, match="sha256"):
        build(copy, tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("path", "answered"), [("/predict", serving.answer), ("/explain", explained.explain)])
def test_the_served_answer_is_the_offline_answer_to_the_bit(running: Running, folder: Path, path: str, answered: Any) -> None:
    body = json.dumps(good_request())
    offline = answered(artifact.load(folder), catalog.task(TASK).request.model_validate_json(body))
    answer = httpx.post(running.url + path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert answer.json() == offline.model_dump(mode="json")


@pytest.mark.parametrize("path", ["/", "/metadata", "/openapi.json", "/livez", "/readyz", "/metrics"])
def test_the_routes_answer_behind_bentoml_too(running: Running, path: str) -> None:
    answer = httpx.get(running.url + path)
    assert answer.status_code == 200
    assert "googletagmanager" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "body", "media", "status"),
    [
        ("POST", "/predict", b"{", "application/json", 400),
        ("GET", "/docs.json", b"", "application/json", 404),
        ("GET", "/assets/index.js", b"", "application/json", 404),
        ("GET", "/predict", b"", "application/json", 405),
        ("POST", "/livez", b"", "application/json", 405),
        ("POST", "/predict", b" " * (MOST_BYTES + 1), "application/json", 413),
        ("POST", "/predict", b"{}", "application/vnd.bentoml+pickle", 415),
        ("POST", "/predict", b'{"rows": [{"close": NaN}]}', "application/json", 422),
    ],
)
def test_the_guard_holds_behind_bentoml_too(running: Running, method: str, path: str, body: bytes, media: str, status: int) -> None:
    answer = httpx.request(method, running.url + path, content=body, headers={"content-type": media})
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)


def test_it_listens_on_the_loopback_only_and_from_the_bentos_own_sources(running: Running, built: BuiltBento) -> None:
    family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
    addresses = {c.laddr.ip for process in family for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert {process.cwd() for process in family} == {str(Path(built.path) / "src")}


def test_a_taken_port_is_an_error_that_names_a_free_one(built: BuiltBento, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ServiceFailed, match=r"cannot be used .*; \d+ is free"):
        serve(built.tag, other.getsockname()[1], home=home)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104 - refused, which is the point
def test_a_host_beyond_the_loopback_is_refused(built: BuiltBento, home: Path, host: str) -> None:
    with pytest.raises(ServiceFailed, match="loopback"):
        serve(built.tag, host=host, home=home)


@pytest.mark.parametrize("tag", ["nothing", f"{TASK}-gru:latest", "../../etc:passwd", "/etc/passwd", "a:../b", ""])
def test_a_bento_that_is_not_there_is_named(built: BuiltBento, home: Path, tag: str) -> None:
    with pytest.raises(UnknownName):
        serve(tag, home=home)


def test_a_bento_is_found_by_version_and_by_latest(built: BuiltBento, folder: Path, home: Path) -> None:
    assert find(folder.name, home) == find(f"{TASK}-{ENTRY}:latest", home) == find(built.tag, home) == Path(built.path)


def test_a_bento_with_a_flipped_bit_is_not_served(built: BuiltBento, folder: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "copy")
    flip(find(built.tag, tmp_path / "copy") / "src" / "artifact" / folder.name / "weights.safetensors")
    with pytest.raises(CorruptArtifact, match="sha256"):
        serve(built.tag, home=tmp_path / "copy")


def test_a_service_that_cannot_start_says_why(built: BuiltBento, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "copy")
    (find(built.tag, tmp_path / "copy") / "src" / "bento" / "service.py").write_text("raise RuntimeError('no such luck')\n")
    with pytest.raises(ServiceFailed, match="no such luck"):
        serve(built.tag, home=tmp_path / "copy")


def test_the_builder_loads_no_torch() -> None:
    code = "import sys, bento.package, bento.service; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=True)
    assert done.stdout.split() == ["False", "False"]


def test_stopping_ends_every_process(built: BuiltBento, running: Running) -> None:
    family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
    running.stop()
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url)
    running.stop()


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
