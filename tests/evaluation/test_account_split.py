from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finml_models.core.errors import DataError
from finml_models.core.task import WalkForward
from finml_models.evaluation.splits import by_account

HOUR = np.timedelta64(3_600_000_000, "us")
START = np.datetime64("2024-01-01", "us")


def events(days: int, accounts: int, maturity: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = np.sort(START + rng.integers(0, days * 24, size=days * 6) * HOUR)
    names = np.array([f"A{k:02d}" for k in range(accounts)])[rng.integers(0, accounts, size=len(times))]
    matured = times + (maturity * 24 + rng.integers(0, 24, size=len(times))) * HOUR
    return times, names, np.where(matured > START + days * 24 * HOUR, np.datetime64("NaT"), matured)


@given(
    maturity=st.integers(0, 20),
    folds=st.integers(1, 4),
    groups=st.sampled_from([None, 2, 3]),
    window=st.sampled_from([None, 40]),
    seed=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_only_labels_that_were_known_train_and_every_final_row_is_scored_once(
    maturity: int, folds: int, groups: int | None, window: int | None, seed: int
) -> None:
    times, accounts, matured = events(160, 12, maturity, seed)
    split = WalkForward(folds=folds, test_share=0.4, window=window)
    found = by_account(times, accounts, matured, split=split, groups=groups)
    assert len(found) == folds * (groups or 1)
    days = np.unique(times[~np.isnat(matured)].astype("datetime64[D]"))
    first = days[len(days) - round(len(days) * 0.4)]
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in found])), np.flatnonzero((times >= first) & ~np.isnat(matured)))
    for fold in found:
        block = np.datetime64(fold.test_start, "D")
        past = np.concatenate([fold.train, fold.valid])
        assert (matured[past] <= block + np.timedelta64(1, "D")).all()
        assert (matured[past] < times[fold.test].min()).all()
        assert (matured[fold.train] < times[fold.valid].min()).all()
        shared = np.intersect1d(accounts[past], accounts[fold.test])
        if groups is None:
            assert all(times[past][accounts[past] == a].max() < times[fold.test][accounts[fold.test] == a].min() for a in shared)
        else:
            assert len(shared) == 0
        if window is not None:
            assert len(np.unique(times[past].astype("datetime64[D]"))) <= window


def test_a_fraud_known_early_does_not_enter_before_its_maturity() -> None:
    times, accounts, matured = events(160, 5, 15, 0)
    fold = by_account(times, accounts, matured, split=WalkForward(folds=1, test_share=0.3))[0]
    newest = times[np.concatenate([fold.train, fold.valid])].max()
    assert fold.test_start - newest > 14 * 24 * HOUR


def test_the_order_of_the_rows_does_not_decide_who_is_in_which_group() -> None:
    times, accounts, matured = events(160, 9, 5, 1)
    order = np.random.default_rng(0).permutation(len(times))
    a = by_account(times, accounts, matured, split=WalkForward(), groups=3)
    b = by_account(times[order], accounts[order], matured[order], split=WalkForward(), groups=3)
    assert all(set(order[y.test]) == set(x.test) and set(order[y.train]) == set(x.train) for x, y in zip(a, b, strict=True))


def test_a_label_that_is_final_before_its_event_is_refused() -> None:
    times, accounts, matured = events(160, 5, 5, 0)
    with pytest.raises(DataError, match="3 events"):
        by_account(times, accounts, np.where(np.arange(len(times)) < 3, times - HOUR, matured), split=WalkForward())


@pytest.mark.parametrize("groups", [1, 6])
def test_groups_that_the_accounts_cannot_fill_are_refused(groups: int) -> None:
    times, accounts, matured = events(160, 5, 5, 0)
    with pytest.raises(DataError, match="5 accounts cannot make"):
        by_account(times, accounts, matured, split=WalkForward(), groups=groups)


def test_labels_that_mature_after_the_whole_history_leave_nothing_to_train_on_and_are_refused() -> None:
    times, accounts, _ = events(160, 5, 5, 0)
    with pytest.raises(DataError, match="shorter maturity window"):
        by_account(times, accounts, times + 200 * 24 * HOUR, split=WalkForward())


def test_arrays_of_different_lengths_are_refused() -> None:
    times, accounts, matured = events(160, 5, 5, 0)
    with pytest.raises(DataError, match="same number"):
        by_account(times, accounts[:-1], matured, split=WalkForward())
