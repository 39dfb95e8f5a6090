"""`finml verify`: a version proves itself bit for bit, and one changed byte anywhere refutes it with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_market import TASK, materialise, register, training
from typer.testing import CliRunner

from finml_cli.main import app
from finml_models.core import catalog
from finml_models.evaluation import certificate as certificates
from finml_models.evaluation.certificate import Certificate
from finml_models.evaluation.verify import Files, verify
from finml_pipelines import records
from finml_pipelines.records import ModelRecord


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a small run."""
    folder = tmp_path_factory.mktemp("verified")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(folder / "home"))
        patch.setenv("FINML_DATASETS", str(register(folder / "data")))
        patch.delenv("DAGSTER_HOME", raising=False)
        keys = ["raw/market", f"features/{TASK}"]
        for name in (*catalog.task(TASK).baselines, "gru"):
            keys += [f"model/{TASK}/{name}"] + ([f"report/{TASK}/{name}"] if name in {"gru", "log_har"} else [])
        assert materialise(*keys, config={k: v for k, v in training().items() if k.endswith("gru")}).success
        yield folder / "home"


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, free to be spoiled."""
    shutil.copytree(trained, tmp_path / "home")
    monkeypatch.setenv("FINML_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def version(entry: str = "gru") -> ModelRecord:
    record = records.get(("model", TASK, entry))
    assert isinstance(record, ModelRecord)
    return record


def proof(home: Path, entry: str = "gru", *, quick: bool = False) -> Certificate:
    record = version(entry)
    report = home / "reports" / TASK / entry / record.version
    files = Files(records.locate(record.artifact), records.locate(record.predictions), report, home / "data")
    return verify(catalog.pair(f"{TASK}-{entry}"), files, quick=quick)


def failed(certificate: Certificate) -> dict[str, str]:
    return {finding.name: finding.sentence for finding in certificate.findings if not finding.passed}


def flip(path: Path, *, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("entry", ["gru", "log_har"])
def test_a_version_is_trained_again_to_the_last_bit(home: Path, entry: str) -> None:
    certificate = proof(home, entry)
    assert certificate.passed, failed(certificate)
    assert certificate.exact
    assert {"second training", "predictions again", "metric again", "version again"} <= {finding.name for finding in certificate.findings}


def test_a_quick_proof_asks_the_artifact_and_trains_nothing(home: Path) -> None:
    certificate = proof(home, quick=True)
    assert certificate.passed, failed(certificate)
    assert "artifact predicts" in {finding.name for finding in certificate.findings}


@pytest.mark.parametrize("name", ["weights.safetensors", "reference.safetensors", "model.json", "manifest.json"])
def test_one_flipped_byte_of_an_artifact_is_named_with_both_digests(home: Path, name: str) -> None:
    flip(records.locate(version().artifact) / name)
    certificate = proof(home, quick=True)
    assert not certificate.passed
    assert "artifact" in failed(certificate)
    if name.endswith("safetensors"):
        assert name in failed(certificate)["artifact"]
        assert "expected" in failed(certificate)["artifact"]


def test_one_flipped_byte_of_the_data_is_refused(home: Path) -> None:
    (path,) = (home / "data").glob("*.parquet")
    flip(path)
    certificate = proof(home, quick=True)
    assert not certificate.passed
    assert "data" in failed(certificate)


def test_one_flipped_byte_of_the_predictions_is_refused(home: Path) -> None:
    flip(records.locate(version().predictions))
    certificate = proof(home, quick=True)
    assert not certificate.passed
    assert "stored predictions" in failed(certificate)


def test_a_report_with_a_better_number_is_refused(home: Path) -> None:
    path = home / "reports" / TASK / "gru" / version().version / "report.json"
    document = json.loads(path.read_text())
    row = next(row for row in document["table"] if row["entry"] == "gru" and row["metric"] == "qlike" and row["horizon"] == "all")
    row["value"] *= 0.9
    path.write_text(json.dumps(document))
    certificate = proof(home, quick=True)
    assert not certificate.passed
    assert "qlike" in failed(certificate)["stored predictions"]


def test_the_command_leaves_a_certificate_and_its_exit_code_tells(home: Path) -> None:
    done = CliRunner().invoke(app, ["verify", f"{TASK}-gru", version().version, "--quick"])
    assert done.exit_code == 0, done.output
    report = home / "reports" / TASK / "gru" / version().version
    assert certificates.read(report).passed
    flip(records.locate(version().artifact) / "weights.safetensors")
    done = CliRunner().invoke(app, ["verify", f"{TASK}-gru", version().version, "--quick"])
    assert done.exit_code == 1
    assert not certificates.read(report).passed
