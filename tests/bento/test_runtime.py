"""The cache of exported networks: what is loaded is what was compared, and without it torch answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from service_cases import FINGERPRINT, TASK, bars, good_request

from bento.package import build
from bento.serve import serve
from finml_models.core import artifact, catalog, runtime, serving
from finml_models.core.artifact import Artifact
from finml_models.core.errors import CorruptArtifact
from finml_models.core.estimator import TrainingConfig
from finml_models.core.runtime import MANIFEST, NETWORK, Export


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of an untrained network: what it answers is nonsense, and has to be the same nonsense."""
    pair = catalog.pair(f"{TASK}-gru")
    task = pair.task()
    batch = task.view(pair.kind, task.features(bars()), task.target(bars()))
    rows = np.arange(len(batch))
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch), TrainingConfig(max_epochs=0, device="cpu"))
    estimator.fit(batch.take(rows[:-200]), batch.take(rows[-200:]))
    root = tmp_path_factory.mktemp("networks")
    return artifact.save(root, estimator, task=TASK, entry="gru", fingerprint=FINGERPRINT, reference=serving.training_range(batch))


@pytest.fixture(scope="module")
def cache(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export, made as packaging makes it; tests copy what they change."""
    root = tmp_path_factory.mktemp("home") / "onnx"
    runtime.made(network, root)
    return root


@pytest.fixture
def held(network: Path) -> Artifact:
    """The artifact, newly loaded."""
    return artifact.load(network)


def answered(held: Artifact) -> dict[str, object]:
    return serving.answer(held, catalog.task(TASK).request.model_validate_json(json.dumps(good_request()))).model_dump(mode="json")


def copied(cache: Path, version: str, to: Path) -> Path:
    (to / version).mkdir(parents=True)
    for name in (NETWORK, MANIFEST):
        (to / version / name).write_bytes((cache / version / name).read_bytes())
    return to / version


def test_an_export_is_made_once_and_again_where_it_is_broken(network: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = copied(cache, network.name, tmp_path / "onnx")
    starts: list[object] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: starts.append(command) or subprocess.CompletedProcess(command, 1, "", "no exporter here"))
    assert runtime.made(network, tmp_path / "onnx") == folder
    assert not starts
    (folder / NETWORK).write_bytes(b"half a netw")
    runtime.made(network, tmp_path / "onnx")
    assert len(starts) == 1
    found = runtime.read(folder, network.name)
    assert found is not None
    assert (found[0].reason, found[1]) == ("the export failed: no exporter here", None)


def test_onnxruntime_answers_what_torch_answers_and_explains_nothing_else(held: Artifact, cache: Path) -> None:
    expected = answered(held)
    assert runtime.attach(held, cache) == ""
    ran: list[object] = []
    exported = held.estimator._exported
    run = exported._run
    exported._run = lambda arrays: ran.append(arrays) or run(arrays)
    found = answered(held)
    assert ran
    for one, other in zip(expected["assets"], found["assets"], strict=True):
        for a, b in zip(one.pop("forecasts"), other.pop("forecasts"), strict=True):
            assert b == pytest.approx(a, rel=1e-5)
        assert one == other


@pytest.mark.parametrize("name", [NETWORK, MANIFEST])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_broken_export_is_not_loaded_and_torch_answers(
    held: Artifact, cache: Path, tmp_path: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copied(cache, held.version, tmp_path)
    data = bytearray((folder / name).read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    (folder / name).unlink() if how == "gone" else (folder / name).write_bytes(bytes(data[: len(data) // 2] if how == "cut" else data))
    expected = answered(held)
    reason = runtime.attach(held, tmp_path)
    assert "delete" in reason
    assert reason in caplog.text
    assert answered(held) == expected


def test_an_export_of_another_version_is_refused(held: Artifact, cache: Path, tmp_path: Path) -> None:
    folder = copied(cache, held.version, tmp_path)
    folder.rename(tmp_path / "0123456789abcdef")
    with pytest.raises(CorruptArtifact, match="not of 0123456789abcdef"):
        runtime.read(tmp_path / "0123456789abcdef", "0123456789abcdef")


def test_a_version_without_an_export_and_one_without_a_network_say_why(held: Artifact, folder: Path, tmp_path: Path) -> None:
    assert runtime.attach(held, tmp_path) == "its network was not exported"
    assert runtime.attach(artifact.load(folder), tmp_path) == "it answers without torch"
    runtime.publish(tmp_path / held.version, Export(version=held.version, reason="it differs"), None)
    assert runtime.attach(held, tmp_path) == "it differs"


def test_two_that_publish_at_once_leave_one_export(held: Artifact, tmp_path: Path) -> None:
    first, second = (Export(version=held.version, reason=reason) for reason in ("first", "second"))
    runtime.publish(tmp_path / held.version, first, None)
    runtime.publish(tmp_path / held.version, second, None)
    assert runtime.read(tmp_path / held.version, held.version) == (first, None)
    assert [path.name for path in tmp_path.iterdir()] == [held.version]


def test_a_bento_answers_by_onnxruntime_without_the_exporter(network: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_HOME", str(cache.parent))
    built = build(network, tmp_path / "bentoml")
    names = {line.partition("==")[0] for line in (Path(built.path) / "env/python/requirements.txt").read_text().split()}
    assert {"torch", "onnxruntime"} <= names
    assert not names & {"onnx", "onnxscript"}
    with serve(built.tag, home=tmp_path / "bentoml") as running:
        answer = httpx.post(running.url + "/predict", json=good_request())
        family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
        mapped = {Path(part.path).name for process in family for part in process.memory_maps()}
    assert any(name.startswith("onnxruntime_pybind11_state") for name in mapped)
    held = artifact.load(network)
    runtime.attach(held, cache)
    assert answer.json() == answered(held)


def test_what_exports_is_no_part_of_what_serves() -> None:
    code = "import sys, finml_models.core.runtime, finml_models.training.exported as e; print('onnx' in sys.modules, 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
