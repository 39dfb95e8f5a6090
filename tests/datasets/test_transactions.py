"""Simulated transactions: the posterior is calibrated, histories look back only, and rows that are no transactions are refused."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import DataError
from finml_models.datasets.transactions import habits, schema, terminals
from finml_models.datasets.transactions.synthetic import Simulated, generate
from finml_models.datasets.transactions.vocabulary import COLUMNS, MATURITY_DAYS
from finml_models.evaluation.metrics.classification import pr_auc

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return generate()


@pytest.fixture(scope="module")
def frame(simulated: Simulated) -> pd.DataFrame:
    return schema.check(simulated.frame)


def test_a_seed_is_a_world_and_the_default_is_made_in_two_seconds(frame: pd.DataFrame) -> None:
    began = time.process_time()
    again = generate()
    assert time.process_time() - began < 2
    pd.testing.assert_frame_equal(again.frame, frame, check_exact=True)
    assert not generate(seed=1, accounts=100).frame.equals(generate(seed=2, accounts=100).frame)
    assert 60_000 < len(frame) < 110_000
    assert 0.005 < frame["fraud"].mean() < 0.011


def test_a_frame_has_the_documented_columns_and_the_newest_days_have_no_label(frame: pd.DataFrame) -> None:
    assert tuple(frame.columns) == tuple(COLUMNS)
    end = frame["time"].max().ceil("D")
    open_window = frame["time"] + MATURITY_DAYS * DAY > end
    assert frame["fraud"].isna().equals(open_window)
    assert frame.loc[open_window, "reported_at"].notna().any()
    assert frame["reported_at"].max() < end


def test_the_posterior_comes_true_as_often_as_it_says_and_ranks_best(simulated: Simulated, frame: pd.DataFrame) -> None:
    there = frame["fraud"].notna().to_numpy()
    y, p = frame["fraud"].to_numpy()[there], simulated.truth["p1"].to_numpy()[there]
    np.testing.assert_allclose(simulated.truth["p0"] + simulated.truth["p1"], 1, atol=1e-12)
    edges = [0, 1e-3, 1e-2, 0.05, 0.2, 0.5, 0.9, 1.01]
    for low, high in pairwise(edges):
        group = (p >= low) & (p < high)
        error = np.sqrt((p[group] * (1 - p[group])).sum()) / group.sum()
        assert abs(y[group].mean() - p[group].mean()) < 4 * error, low
    assert 0.8 < pr_auc(y, p) < 0.95


def test_each_scenario_has_its_own_manner() -> None:
    rng = np.random.default_rng(0)
    n, places = 20_000, habits.Places.draw(rng, 600, 100)
    people = habits.Accounts.draw(rng, n, places)
    drawn = {}
    for number, state in enumerate(habits.STATES):
        kind, now = np.full(n, number), np.zeros(n)
        terminal = habits.draw_terminal(rng, kind, people.favourites, places)
        amount = habits.draw_amount(rng, kind, people.level, places.category[terminal])
        drawn[state] = (np.median(habits.draw_time(rng, now, kind, people.rate)), places.online[terminal].mean(), np.median(amount))
    wait, online, amount = ({state: values[i] for state, values in drawn.items()} for i in range(3))
    assert wait["burst"] < 1 / 24 < 0.3 < wait["takeover"] < wait["testing"]
    assert online["testing"] > online["takeover"] > 0.7 > online["at_home"] > 0.1 > online["burst"]
    assert amount["takeover"] > 2 * amount["at_home"] > amount["at_home"] > 5 * amount["testing"]


def test_what_a_row_says_of_its_terminal_was_known_before_it(frame: pd.DataFrame) -> None:
    at = frame["time"].quantile(0.6)
    early = schema.known_by(frame, at)
    columns = {"terminal_count_1d": terminals.count_1d, "terminal_count_7d": terminals.count_7d, "terminal_reports_28d": terminals.reports_28d}
    for name, count in columns.items():
        np.testing.assert_array_equal(count(early), early[name], err_msg=name)
    assert (early["terminal_reports_28d"] > 0).sum() > 100


def test_the_counts_are_those_of_a_plain_loop() -> None:
    frame = generate(seed=5, accounts=100, days=60).frame
    for i in np.random.default_rng(0).choice(len(frame), 60, replace=False):
        row = frame.iloc[i]
        there = frame[frame["terminal"] == row["terminal"]]
        assert row["terminal_count_1d"] == ((there["time"] < row["time"]) & (there["time"] >= row["time"] - DAY)).sum()
        assert row["terminal_count_7d"] == ((there["time"] < row["time"]) & (there["time"] >= row["time"] - 7 * DAY)).sum()
        assert row["terminal_reports_28d"] == ((there["reported_at"] < row["time"]) & (there["reported_at"] >= row["time"] - 28 * DAY)).sum()


def test_what_was_known_at_a_moment_holds_no_label_whose_window_is_open_and_no_later_report(frame: pd.DataFrame) -> None:
    at = pd.Timestamp("2023-05-10 12:00")
    known = schema.known_by(frame, at)
    assert known["time"].max() <= at
    window_open = known["time"] + MATURITY_DAYS * DAY > at
    assert known["fraud"].isna().equals(window_open)
    assert known["reported_at"].max() <= at
    # A report that was early is kept, its label is not: else the newest labels would be frauds alone.
    assert known.loc[window_open, "reported_at"].notna().any()
    schema.check(known)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("amount", 0.0, "in_range"),
        ("amount", float("nan"), "amount"),
        ("channel", "telepathy", "isin"),
        ("distance_km", 30_000.0, "in_range"),
        ("number", 9, "without a gap"),
        ("terminal_count_1d", 1e6, "seven days hold"),
        ("fraud", 1.0, "was reported within"),
        ("fraud", 0.5, "isin"),
        ("reported_at", pd.Timestamp("2020-01-01"), "after the transaction"),
        ("reported_at", "in time", "reported in time is a fraud"),
        ("known_at", pd.Timestamp("2030-01-01"), "known at its moment"),
        ("time", pd.Timestamp("2030-01-01"), "sorted"),
    ],
)
def test_rows_that_are_no_transactions_are_refused_with_the_reason(column: str, value: object, said: str, frame: pd.DataFrame) -> None:
    few = frame.head(40).copy()
    few["fraud"], few["reported_at"] = 0.0, pd.NaT
    few["reported_at"] = few["reported_at"].astype("datetime64[us]")
    few.loc[5, column] = few.loc[5, "time"] + DAY if value == "in time" else value
    with pytest.raises(DataError, match=r"not a raw frame of transactions") as refused:
        schema.check(few)
    assert said in str(refused.value)
