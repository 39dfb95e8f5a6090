"""`finml data`: what is registered, what is fetched, and what a dataset holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from public_files import served
from typer.testing import CliRunner

from finml_cli.main import app

CLOSES = b"time,close\n2020-01-06,10\n2020-01-07,11\n2020-01-07,11\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file with one small dataset of each fate, in a folder of the test's own."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINML_DATASETS", str(data / "datasets.toml"))
    write(data, "")
    return data


@pytest.fixture
def address() -> Iterator[str]:
    """A server on the loopback that answers every path with `CLOSES`."""
    with served(CLOSES) as file:
        yield file.address


def write(folder: Path, more: str) -> None:
    (folder / "closes.csv").write_bytes(CLOSES)
    (folder / "datasets.toml").write_text(
        '[datasets.mine]\nsource = "csv"\npath = "closes.csv"\nentity = "A"\n[datasets.few]\nkind = "loans"\nsource = "simulated"\nsize = 100\n' + more
    )


def download(address: str, *, digest: str = sha256(CLOSES).hexdigest()) -> str:
    return f'[datasets.far]\nsource = "download"\nurl = "{address}/closes.csv"\nsha256 = "{digest}"\nterms = "none: a test"\nentity = "A"\n'


def asked(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["data", *arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_list_marks_each_kinds_default_and_what_is_fetched(folder: Path, address: str) -> None:
    write(folder, download(address))
    found = {one["id"]: one for one in asked("list")}
    assert {one["kind"]: name for name, one in found.items() if one["default"]} == {
        "market": "us_market",
        "loans": "simulated_loans",
        "news": "simulated_news",
        "orders": "simulated_orders",
        "transactions": "simulated_transactions",
    }
    assert (found["mine"]["source"], found["mine"]["fetched"]) == ("csv", None)
    assert (found["far"]["fetched"], found["far"]["terms"]) == (False, "none: a test")
    asked("fetch", "far")
    assert {one["id"]: one["fetched"] for one in asked("list")}["far"] is True


def test_the_table_says_which_files_are_here(folder: Path, address: str) -> None:
    write(folder, download(address))
    assert "download (not fetched)" in CliRunner().invoke(app, ["data", "list"]).stdout.split("far", 1)[1]
    told = CliRunner().invoke(app, ["data", "fetch", "far"])
    assert told.exit_code == 0
    assert sha256(CLOSES).hexdigest() in told.stdout
    assert "Terms: none: a test" in told.stdout
    assert "download (here)" in CliRunner().invoke(app, ["data", "list"]).stdout


def test_a_check_tells_size_span_repairs_content_and_truth(folder: Path) -> None:
    (mine,) = asked("check", "mine")
    assert (mine["state"], mine["rows"], mine["entities"], mine["first"], mine["last"]) == ("ok", 2, 1, "2020-01-06T00:00:00", "2020-01-07T00:00:00")
    assert mine["repairs"] == {"exact_duplicates": 1}
    assert len(mine["snapshot"]) == 64
    assert mine["truth"] is None
    (few,) = asked("check", "few")
    assert (few["rows"], few["repairs"], few["truth"]) == (100, {}, ["p0", "p1"])


def test_a_dataset_that_cannot_be_read_is_exit_code_2_with_the_reason(folder: Path) -> None:
    (folder / "closes.csv").write_text("time,close\n2020-01-06,1\n2020-01-07,-2\n")
    result = CliRunner().invoke(app, ["data", "check", "mine", "--json"])
    assert result.exit_code == 2
    assert "dataset 'mine': row 1, column `close`, value -2.0" in result.stderr
    (mine,) = json.loads(result.stdout)
    assert (mine["state"], mine["rows"]) == ("refused", None)
    assert "value -2.0" in mine["problem"]


def test_a_check_of_all_passes_over_files_that_were_not_fetched(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from finml_models.datasets import registry

    monkeypatch.setattr(registry, "_embedded", dict)
    write(folder, download(address))
    states = {one["id"]: one["state"] for one in asked("check")}
    assert (states["mine"], states["few"], states["far"], states["vix_daily"]) == ("ok", "ok", "not fetched", "not fetched")
    (folder / "closes.csv").write_text("torn")
    result = CliRunner().invoke(app, ["data", "check"])
    assert result.exit_code == 2
    assert "dataset 'mine'" in result.stderr
    assert "far" not in result.stderr


def test_a_file_that_was_not_fetched_fails_its_own_check(folder: Path, address: str) -> None:
    write(folder, download(address))
    result = CliRunner().invoke(app, ["data", "check", "far"])
    assert result.exit_code == 2
    assert "run finml data fetch far" in result.stderr


def test_a_file_with_another_hash_is_refused(folder: Path, address: str) -> None:
    write(folder, download(address, digest="f" * 64))
    result = CliRunner().invoke(app, ["data", "fetch", "far"])
    assert result.exit_code == 2
    assert f"holds sha256 {sha256(CLOSES).hexdigest()}, expected {'f' * 64}" in result.stderr
    assert not list((folder / "downloads").glob("*"))


@pytest.mark.parametrize("command", ["fetch", "check"])
def test_an_unknown_id_is_answered_with_near_ones(command: str) -> None:
    result = CliRunner().invoke(app, ["data", command, "us_markte"])
    assert result.exit_code == 2
    assert "did you mean us_market" in result.stderr


def test_what_lies_here_already_is_not_fetched() -> None:
    result = CliRunner().invoke(app, ["data", "fetch", "us_market"])
    assert result.exit_code == 2
    assert "there is nothing to fetch" in result.stderr
