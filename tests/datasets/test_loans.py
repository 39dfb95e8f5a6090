"""Simulated loans: the truth is the truth, it keeps the signs that it promises, and rows that are no loans are refused."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import DataError
from finml_models.datasets.loans import risk, schema, synthetic, vocabulary
from finml_models.evaluation.metrics.classification import gini


@pytest.fixture(scope="module")
def loans() -> synthetic.Simulated:
    return synthetic.generate(seed=0)


def matured(simulated: synthetic.Simulated) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and true probability of the loans whose outcome is known."""
    known = simulated.frame["defaulted"].notna().to_numpy()
    return simulated.frame["defaulted"].to_numpy()[known], simulated.truth["p1"].to_numpy()[known]


def test_a_seed_gives_the_same_loans_and_another_seed_others() -> None:
    once, again, other = (synthetic.generate(seed=seed, loans=500) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(once.frame, again.frame, check_exact=True)
    pd.testing.assert_frame_equal(once.truth, again.truth, check_exact=True)
    assert not once.frame["income"].equals(other.frame["income"])


def test_the_default_is_a_raw_frame_of_loans_made_within_a_second(loans: synthetic.Simulated) -> None:
    began = time.process_time()
    again = synthetic.generate(seed=0)
    assert time.process_time() - began < 1
    pd.testing.assert_frame_equal(schema.check(again.frame), loans.frame, check_exact=True)
    assert len(loans.frame) == len(loans.truth) == 25_200
    np.testing.assert_array_equal(loans.frame["entity"], loans.truth["entity"])
    np.testing.assert_array_equal(loans.frame["time"], loans.truth["time"])


def test_the_newest_twelve_vintages_have_no_outcome_yet_and_all_others_have_one(loans: synthetic.Simulated) -> None:
    waiting = loans.frame["defaulted"].isna()
    vintages = loans.frame["time"].drop_duplicates().sort_values().to_list()
    assert len(vintages) == 84
    assert set(loans.frame.loc[waiting, "time"]) == set(vintages[-12:])
    assert set(loans.frame.loc[~waiting, "time"]) == set(vintages[:-12])
    assert (loans.frame["outcome_at"] == loans.frame["time"] + pd.DateOffset(months=12)).all()


def test_between_eight_and_twelve_in_a_hundred_default(loans: synthetic.Simulated) -> None:
    y, p = matured(loans)
    assert 0.08 < y.mean() < 0.12
    np.testing.assert_allclose(loans.truth["p0"] + loans.truth["p1"], 1, atol=1e-12)
    assert 0 < p.min()
    assert p.max() < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_outcomes_come_true_as_often_as_the_truth_says(seed: int) -> None:
    y, p = matured(synthetic.generate(seed=seed))
    for group in np.array_split(np.argsort(p), 10):
        error = np.sqrt((p[group] * (1 - p[group])).sum()) / len(group)
        assert abs(y[group].mean() - p[group].mean()) < 4 * error


def test_the_economy_moves_whole_vintages(loans: synthetic.Simulated) -> None:
    by_month = loans.truth.groupby("time")["p1"].mean()
    still = synthetic.generate(seed=0, signal=0).truth.groupby("time")["p1"]
    assert by_month.max() - by_month.min() > 0.02
    # Without any signal the month is all there is: nothing differs within one.
    assert still.std().max() < 1e-12
    assert still.mean().std() > 0.005


def test_ranking_by_the_truth_has_the_gini_of_a_good_scorecard_and_none_without_signal() -> None:
    assert 0.55 < gini(*matured(synthetic.generate(seed=0))) < 0.66
    assert abs(gini(*matured(synthetic.generate(seed=0, signal=0)))) < 0.05


@pytest.mark.parametrize("name", [name for name, sign in risk.MONOTONE.items() if sign])
def test_each_number_moves_the_risk_the_way_that_is_promised(name: str, loans: synthetic.Simulated) -> None:
    numbers = {column: loans.frame[column].to_numpy() for column in vocabulary.NUMBERS}
    codes = {column: pd.Categorical(loans.frame[column], categories=list(known)).codes.astype(np.int64) + 1 for column, known in vocabulary.CATEGORIES.items()}
    before = risk.log_odds(numbers, codes)
    for step in (0.05, 0.5, 2.0):
        more = numbers[name] * (1 + step) + step
        change = risk.MONOTONE[name] * (risk.log_odds({**numbers, name: more}, codes) - before)
        assert np.nanmin(change) >= -1e-12
        assert np.nanmax(change) > 0


def test_what_belongs_together_is_missing_together(loans: synthetic.Simulated) -> None:
    frame = loans.frame
    file = ["delinquencies_24m", "inquiries_6m", "credit_history_months", "open_accounts"]
    assert frame[file].isna().all(axis=1).equals(frame[file].isna().any(axis=1))
    assert frame.loc[frame["delinquencies_24m"] == 0, "months_since_delinquency"].isna().all()
    assert frame.loc[frame["delinquencies_24m"] > 0, "months_since_delinquency"].notna().all()
    assert frame["employment_years"].isna().equals(frame["employment"].isin(["retired", "unemployed"]))
    assert frame["overdraft_days_12m"].isna().equals(frame["months_on_book"] == 0)


def test_the_population_drifts_from_branches_to_the_internet(loans: synthetic.Simulated) -> None:
    online = (loans.frame["channel"] == "online").groupby(loans.frame["time"].dt.year).mean()
    assert online.iloc[-1] - online.iloc[0] > 0.15


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("debt_to_income", 31.0, "in_range"),
        ("income", 0.0, "in_range"),
        ("purpose", "holiday", "isin"),
        ("defaulted", 2.0, "isin"),
        ("entity", "A0000001", "unique"),
        ("outcome_at", pd.Timestamp("2015-01-01"), "after the decision"),
        ("known_at", pd.Timestamp("2030-01-01"), "known on the decision's date"),
    ],
)
def test_rows_that_are_no_loans_are_refused_with_the_column(column: str, value: object, said: str) -> None:
    frame = synthetic.generate(seed=0, loans=300).frame
    frame.loc[5, column] = value
    with pytest.raises(DataError, match=said):
        schema.check(frame)


def test_what_was_known_at_a_moment_holds_no_later_row_and_no_later_outcome(loans: synthetic.Simulated) -> None:
    at = pd.Timestamp("2018-06-15")
    known = schema.known_by(loans.frame, at)
    assert known["time"].max() <= at
    assert known.loc[known["outcome_at"] > at, "defaulted"].isna().all()
    settled = known["outcome_at"] <= at
    assert settled.sum() > 1_000
    assert known.loc[settled, "defaulted"].notna().all()
    assert loans.frame["defaulted"].notna().sum() > known["defaulted"].notna().sum()
