"""What is said of a dataset without reading it: never fewer rows than it has, and unchanged only where that is sure."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from finml_models import datasets
from finml_models.core.errors import UnknownName
from finml_models.datasets.extent import COUNTED_BYTES, most_rows, unchanged_since

SETTINGS = """
[datasets.long_file]
source = "csv"
path = "long.csv"

[datasets.wide_file]
source = "csv"
layout = "wide"
path = "wide.csv"
columns = { time = "date" }

[datasets.parquet_file]
source = "parquet"
path = "long.parquet"

[datasets.packed_file]
source = "csv"
path = "long.csv.gz"

[datasets.absent_file]
source = "csv"
path = "absent.csv"

[datasets.query]
source = "sql"
url_env = "SOMEWHERE"
query = "SELECT 1"

[datasets.loans_of_150]
kind = "loans"
source = "simulated"
size = 150

[datasets.accounts_of_150]
kind = "transactions"
source = "simulated"
size = 150
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    days = pd.bdate_range("2020-01-01", periods=40)
    wide = pd.DataFrame({"AAA": 1.0, "BBB": 2.0}, index=days.rename("date"))
    long = wide.reset_index().melt("date", var_name="entity", value_name="close").rename(columns={"date": "time"})
    wide.to_csv(tmp_path / "wide.csv")
    long.to_csv(tmp_path / "long.csv", index=False)
    long.to_csv(tmp_path / "long.csv.gz", index=False)
    long.to_parquet(tmp_path / "long.parquet", index=False)
    (tmp_path / "datasets.toml").write_text(SETTINGS)
    monkeypatch.setenv("FINML_DATASETS", str(tmp_path / "datasets.toml"))
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["long_file", "wide_file", "parquet_file"])
def test_a_file_has_as_many_rows_as_are_counted(name: str) -> None:
    assert most_rows(name) == 80


@pytest.mark.usefixtures("folder")
def test_a_simulator_makes_the_rows_that_it_is_told() -> None:
    assert most_rows("loans_of_150") == 150 >= len(datasets.load("loans_of_150").frame)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["packed_file", "absent_file", "query", "accounts_of_150", "us_market", "simulated_loans"])
def test_nothing_is_said_of_what_would_have_to_be_read(name: str) -> None:
    assert most_rows(name) is None


def test_a_large_file_is_not_counted(folder: Path) -> None:
    with (folder / "long.csv").open("r+b") as file:
        file.truncate(COUNTED_BYTES + 1)
    assert most_rows("long_file") is None


@pytest.mark.usefixtures("folder")
def test_an_unknown_dataset_is_named_with_those_that_come_near() -> None:
    for question in (most_rows, lambda name: unchanged_since(name, datetime.now(UTC))):
        with pytest.raises(UnknownName, match="long_file"):
            question("long_fil")


def test_rows_are_unchanged_since_a_moment_after_their_file_and_its_settings(folder: Path) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    for name in ("datasets.toml", "long.csv"):
        os.utime(folder / name, (before.timestamp() - 60,) * 2)
    assert unchanged_since("long_file", before)
    assert unchanged_since("us_market", before)
    assert not unchanged_since("query", before), "nobody knows of a database"
    os.utime(folder / "long.csv", (before.timestamp() + 60,) * 2)
    assert not unchanged_since("long_file", before)
    assert unchanged_since("us_market", before)
    os.utime(folder / "datasets.toml", (before.timestamp() + 60,) * 2)
    assert not unchanged_since("loans_of_150", before), "another seed may stand there now"
