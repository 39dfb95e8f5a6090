"""Registered ids: embedded data, user files in every form, SQL, and what a settings file may not do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market_frames import WEEK, bars, closes

from finml_models import datasets
from finml_models.core.errors import DataError, UnknownName
from finml_models.datasets.market.snapshot import snapshot

Settings = Callable[[str], Path]

CSV = """
[datasets.mine]
source = "csv"
path = "mine.csv"
"""


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)


def rows() -> pd.DataFrame:
    return pd.concat([bars("A"), bars("NA", first=7.0)], ignore_index=True)


@pytest.mark.parametrize(
    ("dataset_id", "count", "entities", "first", "last"),
    [
        ("us_indices", 2 * 5031, 2, "1999-01-04", "2018-12-31"),
        ("us_large_caps", 20 * 4529, 20, "2005-01-03", "2022-12-28"),
        ("us_market", 2 * 5031 + 20 * 4529, 22, "1999-01-04", "2022-12-28"),
    ],
)
def test_embedded_data_hold_every_session_of_their_span(dataset_id: str, count: int, entities: int, first: str, last: str) -> None:
    data = datasets.load(dataset_id)
    assert (len(data.frame), data.frame["entity"].nunique()) == (count, entities)
    assert (data.frame["time"].min(), data.frame["time"].max()) == (pd.Timestamp(first), pd.Timestamp(last))
    assert (data.repairs.rows_in, data.repairs.dropped, data.repairs.missing_sessions) == (count, 0, 0)


def test_embedded_values_are_those_of_the_installed_packages() -> None:
    from arch.data import nasdaq, sp500
    from skfolio.datasets import load_sp500_dataset

    frame = datasets.load("us_market").frame.set_index(["entity", "time"])
    for name, source in (("SP500", sp500.load()), ("NASDAQ", nasdaq.load())):
        np.testing.assert_array_equal(frame.loc[name][["open", "high", "low", "close", "volume"]], source[["Open", "High", "Low", "Close", "Volume"]])
    for name, close in load_sp500_dataset().loc["2005":].items():
        np.testing.assert_array_equal(frame.loc[str(name)]["close"], close)
        assert frame.loc[str(name)][["open", "high", "low", "volume"]].isna().all(axis=None)


def test_oddities_of_the_embedded_data_are_reported() -> None:
    repairs = datasets.load("us_market").repairs
    assert repairs.zero_volumes == 2
    assert [(s.entity, str(s.time)) for s in repairs.suspected_splits] == [("AMD", "2016-04-22")]


def test_loading_twice_gives_the_same_content() -> None:
    first, second = datasets.load("us_indices"), datasets.load("us_indices")
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert first.snapshot == second.snapshot


def test_a_default_exists_for_every_kind() -> None:
    known = datasets.datasets()
    assert all(known[name].kind == kind for kind, name in datasets.DEFAULTS.items())


def test_the_snapshot_sees_one_value_and_no_row_order() -> None:
    frame = datasets.load("us_indices").frame
    before = snapshot(frame)
    assert snapshot(frame.sample(frac=1, random_state=0)) == before
    for column in ("open", "close", "volume"):
        touched = frame.copy()
        touched.loc[1234, column] = np.nextafter(touched.loc[1234, column], np.inf)
        assert snapshot(touched) != before
    assert snapshot(frame.assign(entity=frame["entity"].str.lower())) != before
    assert snapshot(frame.iloc[:-1]) != before
    assert snapshot(frame.assign(known_at=frame["known_at"] + pd.Timedelta(hours=1))) != before


def test_long_and_wide_csv_parquet_and_sql_give_the_same_frame(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.concat([closes("A"), closes("NA", first=7.1).iloc[1:]], ignore_index=True)  # NA is a ticker, and listed a day later
    wide = table.set_index(["time", "entity"])["close"].unstack().reset_index()  # noqa: PD010 - pivot_table would aggregate
    folder = settings("""
        [datasets]
        long_csv = {source = "csv", path = "long.csv.gz", columns = {entity = "ticker", time = "date"}}
        wide_csv = {source = "csv", path = "wide.csv", layout = "wide", separator = ";"}
        long_parquet = {source = "parquet", path = "long.parquet"}
        wide_parquet = {source = "parquet", path = "wide.parquet", layout = "wide"}
        sql = {source = "sql", url_env = "TEST_MARKET_URL", query = "SELECT entity, time, close FROM bars ORDER BY close"}
    """)
    table.rename(columns={"entity": "ticker", "time": "date"}).to_csv(folder / "long.csv.gz", index=False)
    wide.to_csv(folder / "wide.csv", index=False, sep=";")
    table.to_parquet(folder / "long.parquet")
    wide.to_parquet(folder / "wide.parquet")
    with sqlite3.connect(folder / "bars.sqlite") as connection:
        table.assign(time=table["time"].dt.strftime("%Y-%m-%d")).to_sql("bars", connection, index=False)
    monkeypatch.setenv("TEST_MARKET_URL", f"sqlite:///{folder / 'bars.sqlite'}")
    loaded = {name: datasets.load(name) for name in ("long_csv", "wide_csv", "long_parquet", "wide_parquet", "sql")}
    for data in loaded.values():
        pd.testing.assert_frame_equal(data.frame, loaded["long_csv"].frame)
        assert data.repairs.dropped == 0
    assert len({data.snapshot for data in loaded.values()}) == 1
    assert loaded["sql"].frame["close"].tolist() == table["close"].tolist()
    assert set(loaded["sql"].frame["entity"]) == {"A", "NA"}


def test_a_blank_inside_a_wide_column_is_a_missing_price_and_a_late_listing_is_not(settings: Settings) -> None:
    folder = settings(CSV + 'layout = "wide"\n')
    (folder / "mine.csv").write_text("time,OLD,NEW\n2020-01-06,1,\n2020-01-07,,5\n2020-01-08,3,6\n")
    data = datasets.load("mine")
    assert (data.repairs.rows_in, data.repairs.missing_prices, data.repairs.missing_sessions) == (5, 1, 1)


def test_a_refusal_names_the_dataset_and_the_row_of_the_file(settings: Settings) -> None:
    folder = settings(CSV)
    bars().assign(close=[100, 101, -3, 103, 104]).to_csv(folder / "mine.csv", index=False)
    with pytest.raises(DataError, match=r"dataset 'mine': row 2, column `close`, value -3.0 \(A, 2020-01-08\)"):
        datasets.load("mine")


def test_rules_of_the_settings_file_apply(settings: Settings) -> None:
    folder = settings(CSV + 'rules = {bad_prices = "drop"}\n')
    bars().assign(close=[100, 101, -3, 103, 104]).to_csv(folder / "mine.csv", index=False)
    assert datasets.load("mine").repairs.bad_prices == 1


def test_an_adjusted_close_can_be_taken_alone(settings: Settings) -> None:
    folder = settings(CSV + 'columns = {close = "adj", open = false, high = false, low = false}\n')
    bars().assign(adj=[1.0, 2, 3, 4, 5]).to_csv(folder / "mine.csv", index=False)
    frame = datasets.load("mine").frame
    assert frame["close"].tolist() == [1, 2, 3, 4, 5]
    assert frame["high"].isna().all()
    assert frame["volume"].notna().all()


def test_local_times_of_another_zone_become_session_dates(settings: Settings) -> None:
    folder = settings(CSV + 'time_zone = "Asia/Tokyo"\n')
    tokyo = (WEEK + pd.Timedelta(hours=21)).tz_localize("UTC").tz_convert("Asia/Tokyo").tz_localize(None)  # six in the morning of the next day
    closes().assign(time=tokyo).to_csv(folder / "mine.csv", index=False)
    assert datasets.load("mine").frame["time"].tolist() == list(WEEK)


def test_a_mapped_column_that_the_source_lacks_is_named(settings: Settings) -> None:
    folder = settings(CSV + 'columns = {volume = "vol"}\n')
    bars().to_csv(folder / "mine.csv", index=False)
    with pytest.raises(DataError, match=r"volume = 'vol'; it has \['entity', 'time', 'open'.*correct `columns`"):
        datasets.load("mine")


@pytest.mark.parametrize("path", ["../mine.csv", "/etc/hostname", "a/../../mine.csv", "link.csv"])
def test_a_path_may_not_leave_the_folder(settings: Settings, tmp_path: Path, path: str) -> None:
    folder = settings(f'[datasets.mine]\nsource = "csv"\npath = "{path}"\n')
    rows().to_csv(tmp_path / "mine.csv", index=False)
    (folder / "link.csv").symlink_to(tmp_path / "mine.csv")
    with pytest.raises(DataError, match=r"leaves .*put the file beside the settings file"):
        datasets.load("mine")


def test_a_missing_file_is_named(settings: Settings) -> None:
    settings(CSV)
    with pytest.raises(DataError, match=r"no file at .*mine.csv: put it there"):
        datasets.load("mine")


@pytest.mark.parametrize(("name", "source"), [("mine.csv", "csv"), ("mine.csv.gz", "csv"), ("mine.parquet", "parquet")])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x80 not a table", b"PAR1 torn"])
def test_a_torn_file_is_refused(settings: Settings, name: str, source: str, content: bytes) -> None:
    folder = settings(f'[datasets.mine]\nsource = "{source}"\npath = "{name}"\n')
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="dataset 'mine'"):
        datasets.load("mine")


SQL = """
[datasets.mine]
source = "sql"
url_env = "TEST_MARKET_URL"
query = "{query}"
"""


def test_sql_without_its_environment_variable_says_which(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_MARKET_URL", raising=False)
    settings(SQL.format(query="SELECT 1"))
    with pytest.raises(DataError, match="environment variable TEST_MARKET_URL is not set: put the database's SQLAlchemy URL there"):
        datasets.load("mine")


@pytest.mark.parametrize("query", ["DELETE FROM bars", "SELECT 1; DROP TABLE bars", "", "UPDATE bars SET close = 1", "selection"])
def test_only_one_select_is_accepted(settings: Settings, query: str) -> None:
    settings(SQL.format(query=query))
    with pytest.raises(DataError, match=r"datasets.mine.*one SELECT"):
        datasets.datasets()


def test_a_query_that_would_write_changes_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bars.sqlite"
    with sqlite3.connect(file) as connection:
        rows().to_sql("bars", connection, index=False)
    monkeypatch.setenv("TEST_MARKET_URL", f"sqlite:///{file}")
    settings(SQL.format(query="WITH old AS (SELECT 1) DELETE FROM bars RETURNING entity, time, close"))
    with pytest.raises(DataError, match="did not answer the query: attempt to write a readonly database"):
        datasets.load("mine")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM bars").fetchone() == (10,)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.sqlite", "nonsense://me:hunter2@host/db", "postgresql+nodriver://me:hunter2@127.0.0.1/db", "hunter2"]
)
def test_a_database_that_cannot_be_reached_is_an_error_without_the_url(settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TEST_MARKET_URL", url)
    settings(SQL.format(query="SELECT entity, time, close FROM bars"))
    with pytest.raises(DataError, match="the database of TEST_MARKET_URL did not answer") as caught:
        datasets.load("mine")
    assert "hunter2" not in str(caught.value)


def test_a_url_in_the_settings_file_is_refused_and_not_repeated(settings: Settings) -> None:
    settings(SQL.format(query="SELECT 1") + 'url = "postgresql://me:hunter2@host/db"\n')
    with pytest.raises(DataError, match=r"datasets.mine.sql.url") as caught:
        datasets.datasets()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("dataset_id", ["Mine", "1st", "a-b", "../x", "x" * 65, "", "mine\\n"])
def test_an_id_that_is_no_id_is_refused(settings: Settings, dataset_id: str) -> None:
    settings(f'[datasets."{dataset_id}"]\nsource = "csv"\npath = "mine.csv"\n')
    with pytest.raises(DataError, match="pattern"):
        datasets.datasets()


def test_an_embedded_id_may_not_be_shadowed(settings: Settings) -> None:
    settings('[datasets.us_market]\nsource = "csv"\npath = "mine.csv"\n')
    with pytest.raises(DataError, match=r"the id\(s\) us_market are embedded datasets: choose other ids"):
        datasets.load("us_market")


@pytest.mark.parametrize(("text", "problem"), [("[datasets", "is not TOML"), ('[datasets.a]\nsource = "ftp"', "ftp"), ('[datasets.a]\nsource = "csv"', "path")])
def test_a_wrong_settings_file_is_named_with_the_field(settings: Settings, text: str, problem: str) -> None:
    folder = settings(text)
    with pytest.raises(DataError, match=rf"{folder}.*{problem}"):
        datasets.datasets()


def test_an_unknown_id_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"us_markte.*us_market"):
        datasets.load("us_markte")


def test_no_settings_file_is_fine_unless_one_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = {"simulated_loans", "simulated_news", "simulated_orders", "simulated_transactions"}
    embedded = {"us_market", "us_indices", "us_large_caps", "faulted_market"}
    assert {name for name, spec in datasets.datasets().items() if spec.source != "download"} == {*embedded, *simulated}
    assert set(datasets.DEFAULTS.values()) == {"us_market", *simulated}
    monkeypatch.setenv("FINML_DATASETS", str(tmp_path / "absent.toml"))
    with pytest.raises(DataError, match=r"absent.toml, which is not a file"):
        datasets.datasets()


def test_the_examples_of_the_settings_file_are_valid_when_uncommented(settings: Settings) -> None:
    shipped = (Path(__file__).parents[2] / "data" / "datasets.toml").read_text()
    examples = shipped[shipped.index("# [datasets") :]
    settings("\n".join(line.removeprefix("# ") for line in examples.splitlines()))
    market = {"my_bars", "my_adjusted_closes", "my_realised_library", "my_closes", "my_warehouse", "my_download"}
    assert market | {"my_loans", "my_news", "my_orders", "my_transactions", "other_loans"} <= set(datasets.datasets())


def test_88_real_stocks_load_with_their_known_defects_counted(settings: Settings, test_data: Path) -> None:
    folder = settings(CSV.replace("mine.csv", "prices.csv.gz") + 'columns = {entity = "ticker", time = "date"}\n')
    shutil.copy(test_data / "market" / "stocknet_prices.csv.gz", folder / "prices.csv.gz")
    data = datasets.load("mine")
    assert (data.repairs.rows_in, data.repairs.missing_prices, data.repairs.zero_volumes) == (108_592, 3, 111)
    assert (data.repairs.bad_prices, data.repairs.contradictory_bars, data.repairs.exact_duplicates) == (0, 0, 0)
    assert (len(data.frame), data.frame["entity"].nunique()) == (108_589, 88)
    lengths = data.frame["entity"].value_counts()
    assert (lengths["BABA"], lengths["AGFS"], lengths["GMRE"]) == (745, 701, 297)
