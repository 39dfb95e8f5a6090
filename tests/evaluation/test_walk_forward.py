from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.task import WalkForward
from finml_models.evaluation.splits import check_no_overlap, latest, of_task, purge_and_embargo, walk_forward

from .conftest import VarianceTask

DAY = np.timedelta64(86_400_000_000, "us")
START = np.datetime64("2020-01-01", "us")


def panel(dates: int, entities: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    day = np.repeat(np.arange(dates), entities)
    return START + day * DAY, START + (day + horizon) * DAY


@given(
    dates=st.integers(80, 200),
    entities=st.integers(1, 3),
    horizon=st.integers(1, 8),
    folds=st.integers(1, 5),
    test_share=st.floats(0.15, 0.5),
    valid_share=st.floats(0.1, 0.4),
)
@settings(max_examples=60, deadline=None)
def test_every_test_row_is_scored_once_and_no_label_crosses_a_border(
    dates: int, entities: int, horizon: int, folds: int, test_share: float, valid_share: float
) -> None:
    times, until = panel(dates, entities, horizon)
    split = WalkForward(folds=folds, test_share=test_share, valid_share=valid_share)
    found = walk_forward(times, until, split=split, purge=horizon, embargo=5)
    scored = np.concatenate([fold.test for fold in found])
    assert len(np.unique(scored)) == len(scored) == entities * round(dates * test_share)
    for fold in found:
        assert until[fold.train].max() < times[fold.valid].min()
        assert until[fold.valid].max() < times[fold.test].min() == fold.test_start
        assert not set(fold.train) & set(fold.valid)
        assert len(fold.train)
    assert all(len(later.train) > len(earlier.train) for earlier, later in pairwise(found))


@given(
    gap=st.integers(0, 4), horizon=st.integers(1, 6), embargo=st.integers(0, 12), first=st.integers(5, 60), length=st.integers(1, 20), second=st.integers(0, 30)
)
@settings(max_examples=100, deadline=None)
def test_no_kept_row_shares_a_day_with_a_test_row_on_either_side(gap: int, horizon: int, embargo: int, first: int, length: int, second: int) -> None:
    # The oracle is day sets: a row touches its window's days and its label's days.
    dates = 130
    times, until = panel(dates, 1, horizon)
    day = np.arange(dates)
    test = np.flatnonzero(((day >= first) & (day < first + length)) | ((day >= first + length + second) & (day < first + length + second + 3)))
    train = np.setdiff1d(day, test)
    kept = purge_and_embargo(times, until, train, test, purge=horizon + gap, embargo=embargo)
    tested_days = {d for row in test for d in range(row, row + horizon + 1)}
    for row in kept:
        label = set(range(row + 1, row + horizon + 1))
        assert not label & tested_days
        if (before := test[test < row]).size:
            window = set(range(row - embargo + 1, row + 1))
            assert not window & {d for tested in before for d in range(tested, tested + horizon + 1)}
    far_before = train[train + horizon + gap < test.min()]
    far_after = train[train >= test.max() + horizon + gap + max(embargo, 1)]
    assert set(far_before) | set(far_after) <= set(kept)


def test_purge_and_embargo_follow_from_the_task() -> None:
    times, until = panel(200, 2, 5)
    batch = Table(np.zeros((400, 1), np.float32), ("x",), times, np.array(["A", "B"] * 200), until=until)
    folds, direct = of_task(VarianceTask, batch), walk_forward(times, until, split=VarianceTask.split, purge=5, embargo=10)
    assert all(np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test) for a, b in zip(folds, direct, strict=True))
    train, valid = latest(VarianceTask, batch)
    assert times[valid].max() == times.max()
    assert until[train].max() < times[valid].min()


def test_a_batch_without_label_ends_is_refused() -> None:
    times, _ = panel(200, 1, 5)
    with pytest.raises(DataError, match="until"):
        of_task(VarianceTask, Table(np.zeros((200, 1), np.float32), ("x",), times, np.array(["A"] * 200)))


def test_a_shuffled_split_of_overlapping_labels_is_refused() -> None:
    times, until = panel(100, 1, 5)
    order = np.random.default_rng(0).permutation(100)
    with pytest.raises(DataError, match="never shuffled"):
        check_no_overlap(until[order[:70]], times[order[70:]].min())
    check_no_overlap(until[:60], times[70])


@pytest.mark.parametrize(("dates", "split"), [(6, WalkForward(folds=3)), (12, WalkForward(folds=2)), (30, WalkForward(test_share=0.9))])
def test_too_little_data_is_refused_with_counts_and_a_remedy(dates: int, split: WalkForward) -> None:
    times, until = panel(dates, 1, 5)
    with pytest.raises(DataError, match=r"\d+ .*give"):
        walk_forward(times, until, split=split, purge=5, embargo=5)


def test_a_label_that_ends_before_its_row_is_refused() -> None:
    times, until = panel(100, 1, 5)
    with pytest.raises(DataError, match="1 rows"):
        walk_forward(times, np.where(np.arange(100) == 3, times - DAY, until), split=WalkForward(), purge=5, embargo=5)
