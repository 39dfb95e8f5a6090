from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, TimeSeriesSplit

from finml_models.core.batches import Batch, Table
from finml_models.core.errors import DataError
from finml_models.core.spec import Kind
from finml_models.core.task import WalkForward
from finml_models.datasets import registry
from finml_models.evaluation.splits import check_disjoint, check_no_overlap, latest, of_task, purge_and_embargo, walk_forward
from finml_models.tasks.volatility_forecasting import VolatilityForecasting

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


@given(dates=st.integers(120, 200), entities=st.integers(1, 3), horizon=st.integers(1, 8), window=st.integers(30, 60))
@settings(max_examples=30, deadline=None)
def test_a_rolling_period_reads_the_newest_dates_only_and_scores_the_same_rows(dates: int, entities: int, horizon: int, window: int) -> None:
    times, until = panel(dates, entities, horizon)
    rolling = walk_forward(times, until, split=WalkForward(window=window), purge=horizon, embargo=5)
    expanding = walk_forward(times, until, split=WalkForward(), purge=horizon, embargo=5)
    for short, long in zip(rolling, expanding, strict=True):
        assert np.array_equal(short.test, long.test)
        period = np.unique(times[np.concatenate([short.train, short.valid])])
        assert period[-1] == times[long.valid].max()
        assert period[0] == period[-1] - (window - 1) * DAY
        assert until[short.train].max() < times[short.valid].min()


def test_the_released_fit_rolls_with_the_folds() -> None:
    class Rolling(VarianceTask):
        split = WalkForward(window=50)

    times, until = panel(200, 2, 5)
    batch = Table(np.zeros((400, 1), np.float32), ("x",), times, np.array(["A", "B"] * 200), until=until)
    train, valid = latest(Rolling, batch)
    assert times[train].min() == times.max() - 49 * DAY
    assert times[valid].max() == times.max()


def test_a_window_longer_than_the_history_changes_nothing() -> None:
    times, until = panel(120, 1, 3)
    long, none = (walk_forward(times, until, split=WalkForward(window=window), purge=3, embargo=3) for window in (500, None))
    assert all(np.array_equal(a.train, b.train) and np.array_equal(a.valid, b.valid) for a, b in zip(long, none, strict=True))


@pytest.fixture(scope="module")
def real_batch() -> Batch:
    """The view that the volatility task's baselines read, on the embedded index."""
    task, raw = VolatilityForecasting(), registry.load("us_indices").frame
    return task.view(Kind.TABLE, task.features(raw), task.target(raw))


@pytest.mark.parametrize("splitter", [KFold(5, shuffle=True, random_state=0), TimeSeriesSplit(5)], ids=["shuffled", "without a gap"])
def test_splits_that_ignore_the_labels_are_refused_on_a_tasks_own_rows(splitter: KFold | TimeSeriesSplit, real_batch: Batch) -> None:
    batch = real_batch
    assert batch.until is not None
    for train, test in splitter.split(batch.inputs):
        with pytest.raises(DataError, match="never shuffled"):
            check_no_overlap(batch.until[train], batch.time[test].min())
        with pytest.raises(DataError, match="never shuffled"):
            check_disjoint(batch.time, batch.until, train, test)
    for fold in of_task(VolatilityForecasting, batch):
        check_disjoint(batch.time, batch.until, np.concatenate([fold.train, fold.valid]), fold.test)


@given(days=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=2, max_size=25), share=st.floats(0.1, 0.9))
@settings(max_examples=200, deadline=None)
def test_a_split_is_refused_exactly_when_two_label_intervals_meet(days: list[tuple[int, int]], share: float) -> None:
    begin, length = np.array(days).T
    times, until = START + begin * DAY, START + (begin + length) * DAY
    test = np.flatnonzero(np.random.default_rng(0).random(len(begin)) < share)
    train = np.setdiff1d(np.arange(len(begin)), test)
    meet = any(begin[a] <= begin[b] + length[b] and begin[b] <= begin[a] + length[a] for a in train for b in test)
    if meet:
        with pytest.raises(DataError, match="overlaps"):
            check_disjoint(times, until, train, test)
    else:
        check_disjoint(times, until, train, test)
