"""Tables of loans, news, orders and transactions from files and SQL: what is read, what is repaired and counted, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_models import datasets
from finml_models.core.errors import DataError
from finml_models.datasets import spec
from finml_models.datasets.records import READINGS
from finml_models.datasets.registry import SIZES

Settings = Callable[[str], Path]
Load = Callable[..., datasets.Dataset]
KINDS = ("loans", "news", "orders", "transactions")
TABLES = """
[datasets]
of_csv = {kind = "KIND", source = "csv", path = "rows.csv.gz", separator = ";"}
of_parquet = {kind = "KIND", source = "parquet", path = "rows.parquet"}
of_sql = {kind = "KIND", source = "sql", url_env = "TEST_RECORDS_URL", query = "SELECT * FROM records ORDER BY random()"}
made = {kind = "KIND", source = "simulated", seed = 3, size = 100}
"""


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mine(settings: Settings) -> Load:
    """Loads a frame as a CSV file of some kind, with more lines in its table of the settings file."""

    def load(kind: str, frame: pd.DataFrame, more: str = "") -> datasets.Dataset:
        folder = settings(f'[datasets.mine]\nkind = "{kind}"\nsource = "csv"\npath = "mine.csv"\n{more}\n')
        frame.to_csv(folder / "mine.csv", index=False)
        return datasets.load("mine")

    return load


def rows(kind: str) -> pd.DataFrame:
    """A hundred loans, texts or orders, or the transactions of a hundred accounts, without a defect."""
    made = import_module(f"finml_models.datasets.{kind}.synthetic").generate(seed=3, **{SIZES[kind]: 100})
    return made.frame


def loans() -> pd.DataFrame:
    return rows("loans")


def news() -> pd.DataFrame:
    times = pd.to_datetime(["2024-01-02 08:00", "2024-01-02 09:30", "2024-01-03 07:15"])
    return pd.DataFrame(
        {"entity": ["a", "b", "c"], "time": times, "text": ["Profit rose.", "Costs rose.", "A meeting."], "label": ["positive", "negative", None]}
    )


def test_a_kind_of_records_is_known_wherever_it_must_be() -> None:
    assert set(READINGS) == set(SIZES) == set(spec.KINDS) - {"market"} == set(datasets.DEFAULTS) - {"market"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_csv_parquet_and_sql_give_the_rows_that_the_simulator_made(kind: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows(kind)
    folder = settings(TABLES.replace("KIND", kind))
    frame.to_csv(folder / "rows.csv.gz", index=False, sep=";")
    frame.to_parquet(folder / "rows.parquet")
    with sqlite3.connect(folder / "records.sqlite") as connection:
        frame.to_sql("records", connection, index=False)
    monkeypatch.setenv("TEST_RECORDS_URL", f"sqlite:///{folder / 'records.sqlite'}")
    made = datasets.load("made")
    for name in ("of_csv", "of_parquet", "of_sql"):
        data = datasets.load(name)
        pd.testing.assert_frame_equal(data.frame, made.frame, check_exact=True)
        assert data.snapshot == made.snapshot
        assert data.truth is None
        assert set(data.repairs.counts()) <= {"unsorted"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_dataset_follows_its_seed_and_size(kind: str, settings: Settings) -> None:
    settings(f"""
        [datasets]
        first = {{kind = "{kind}", source = "simulated", seed = 1, size = 120}}
        again = {{kind = "{kind}", source = "simulated", seed = 1, size = 120}}
        other = {{kind = "{kind}", source = "simulated", seed = 2, size = 120}}
    """)
    first, again, other = (datasets.load(name) for name in ("first", "again", "other"))
    assert first.frame["entity"].nunique() == 120
    assert first.snapshot == again.snapshot != other.snapshot


def test_columns_are_mapped_and_what_may_be_missing_stays_empty(mine: Load) -> None:
    frame = loans().drop(columns=["savings", "outcome_at", "known_at"]).rename(columns={"entity": "id", "time": "decided", "income": "gross"})
    frame = frame.assign(branch="north", region="centre")
    data = mine("loans", frame, 'columns = {entity = "id", time = "decided", income = "gross", region = false}')
    assert data.frame["savings"].isna().all()
    assert data.frame["region"].isna().all()
    assert "branch" not in data.frame.columns
    assert data.frame["income"].tolist() == frame["gross"].tolist()
    assert (data.frame["known_at"] == data.frame["time"]).all()
    expected = data.frame["time"] + pd.DateOffset(months=12)
    assert (data.frame["outcome_at"] == expected).all()


def test_a_column_that_every_row_needs_is_asked_for(mine: Load) -> None:
    with pytest.raises(
        DataError, match=r"dataset 'mine': column\(s\) not in the source: income = 'income', term_months = 'term_months'; it has .*correct `columns`"
    ):
        mine("loans", loans().drop(columns=["income", "term_months"]))


def test_a_mapped_column_that_the_source_lacks_is_named_even_where_it_may_be_empty(mine: Load) -> None:
    with pytest.raises(DataError, match=r"savings = 'cash'"):
        mine("loans", loans(), 'columns = {savings = "cash"}')


def test_a_name_that_the_kind_does_not_have_is_refused_with_those_that_it_has(mine: Load) -> None:
    with pytest.raises(DataError, match=r"columns: incme are no columns of loans, which has entity, time, income,"):
        mine("loans", loans(), 'columns = {incme = "income"}')


@pytest.mark.parametrize(("column", "kind"), [("income", "loans"), ("time", "loans"), ("entity", "orders"), ("interval", "orders"), ("text", "news")])
def test_a_missing_value_is_refused_with_its_row_and_column_or_its_row_dropped(column: str, kind: str, mine: Load) -> None:
    frame = news() if kind == "news" else rows(kind)
    at = len(frame) - 1  # the last row of an order: what is left still counts its intervals
    frame = frame.astype({column: object})
    frame.loc[at, column] = None
    with pytest.raises(DataError, match=rf"row {at}, column `{column}`: no value, and every row needs one: .*\(1 such row\(s\)\)"):
        mine(kind, frame)
    data = mine(kind, frame, 'rules = {missing_values = "drop"}')
    assert (data.repairs.rows_in, data.repairs.rows_out) == (at + 1, at)
    assert data.repairs.counts() == {"missing_values": 1}


def test_a_table_without_one_whole_row_says_so(mine: Load) -> None:
    with pytest.raises(DataError, match=r"no row of 100 has a value in each of entity, time, income"):
        mine("loans", loans().assign(income=np.nan), 'rules = {missing_values = "drop"}')


def test_an_empty_table_says_so(mine: Load) -> None:
    with pytest.raises(DataError, match="the source has no rows"):
        mine("loans", loans().iloc[:0])


def test_exact_duplicates_are_dropped_and_counted_or_refused(mine: Load) -> None:
    frame = pd.concat([loans(), loans().iloc[[7, 9]]], ignore_index=True)
    data = mine("loans", frame)
    assert data.repairs.exact_duplicates == 2
    pd.testing.assert_frame_equal(data.frame, mine("loans", loans()).frame)
    with pytest.raises(DataError, match=r"row 100 \(A0000008, .*\) repeats an earlier one: leave it out \(2 such row"):
        mine("loans", frame, 'rules = {exact_duplicates = "refuse"}')


def test_two_rows_of_one_loan_that_differ_are_refused(mine: Load) -> None:
    frame = pd.concat([loans(), loans().iloc[[7]].assign(income=1.0)], ignore_index=True)
    with pytest.raises(DataError, match=r"row 100, column `income`, value '1.0' \(A0000008, .*\): contradicts row 7, which says"):
        mine("loans", frame)


def test_rows_in_any_order_are_sorted_and_counted(mine: Load) -> None:
    data = mine("orders", rows("orders").sample(frac=1, random_state=0))
    assert data.repairs.counts().keys() == {"unsorted"}
    assert data.snapshot == mine("orders", rows("orders")).snapshot


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("income", "a lot", r"row 5, column `income`, value 'a lot': not a number"),
        ("income", -1.0, r"'column': 'income'.*'index': 5, 'failure_case': -1.0"),
        ("debt_to_income", 31.0, r"'column': 'debt_to_income'.*'index': 5"),
        ("employment", "astronaut", r"'column': 'employment'.*'index': 5, 'failure_case': 'astronaut'"),
        ("time", "soon", r"row 5, column `time`, value 'soon': not a date"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_row_of_the_file(column: str, value: object, problem: str, mine: Load) -> None:
    frame = loans().astype({column: object})
    frame.loc[5, column] = value
    with pytest.raises(DataError, match=problem):
        mine("loans", frame)


def test_numbers_of_intervals_are_whole(mine: Load) -> None:
    frame = rows("orders").astype({"interval": float})
    frame.loc[2, "interval"] = 2.5
    with pytest.raises(DataError, match=r"row 2, column `interval`, value 2.5: a whole number is needed"):
        mine("orders", frame)


def test_outcomes_may_be_written_as_true_and_false(mine: Load) -> None:
    frame = loans()
    assert frame["defaulted"].isna().any()
    spoken = frame.assign(defaulted=frame["defaulted"].map({1.0: True, 0.0: False}))
    assert mine("loans", spoken).snapshot == mine("loans", frame).snapshot


def test_a_query_that_names_a_column_twice_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings('[datasets.mine]\nkind = "loans"\nsource = "sql"\nurl_env = "TEST_RECORDS_URL"\nquery = "SELECT *, income FROM loans"\n')
    with sqlite3.connect(folder / "records.sqlite") as connection:
        loans().to_sql("loans", connection, index=False)
    monkeypatch.setenv("TEST_RECORDS_URL", f"sqlite:///{folder / 'records.sqlite'}")
    with pytest.raises(DataError, match=r"column\(s\) income occur twice in the source"):
        datasets.load("mine")


def test_the_words_of_news_pass_the_rules_of_news(mine: Load) -> None:
    frame = news().assign(label=["Positive", " negative ", None], text=["Profit  rose.", "Costs rose.", "Costs rose."])
    data = mine("news", frame)
    assert data.frame["label"].tolist() == ["positive", "negative"]
    assert data.frame["text"].tolist() == ["Profit rose.", "Costs rose."]
    assert data.repairs.counts() == {"copies": 1}
    assert (data.repairs.rows_in, data.repairs.rows_out) == (3, 2)


def test_unlabelled_news_can_be_read(mine: Load) -> None:
    assert "label" not in mine("news", news().drop(columns="label")).frame.columns


def test_moments_of_news_become_utc(mine: Load) -> None:
    aware = news().assign(time=news()["time"].dt.tz_localize("America/New_York"))
    data = mine("news", aware)
    assert data.frame["time"].tolist() == [pd.Timestamp(moment) for moment in ("2024-01-02 13:00", "2024-01-02 14:30", "2024-01-03 12:15")]
    assert data.repairs.converted_times == 3
    assert mine("news", news(), 'time_zone = "America/New_York"').snapshot == data.snapshot
    assert mine("news", news()).frame["time"].tolist() == news()["time"].tolist()


def test_news_in_another_zone_than_utc_is_refused(mine: Load) -> None:
    with pytest.raises(DataError, match=r"clock = 'Asia/Tokyo': times of news are kept in UTC: leave it out"):
        mine("news", news(), 'clock = "Asia/Tokyo"')


def test_moments_of_orders_with_a_zone_need_the_zone_of_the_exchange(mine: Load) -> None:
    frame = rows("orders")
    aware = frame.assign(**{name: frame[name].dt.tz_localize("America/New_York").dt.tz_convert("UTC") for name in ("time", "known_at")})
    with pytest.raises(DataError, match=r"row 0, column `time`, value .*\+00:00': a timestamp with a zone, .*name it in `clock`"):
        mine("orders", aware)
    assert mine("orders", aware, 'clock = "America/New_York"').snapshot == mine("orders", frame).snapshot


@pytest.mark.parametrize("more", ['clock = "Mars"', 'time_zone = "New York"'])
def test_a_zone_that_there_is_not_is_refused(more: str, mine: Load) -> None:
    with pytest.raises(DataError, match=r"datasets.mine.csv.(clock|time_zone): .*is no zone of the IANA database: write America/New_York"):
        mine("orders", rows("orders"), more)


def test_an_hour_that_the_clocks_leave_out_is_refused(mine: Load) -> None:
    frame = news().assign(time=["2024-03-10 01:30", "2024-03-10 02:30", "2024-03-10 03:30"])
    with pytest.raises(DataError, match=r"`time` cannot be read as local times of `time_zone` = 'America/New_York'.*02:30"):
        mine("news", frame, 'time_zone = "America/New_York"')


def test_decisions_are_dated_by_their_day(mine: Load) -> None:
    frame = loans()
    data = mine("loans", frame.assign(time=frame["time"] + pd.Timedelta(hours=15)))
    assert data.frame["time"].tolist() == frame["time"].tolist()
    assert data.repairs.converted_times == len(frame)


@pytest.mark.parametrize("path", ["../mine.csv", "/etc/hostname"])
def test_a_path_may_not_leave_the_folder(path: str, settings: Settings) -> None:
    settings(f'[datasets.mine]\nkind = "loans"\nsource = "csv"\npath = "{path}"\n')
    with pytest.raises(DataError, match=r"leaves .*put the file beside the settings file"):
        datasets.load("mine")


def test_a_query_for_records_only_reads(settings: Settings) -> None:
    settings('[datasets.mine]\nkind = "loans"\nsource = "sql"\nurl_env = "TEST_RECORDS_URL"\nquery = "DELETE FROM loans"\n')
    with pytest.raises(DataError, match=r"datasets.mine.sql: .*one SELECT"):
        datasets.datasets()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            'kind = "lones"\nsource = "csv"\npath = "a.csv"',
            r"datasets.mine: a dataset is a table whose `kind` is one of market, loans, news, orders, transactions",
        ),
        ('kind = ["loans"]\nsource = "csv"\npath = "a.csv"', r"datasets.mine: a dataset is a table whose `kind`"),
        ('kind = "loans"\nsource = "embedded"\nparts = ["us_indices"]', r"datasets.mine: .*'embedded'"),
        ('kind = "loans"\nsource = "csv"\npath = "a.csv"\ncalendar = "XNYS"', r"datasets.mine.csv.calendar: Extra inputs"),
        ('kind = "loans"\nsource = "simulated"\nsize = 3', r"datasets.mine.simulated.size: .*100.*got 3"),
        ('source = "simulated"', r"datasets.mine: .*'simulated'"),
    ],
)
def test_a_wrong_kind_source_or_field_is_named_as_it_stands_in_the_file(table: str, problem: str, settings: Settings) -> None:
    settings(f"[datasets.mine]\n{table}\n")
    with pytest.raises(DataError, match=problem):
        datasets.datasets()
