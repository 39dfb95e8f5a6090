"""Each rule for a defect: refused with row, column, value and remedy, or repaired and counted."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from market_frames import WEEK, bars, closes

from finml_models.core.errors import DataError, UnknownName
from finml_models.datasets.market.clean import COLUMNS, OPTIONAL, clean
from finml_models.datasets.market.policy import Policy
from finml_models.datasets.market.schema import check
from finml_models.datasets.market.sessions import Sessions, last_session, sessions


@pytest.fixture(scope="module")
def new_york() -> Sessions:
    return sessions("XNYS", np.datetime64("2019-12-01", "us"), np.datetime64("2020-12-31", "us"))


def changed(column: str, row: int, value: object, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    frame = bars() if frame is None else frame
    frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
    frame.loc[row, column] = value
    return frame


def test_a_clean_frame_passes_unchanged_and_knows_when_it_became_known(new_york: Sessions) -> None:
    frame, repairs = clean(bars(), policy=Policy.strict(), calendar_sessions=new_york)
    assert list(frame.columns) == [name for name in COLUMNS if name not in OPTIONAL]
    pd.testing.assert_frame_equal(frame.drop(columns="known_at"), bars(), check_dtype=False)
    assert (frame["known_at"] == WEEK + pd.Timedelta(hours=21)).all()  # 16:00 in New York in winter
    assert repairs.notes() == ()
    check(frame)


def test_an_early_close_is_known_earlier() -> None:
    held = sessions("XNYS", np.datetime64("2020-11-01", "us"), np.datetime64("2020-12-31", "us"))
    frame, _ = clean(closes(days=pd.DatetimeIndex(["2020-11-25", "2020-11-27"])), calendar_sessions=held)
    assert frame["known_at"].tolist() == [pd.Timestamp("2020-11-25 21:00"), pd.Timestamp("2020-11-27 18:00")]


def test_without_a_calendar_a_row_is_known_at_the_end_of_its_day() -> None:
    frame, _ = clean(closes(), policy=Policy.strict())
    assert (frame["known_at"] == frame["time"] + pd.Timedelta(days=1)).all()


def test_closes_alone_are_enough() -> None:
    frame, _ = clean(closes())
    assert frame[["open", "high", "low", "volume"]].isna().all(axis=None)
    check(frame)


def test_unsorted_rows_are_sorted_and_counted_in_every_policy() -> None:
    rows = pd.concat([bars("B"), bars("A").iloc[::-1]], ignore_index=True)
    frame, repairs = clean(rows, policy=Policy.strict())
    assert frame["entity"].tolist() == ["A"] * 5 + ["B"] * 5
    assert frame.groupby("entity")["time"].is_monotonic_increasing.all()
    assert repairs.unsorted == 5


def test_an_exact_duplicate_is_dropped_in_files_and_refused_in_requests() -> None:
    rows = pd.concat([bars(), bars().iloc[[2]]], ignore_index=True)
    frame, repairs = clean(rows)
    assert (len(frame), repairs.exact_duplicates) == (5, 1)
    with pytest.raises(DataError, match=r"row 5, column `time`, value 2020-01-08.*repeats an earlier one: send each session once"):
        clean(rows, policy=Policy.strict())


@pytest.mark.parametrize("policy", [Policy(), Policy.strict()])
def test_contradicting_rows_of_one_session_are_always_refused(policy: Policy) -> None:
    rows = pd.concat([bars(), bars().iloc[[2]].assign(close=102.25)], ignore_index=True)
    with pytest.raises(DataError, match=r"row 5, column `close`, value 102.25 \(A, 2020-01-08\): contradicts row 2, which says 102.0: keep the row"):
        clean(rows, policy=policy)


@pytest.mark.parametrize(
    ("column", "value"), [("close", 0.0), ("close", -1.0), ("open", np.inf), ("low", -np.inf), ("high", 0.0), ("volume", -1.0), ("volume", np.inf)]
)
def test_an_impossible_value_is_refused_or_by_policy_dropped(column: str, value: float) -> None:
    rows = changed(column, 3, value)
    with pytest.raises(DataError, match=rf"row 3, column `{column}`, value {value} \(A, 2020-01-09\): prices are positive and finite.*correct the value"):
        clean(rows)
    frame, repairs = clean(rows, policy=Policy(bad_prices="drop"))
    assert (len(frame), repairs.bad_prices, repairs.dropped) == (4, 1, 1)


@pytest.mark.parametrize("column", ["close", "open", "high", "low"])
def test_a_missing_price_is_dropped_in_files_and_refused_in_requests(column: str) -> None:
    rows = changed(column, 1, np.nan)
    _, repairs = clean(rows)
    assert (repairs.missing_prices, repairs.rows_out) == (1, 4)
    with pytest.raises(DataError, match=rf"row 1, column `{column}`, value nan.*a price is missing: give open, high and low"):
        clean(rows, policy=Policy.strict())


def test_zero_volume_is_kept_and_counted() -> None:
    frame, repairs = clean(changed("volume", 1, 0.0))
    assert (len(frame), repairs.zero_volumes) == (5, 1)


@pytest.mark.parametrize(("column", "value"), [("high", 101.5), ("low", 102.1)])
def test_a_contradictory_bar_is_refused_or_by_policy_dropped(column: str, value: float) -> None:
    rows = changed(column, 2, value)
    with pytest.raises(DataError, match=rf"row 2, column `{column}`, value {value} .*the high is the largest.*correct the bar"):
        clean(rows)
    _, repairs = clean(rows, policy=Policy(contradictory_bars="drop"))
    assert repairs.contradictory_bars == 1


@pytest.mark.parametrize(("column", "factor"), [("high", 1 - 5e-7), ("low", 1 + 5e-7)])
def test_a_bar_that_rounding_contradicts_is_widened(column: str, factor: float) -> None:
    rows = bars()
    rows.loc[2, ["open", "high", "low"]] = 102.0
    rows.loc[2, column] = 102.0 * factor
    frame, repairs = clean(rows, policy=Policy.strict())
    assert frame.loc[2, column] == 102.0
    assert repairs.widened_bars == 1


def test_a_row_on_a_holiday_is_dropped_and_counted_or_refused(new_york: Sessions) -> None:
    days = pd.date_range("2020-01-13", "2020-01-24", freq="B", unit="us")  # Monday the 20th: Martin Luther King day
    rows = closes(days=days)
    frame, repairs = clean(rows, policy=Policy(non_session_share=0.2), calendar_sessions=new_york)
    assert pd.Timestamp("2020-01-20") not in set(frame["time"])
    assert (repairs.non_sessions, repairs.missing_sessions) == (1, 0)
    for policy in (Policy(non_sessions="refuse", non_session_share=0.2), Policy()):  # by rule, or 1 of 10 rows is over the share
        with pytest.raises(DataError, match=r"row 5, column `time`, value 2020-01-20.*the exchange was closed.*name the calendar"):
            clean(rows, policy=policy, calendar_sessions=new_york)


def test_gaps_are_counted_never_filled_and_refused_above_the_limit(new_york: Sessions) -> None:
    days = pd.DatetimeIndex(["2020-01-16", "2020-01-21", "2020-01-24", "2020-02-03"])
    frame, repairs = clean(closes(days=days), calendar_sessions=new_york)
    assert len(frame) == 4
    assert repairs.missing_sessions == 1 + 2 + 5  # a holiday is no gap
    gap = repairs.longest_gap
    assert gap is not None
    assert (gap.entity, gap.after, gap.before, gap.sessions) == ("A", date(2020, 1, 24), date(2020, 2, 3), 5)
    with pytest.raises(DataError, match=r"A lacks 5 sessions of XNYS between 2020-01-24 and 2020-02-03, at most 4 may be missing: fill the gap"):
        clean(closes(days=days), policy=Policy(longest_gap=4), calendar_sessions=new_york)


def test_requests_count_gaps_in_weekdays() -> None:
    days = pd.DatetimeIndex(["2020-01-03", "2020-01-06", "2020-01-21"])
    with pytest.raises(DataError, match="A lacks 10 weekdays between 2020-01-06 and 2020-01-21, at most 9"):
        clean(closes(days=days), policy=Policy.strict(longest_gap=9))
    assert clean(closes(days=days), policy=Policy.strict())[1].missing_sessions == 10


def test_a_new_entity_is_no_gap_and_no_split(new_york: Sessions) -> None:
    rows = pd.concat([closes("A", days=WEEK[3:]), closes("B", days=WEEK[:2], first=50.0)], ignore_index=True)
    _, repairs = clean(rows, calendar_sessions=new_york)
    assert (repairs.missing_sessions, repairs.suspected_splits) == (0, ())


@pytest.mark.parametrize("ratio", [2, 3, 1.5, 4, 5, 10, 1 / 2, 1 / 3, 2 / 3, 1 / 10])
def test_a_suspected_split_is_reported_and_left_as_it_is(ratio: float) -> None:
    rows = bars()
    rows.loc[3:, ["open", "high", "low", "close"]] /= ratio
    frame, repairs = clean(rows, policy=Policy.strict())
    assert [(s.entity, s.time, s.ratio) for s in repairs.suspected_splits] == [("A", date(2020, 1, 9), round(ratio, 4))]
    np.testing.assert_array_equal(frame["close"], rows["close"])
    assert any("suspected unadjusted split: A 2020-01-09" in note for note in repairs.notes())


def test_a_fall_during_the_session_is_no_split() -> None:
    rows = bars()
    rows.loc[3:, ["low", "close"]] /= 2  # opened where it had closed, and halved in trading
    rows.loc[4, ["open", "high"]] /= 2
    assert clean(rows)[1].suspected_splits == ()


@pytest.mark.parametrize(
    ("stamp", "expected", "converted"),
    [
        ("{day}", "2020-01-06", 0),
        ("{day}T00:00:00Z", "2020-01-06", 0),  # midnight in the zone it is written in: a date
        ("{day}T00:00:00-05:00", "2020-01-06", 0),
        ("{day} 16:00:00", "2020-01-06", 5),
        ("{day}T21:00:00Z", "2020-01-06", 5),
        ("{day}T02:00:00+00:00", "2020-01-05", 5),  # nine in the evening of the day before in New York
    ],
)
def test_timestamps_become_session_dates_of_the_exchange(stamp: str, expected: str, converted: int) -> None:
    rows = closes().assign(time=[stamp.format(day=f"{day:%Y-%m-%d}") for day in WEEK])
    frame, repairs = clean(rows)
    assert frame["time"].iloc[0] == pd.Timestamp(expected)
    assert repairs.converted_times == converted


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_zoned_columns_and_zoned_texts_say_the_same(zone: str) -> None:
    moments = (WEEK + pd.Timedelta(hours=20)).tz_localize("UTC").tz_convert(zone)
    typed, _ = clean(closes().assign(time=moments))
    written, _ = clean(closes().assign(time=[moment.isoformat() for moment in moments]))
    pd.testing.assert_frame_equal(typed, written)
    assert typed["time"].tolist() == list(WEEK)


def test_daylight_saving_is_one_zone() -> None:
    rows = closes(days=WEEK[:2]).assign(time=["2020-03-06T16:00:00-05:00", "2020-03-09T16:00:00-04:00"])
    assert clean(rows)[0]["time"].tolist() == [pd.Timestamp("2020-03-06"), pd.Timestamp("2020-03-09")]


@pytest.mark.parametrize("other", ["2020-01-07", "2020-01-07T16:00:00+01:00"])
def test_mixed_zones_are_refused(other: str) -> None:
    rows = closes(days=WEEK[:2]).assign(time=["2020-01-06T16:00:00-05:00", other])
    with pytest.raises(DataError, match=r"row 1, column `time`, value '2020-01-07.*write all timestamps in one zone"):
        clean(rows)


@pytest.mark.parametrize("value", ["yesterday", "", "2020-13-01", "0x10", None])
def test_what_is_no_date_is_refused(value: str | None) -> None:
    rows = closes().assign(time=[f"{day:%Y-%m-%d}" for day in WEEK[:4]] + [value])
    with pytest.raises(DataError, match=r"row 4, column `time`.*not a date: give ISO 8601"):
        clean(rows)


def test_numbers_are_no_dates() -> None:
    with pytest.raises(DataError, match=r"`time` holds numbers.*give ISO 8601"):
        clean(closes().assign(time=np.arange(5) + 1_578_268_800))


def test_a_future_session_is_refused() -> None:
    with pytest.raises(DataError, match=r"row 4, column `time`, value 2020-01-10.*lies in the future: send closed sessions only"):
        clean(closes(), now=datetime(2020, 1, 9, 1, tzinfo=UTC))
    assert len(clean(closes(), now=datetime(2020, 1, 9, 11, tzinfo=UTC))[0]) == 5  # it is the 10th already at UTC+14


def test_too_few_rows_are_refused_with_the_entity() -> None:
    rows = pd.concat([closes("A"), closes("B").head(3)], ignore_index=True)
    with pytest.raises(DataError, match=r"entity 'B' has 3 usable row\(s\), 5 are needed: send more history"):
        clean(rows, policy=Policy.strict(minimum_rows=5))


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        clean(closes().head(0))
    with pytest.raises(DataError, match="no row is left of 5"):
        clean(closes().assign(close=np.nan))


@pytest.mark.parametrize("column", ["entity", "time", "close"])
def test_an_absent_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match=rf"column\(s\) {column} missing.*add or map"):
        clean(bars().drop(columns=column))


def test_an_unknown_and_a_doubled_column_are_refused() -> None:
    with pytest.raises(DataError, match=r"column\(s\) adj unexpected"):
        clean(bars().assign(adj=1.0))
    with pytest.raises(DataError, match="occurs twice"):
        clean(pd.concat([bars(), bars()[["close"]]], axis=1))


@pytest.mark.parametrize("column", ["close", "volume"])
def test_text_among_numbers_is_refused(column: str) -> None:
    with pytest.raises(DataError, match=rf"row 2, column `{column}`, value '1,5': not a number: write 1234.5"):
        clean(changed(column, 2, "1,5"))


def test_truth_values_are_no_prices() -> None:
    with pytest.raises(DataError, match="column `volume` holds bool: give numbers"):
        clean(bars().assign(volume=True))


@pytest.mark.parametrize("values", [[10**400, 1, 1, 1, 1], [[1], [2], [3], [4], [5]], list(WEEK), [1j] * 5], ids=["huge", "lists", "times", "complex"])
def test_what_no_float_can_hold_is_refused(values: list[object]) -> None:
    with pytest.raises(DataError, match="column `close`"):
        clean(closes().assign(close=pd.Series(values, dtype=object if isinstance(values[0], int | list) else None)))


def test_a_year_that_no_calendar_covers_is_refused() -> None:
    with pytest.raises(DataError, match=r"0001-01-01, lies before 1885.*correct the year"):
        sessions("XNYS", np.datetime64("0001-01-01", "us"), np.datetime64("2020-12-31", "us"))
    with pytest.raises(DataError, match=r"calendar 'XKRX' does not cover 1950.*name another calendar"):
        sessions("XKRX", np.datetime64("1950-01-01", "us"), np.datetime64("2020-12-31", "us"))


@pytest.mark.parametrize("name", ["", "A\0", "A\nB", "\u202egnp", "x" * 65, None, "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused(name: str | None) -> None:
    rows = closes().assign(entity=pd.Series(["A", "A", name, "A", "A"], dtype=object))
    with pytest.raises(DataError, match=r"row 2, column `entity`.*1 to 64 printable characters"):
        clean(rows)


@pytest.mark.parametrize("name", ["BRK.B", "<script>", "'; DROP TABLE bars", "日経平均", "🚀", "NA"])
def test_any_printable_name_is_a_name(name: str) -> None:
    assert set(clean(closes(name))[0]["entity"]) == {name}


def test_row_numbers_are_those_of_the_input_after_other_rows_were_dropped() -> None:
    rows = changed("close", 4, -1.0, changed("close", 1, np.nan))
    with pytest.raises(DataError, match="row 4, column `close`"):
        clean(rows)


def test_the_input_is_not_touched() -> None:
    rows = pd.concat([bars(), bars().iloc[[0]]]).iloc[::-1]
    before = rows.copy(deep=True)
    clean(rows)
    pd.testing.assert_frame_equal(rows, before)


values = st.one_of(st.just(np.nan), st.sampled_from([0.0, -1.0, np.inf]), st.floats(90, 110))
rows_of = st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 6), values, st.booleans()), min_size=1, max_size=25)


@profile(max_examples=80, deadline=None)
@given(rows_of)
def test_every_row_is_kept_or_counted_and_cleaning_twice_changes_nothing(given_rows: list[tuple[str, int, float, bool]]) -> None:
    entity, day, close, twice = zip(*given_rows, strict=True)
    rows = pd.DataFrame({"entity": entity, "time": pd.Timestamp("2020-01-06").as_unit("us") + pd.to_timedelta(list(day), unit="D"), "close": close})
    rows = pd.concat([rows, rows[list(twice)]], ignore_index=True)
    policy = Policy(bad_prices="drop", minimum_rows=1)
    try:
        frame, repairs = clean(rows, policy=policy)
    except DataError:  # contradicting rows, or an entity without any left
        good = rows[(rows["close"] > 0) & np.isfinite(rows["close"])].drop_duplicates()
        assert set(good["entity"]) < set(rows["entity"]) or good.duplicated(["entity", "time"]).any()
        return
    assert repairs.rows_in == len(rows) == repairs.rows_out + repairs.dropped
    assert repairs.rows_out == len(frame)
    again, repeated = clean(frame.drop(columns="known_at"), policy=Policy.strict())
    pd.testing.assert_frame_equal(again, frame)
    assert (repeated.dropped, repeated.unsorted) == (0, 0)
    check(frame)


def test_the_schema_refuses_what_was_not_cleaned() -> None:
    frame, _ = clean(bars())
    for spoiled in (
        frame.iloc[::-1],
        frame.assign(close=-frame["close"]),
        frame.assign(high=1.0),
        frame.drop(columns="volume"),
        frame.assign(known_at=frame["time"]),
    ):
        with pytest.raises(DataError, match="not a raw market frame"):
            check(spoiled)


def test_an_unknown_calendar_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownName, match=r"XNYX.*XNYS"):
        sessions("XNYX", np.datetime64("2020-01-01", "us"), np.datetime64("2020-12-31", "us"))


def test_the_last_session_is_one_that_has_closed() -> None:
    assert last_session(datetime(2020, 1, 6, 20, 59, tzinfo=UTC)) == date(2020, 1, 3)
    assert last_session(datetime(2020, 1, 6, 21, 0, tzinfo=UTC)) == date(2020, 1, 6)
    assert last_session(datetime(2020, 1, 1, 12, tzinfo=UTC)) == date(2019, 12, 31)


def test_cleaning_a_request_loads_nothing_heavy() -> None:
    code = (
        "import sys, pandas as pd\n"
        "from finml_models.datasets.market.clean import clean\nfrom finml_models.datasets.market.policy import Policy\n"
        "clean(pd.DataFrame({'entity': 'A', 'time': ['2020-01-06', '2020-01-07'], 'close': [1.0, 1.1]}), policy=Policy.strict())\n"
        "print([m for m in ('pandera', 'exchange_calendars', 'arch', 'skfolio', 'sqlalchemy', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_ids_and_specs_load_without_pandas() -> None:
    code = "import sys, finml_models.datasets as d; d.datasets(); print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
