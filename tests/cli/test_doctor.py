"""`finml doctor`: every finding is true, and says what to do."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finml_cli import checks, up
from finml_cli.checks import Check, Status
from finml_cli.main import app


@pytest.mark.usefixtures("home")
def test_every_check_is_reported_as_json() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = [Check.model_validate(item) for item in json.loads(result.stdout)]
    assert len({finding.name for finding in findings}) == len(findings) == len(checks.CHECKS)
    assert all(finding.remedy for finding in findings if finding.status is not Status.OK)
    assert result.exit_code == (1 if any(finding.status is Status.FAIL for finding in findings) else 0)


def test_a_state_folder_that_is_a_file_fails_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FINML_HOME", str(tmp_path / "file"))
    finding = checks.state_folder()
    assert finding.status is Status.FAIL
    assert "FINML_HOME" in finding.remedy
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1


def test_a_network_file_system_is_told_from_a_local_one(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("disk / ext4 rw 0 0\nserver:/export /srv/my\\040data nfs4 rw 0 0\n")
    assert checks.file_system(Path("/srv/my data/finml"), mounts) == "nfs4"
    assert checks.file_system(Path("/srv/other"), mounts) == "ext4"
    assert checks.file_system(Path("/srv/other"), tmp_path / "absent") is None


def test_a_state_folder_on_a_network_file_system_warns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "file_system", lambda folder: "nfs4")
    finding = checks.state_folder()
    assert finding.status is Status.WARN
    assert "FINML_LEDGER_URL" in finding.remedy


def test_a_taken_port_warns_and_says_how_to_take_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(up, "PORTS", {"--port-api": taken})
        finding = checks.ports()
    assert finding.status is Status.WARN
    assert str(taken) in finding.detail
    assert finding.remedy == "finml up --port-api 0"


def test_a_version_that_was_not_tested_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("numpy==0.0.1\n")
    monkeypatch.setattr(checks, "CONSTRAINTS", pinned)
    finding = checks.packages()
    assert finding.status is Status.WARN
    assert "tested: 0.0.1" in finding.detail


@pytest.mark.usefixtures("home")
def test_a_ledger_that_cannot_be_reached_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_LEDGER_URL", "sqlite:////nowhere/at/all/ledger.sqlite")
    assert checks.ledger().status is Status.FAIL


def test_a_wrong_settings_file_of_datasets_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "datasets.toml"
    settings.write_text("[datasets.mine]\nsource = 'nowhere'\n")
    monkeypatch.setenv("FINML_DATASETS", str(settings))
    finding = checks.datasets()
    assert finding.status is Status.FAIL
    assert str(settings) in finding.remedy


def test_telemetry_that_was_switched_on_warns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert checks.telemetry().status is Status.OK
    (home / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: true\n")
    assert checks.telemetry().status is Status.WARN
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "False")
    assert "BentoML" in checks.telemetry().detail
