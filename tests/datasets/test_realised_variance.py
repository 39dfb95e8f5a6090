"""Realised variances in market data: whole or not at all, in the right unit, and without a trace where there are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from market_frames import WEEK, bars, closes

from finml_models import datasets
from finml_models.core.errors import DataError
from finml_models.datasets.market.clean import COLUMNS, clean
from finml_models.datasets.market.policy import Policy
from finml_models.datasets.market.schema import check
from finml_models.datasets.market.snapshot import snapshot

Settings = Callable[[str], Path]
MARCH = pd.bdate_range("2020-03-02", periods=60, unit="us")


def realised(entity: str = "A", *values: float) -> pd.DataFrame:
    """A week of bars with a realised variance."""
    return bars(entity).assign(realised_variance=values or (1e-4, 2e-4, 3e-4, 2e-4, 1e-4))


def quarter(daily: float = 0.01, factor: float = 1.0) -> pd.DataFrame:
    """Sixty closes with moves of `daily`, and realised variances `factor` times what they say."""
    moves = np.random.default_rng(3).standard_normal(len(MARCH)) * daily
    return pd.DataFrame({"entity": "A", "time": MARCH, "close": 100 * np.exp(np.cumsum(moves)), "realised_variance": daily**2 * factor})


def test_the_column_is_kept_and_passes_the_schema() -> None:
    frame, repairs = clean(realised(), policy=Policy.strict())
    assert list(frame.columns) == [name for name in COLUMNS if name != "anomaly"]
    assert frame["realised_variance"].tolist() == [1e-4, 2e-4, 3e-4, 2e-4, 1e-4]
    assert repairs.notes() == ()
    check(frame)


def test_an_empty_column_leaves_no_trace() -> None:
    without, _ = clean(bars())
    empty, _ = clean(bars().assign(realised_variance=np.nan), policy=Policy.strict())
    pd.testing.assert_frame_equal(empty, without)
    assert snapshot(empty) == snapshot(without)


def test_one_asset_may_have_it_and_another_not() -> None:
    frame, _ = clean(pd.concat([realised("A"), bars("B")], ignore_index=True), policy=Policy.strict())
    check(frame)
    assert frame.groupby("entity")["realised_variance"].count().to_dict() == {"A": 5, "B": 0}


def test_the_embedded_data_have_the_snapshot_from_before_the_column_existed() -> None:
    data = datasets.load("us_indices")
    assert "realised_variance" not in data.frame
    assert data.snapshot == "2a5cb242f315422bf869e63334a145e78e34b080124d246c21754a41ebc7cb91"


def test_the_snapshot_sees_the_variances_and_their_absence() -> None:
    frame, _ = clean(realised())
    touched = frame.copy()
    touched.loc[2, "realised_variance"] = np.nextafter(touched.loc[2, "realised_variance"], 1)
    assert len({snapshot(frame), snapshot(touched), snapshot(frame.drop(columns="realised_variance"))}) == 3
    assert snapshot(frame.sample(frac=1, random_state=0)) == snapshot(frame)


@pytest.mark.parametrize("value", [0.0, -1e-4, np.inf, -np.inf])
def test_an_impossible_variance_is_refused_or_by_policy_dropped(value: float) -> None:
    rows = realised("A", 1e-4, value, 3e-4, 2e-4, 1e-4)
    for policy in (Policy(), Policy.strict()):
        with pytest.raises(DataError, match=rf"row 1, column `realised_variance`, value {value} \(A, 2020-01-07\): a realised variance is positive.*correct"):
            clean(rows, policy=policy)
    frame, repairs = clean(rows, policy=Policy(bad_variances="drop"))
    assert (len(frame), repairs.bad_variances, repairs.dropped, repairs.bad_prices) == (4, 1, 1, 0)


def test_an_asset_that_has_it_in_part_is_refused() -> None:
    rows = pd.concat([realised("A", 1e-4, np.nan, 3e-4, np.nan, 1e-4), bars("B")], ignore_index=True)
    for policy in (Policy(), Policy.strict()):
        with pytest.raises(DataError, match=r"row 1, column `realised_variance`, value nan \(A, 2020-01-07\).*on all rows of an asset or on none.*2 such row"):
            clean(rows, policy=policy)


def test_by_policy_rows_without_a_variance_are_dropped_and_counted() -> None:
    rows = pd.concat([realised("A", 1e-4, np.nan, 3e-4, np.nan, 1e-4), bars("B")], ignore_index=True)
    frame, repairs = clean(rows, policy=Policy(partial_variances="drop"))
    assert frame["entity"].value_counts().to_dict() == {"A": 3, "B": 5}
    assert (repairs.partial_variances, repairs.dropped, repairs.missing_sessions) == (2, 2, 2)
    assert repairs.rows_in == repairs.rows_out + repairs.dropped
    check(frame)


def test_by_policy_the_variances_of_such_an_asset_are_ignored_and_counted() -> None:
    rows = pd.concat([realised("A", 1e-4, np.nan, 3e-4, np.nan, 1e-4), realised("B")], ignore_index=True)
    frame, repairs = clean(rows, policy=Policy(partial_variances="ignore"))
    assert frame.groupby("entity")["realised_variance"].count().to_dict() == {"A": 0, "B": 5}
    assert (repairs.ignored_variances, repairs.dropped, repairs.rows_out) == (3, 0, 10)
    assert any("3 × ignored variances" in note for note in repairs.notes())
    check(frame)


def test_a_hole_in_a_row_that_another_rule_drops_is_no_hole() -> None:
    rows = realised("A", 1e-4, np.nan, 3e-4, 2e-4, 1e-4)
    rows.loc[1, "close"] = np.nan
    frame, repairs = clean(rows)
    assert (len(frame), repairs.missing_prices, repairs.partial_variances) == (4, 1, 0)


def test_rows_that_differ_in_the_variance_alone_contradict_each_other() -> None:
    rows = pd.concat([realised(), realised().iloc[[2]].assign(realised_variance=4e-4)], ignore_index=True)
    with pytest.raises(DataError, match=r"row 5, column `realised_variance`, value 0.0004 .*contradicts row 2, which says 0.0003"):
        clean(rows)


@pytest.mark.parametrize(
    ("value", "daily"),
    [(0.01, 0.01), (0.04, 0.04), (1.0, 0.01), (252e-4, 0.01), (0.16, 0.01), (1e-6, 0.01)],
    ids=["a volatility", "a large volatility", "per cent squared", "an annual variance", "an annual volatility", "too small"],
)
@pytest.mark.parametrize("policy", [Policy(), Policy.strict()])
def test_a_variance_in_another_unit_is_refused(value: float, daily: float, policy: Policy) -> None:
    with pytest.raises(DataError, match=r"median of A is .*, where its closes say .* a day.*not its volatility, not in per cent, not annualised"):
        clean(quarter(daily).assign(realised_variance=value), policy=policy)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_a_variance_in_the_right_unit_passes(factor: float) -> None:
    assert clean(quarter(factor=factor), policy=Policy.strict())[0]["realised_variance"].notna().all()


def test_the_plausible_factor_is_the_policys() -> None:
    rows = quarter(factor=60.0)
    assert len(clean(rows, policy=Policy(variance_scale=200))[0]) == 60
    with pytest.raises(DataError, match="a factor of 10 is"):
        clean(rows)


def test_a_split_does_not_make_the_unit_wrong() -> None:
    rows = quarter()
    rows.loc[30:, "close"] /= 10
    assert len(clean(rows, policy=Policy.strict())[1].suspected_splits) == 1


def test_a_price_that_stands_still_or_a_short_history_cannot_be_judged() -> None:
    assert len(clean(quarter().assign(close=100.0))[0]) == 60
    assert len(clean(quarter(factor=1000.0).head(22))[0]) == 22
    with pytest.raises(DataError, match="where its closes say"):
        clean(quarter(factor=1000.0).head(23))


def test_each_asset_is_judged_by_its_own_closes() -> None:
    calm, wild = quarter(0.001).assign(entity="CALM"), quarter(0.05).assign(entity="WILD")
    assert len(clean(pd.concat([wild, calm], ignore_index=True))[0]) == 120
    with pytest.raises(DataError, match="the median of CALM"):
        clean(pd.concat([wild, calm.assign(realised_variance=0.05**2)], ignore_index=True))


def test_the_schema_refuses_what_was_not_cleaned() -> None:
    frame, _ = clean(pd.concat([realised("A"), bars("B")], ignore_index=True))
    for row, value in ((1, np.nan), (1, 0.0), (1, np.inf), (7, 1e-4)):
        spoiled = frame.copy()
        spoiled.loc[row, "realised_variance"] = value
        with pytest.raises(DataError, match="not a raw market frame"):
            check(spoiled)


holes = st.lists(st.tuples(st.sampled_from("AB"), st.booleans(), st.sampled_from([1e-4, 3e-4, 0.0, -1.0, np.inf])), min_size=4, max_size=14)


@profile(max_examples=60, deadline=None)
@given(holes, st.sampled_from(["drop", "ignore"]))
def test_every_row_is_kept_or_counted_and_cleaning_twice_changes_nothing(given_rows: list[tuple[str, bool, float]], action: str) -> None:
    entity, there, value = zip(*given_rows, strict=True)
    rows = pd.DataFrame({"entity": entity, "close": 1.0, "realised_variance": np.where(there, value, np.nan)})
    rows["time"] = MARCH[rows.groupby("entity").cumcount()]
    policy = Policy(bad_variances="drop", partial_variances=action, minimum_rows=1)
    try:
        frame, repairs = clean(rows, policy=policy)
    except DataError:  # an asset whose rows are all bad
        assert (rows["realised_variance"].isin([0.0, -1.0, np.inf])).groupby(rows["entity"]).all().any()
        return
    assert repairs.rows_in == len(rows) == repairs.rows_out + repairs.dropped
    again, repeated = clean(frame.drop(columns="known_at"), policy=Policy.strict())
    pd.testing.assert_frame_equal(again, frame)
    assert (repeated.dropped, repeated.ignored_variances) == (0, 0)
    check(frame)


ONE_ASSET = """
[datasets.mine]
source = "csv"
path = "mine.csv"
entity = "SPX"
columns = {time = "date", close = "close_price", realised_variance = "rv5"}
"""


def one_asset() -> pd.DataFrame:
    """A week of one asset under the column names of the Oxford-Man library, its name left out."""
    names = {"time": "date", "close": "close_price", "realised_variance": "rv5"}
    table = closes().assign(realised_variance=[1e-4, 2e-4, 3e-4, 2e-4, 1e-4]).rename(columns=names).drop(columns="entity")
    return table.assign(open_price=99.5, nobs=1554)


@pytest.mark.parametrize("form", ["{:%Y-%m-%d}", "{:%Y-%m-%d 00:00:00+00:00}"], ids=["dates", "midnights in UTC"])
def test_a_file_of_one_asset_is_registered_under_a_name(settings: Settings, form: str) -> None:
    folder = settings(ONE_ASSET)
    one_asset().assign(date=[form.format(day) for day in WEEK]).to_csv(folder / "mine.csv", index=False)
    data = datasets.load("mine")
    assert set(data.frame["entity"]) == {"SPX"}
    assert data.frame["time"].tolist() == list(WEEK)
    assert data.frame["realised_variance"].tolist() == [1e-4, 2e-4, 3e-4, 2e-4, 1e-4]
    assert data.frame["open"].isna().all()
    assert (data.repairs.dropped, data.repairs.converted_times) == (0, 0)


def test_csv_parquet_and_sql_of_one_asset_give_the_same_snapshot(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    same = 'entity = "SPX", columns = {time = "date", close = "close_price", realised_variance = "rv5"}'
    sources = {
        "text": 'source = "csv", path = "mine.csv"',
        "parquet": 'source = "parquet", path = "mine.parquet"',
        "sql": 'source = "sql", url_env = "TEST_MARKET_URL", query = "SELECT date, close_price, rv5 FROM spx"',
    }
    folder = settings("[datasets]\n" + "\n".join(f"{name} = {{{source}, {same}}}" for name, source in sources.items()))
    table = one_asset()
    table.to_csv(folder / "mine.csv", index=False)
    table.to_parquet(folder / "mine.parquet")
    with sqlite3.connect(folder / "mine.sqlite") as connection:
        table.assign(date=table["date"].dt.strftime("%Y-%m-%d")).to_sql("spx", connection, index=False)
    monkeypatch.setenv("TEST_MARKET_URL", f"sqlite:///{folder / 'mine.sqlite'}")
    assert len({datasets.load(name).snapshot for name in sources}) == 1


def test_a_file_of_two_assets_under_one_name_is_refused(settings: Settings) -> None:
    folder = settings(ONE_ASSET)
    pd.concat([one_asset(), one_asset().assign(close_price=7.0)]).to_csv(folder / "mine.csv", index=False)
    with pytest.raises(DataError, match=r"column `close`, value .* \(SPX, 2020-01-06\): contradicts row 0"):
        datasets.load("mine")


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ('layout = "wide"', r"entity names the one asset of a long source.*leave it out"),
        ('columns = {entity = "symbol"}', r"entity and columns.entity are both given: name the one asset"),
    ],
)
def test_a_name_for_one_asset_beside_names_of_several_is_refused(settings: Settings, extra: str, problem: str) -> None:
    settings(f'[datasets.mine]\nsource = "csv"\npath = "mine.csv"\nentity = "SPX"\n{extra}\n')
    with pytest.raises(DataError, match=problem):
        datasets.datasets()


def test_embedded_data_take_no_name(settings: Settings) -> None:
    settings('[datasets.mine]\nsource = "embedded"\nparts = ["us_indices"]\nentity = "SPX"\n')
    with pytest.raises(DataError, match=r"mine.embedded.entity: Extra inputs"):
        datasets.datasets()


def test_a_source_without_names_is_told_about_the_field(settings: Settings) -> None:
    folder = settings(ONE_ASSET.replace('entity = "SPX"\n', ""))
    one_asset().to_csv(folder / "mine.csv", index=False)
    with pytest.raises(DataError, match=r"entity = 'entity'; it has .*or name its one asset in `entity`"):
        datasets.load("mine")


def test_a_column_of_this_name_is_read_and_false_leaves_it_out(settings: Settings) -> None:
    folder = settings("""
        [datasets]
        with = {source = "csv", path = "mine.csv"}
        without = {source = "csv", path = "mine.csv", columns = {realised_variance = false}}
    """)
    realised().to_csv(folder / "mine.csv", index=False)
    assert datasets.load("with").frame["realised_variance"].sum() == pytest.approx(9e-4)
    assert "realised_variance" not in datasets.load("without").frame
