"""Combinatorial purged splits, checked against intervals written out and against skfolio's where that one applies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.evaluation.splits import check_disjoint, combinatorial, combinatorial_of_task, number_of_paths

from .conftest import VarianceTask

DAY = np.timedelta64(86_400_000_000, "us")
START = np.datetime64("2020-01-01", "us")


def ragged(dates: int, entities: int, horizon: int, pause: tuple[int, int], seed: int) -> tuple[np.ndarray, ...]:
    """Entities of different lengths, the first pausing: its labels end `horizon` of its own sessions on, whatever the calendar says."""
    rng = np.random.default_rng(seed)
    day, name, ends = [], [], []
    for entity in range(entities):
        own = np.arange(rng.integers(0, 5), dates)
        if entity == 0:
            own = own[(own < pause[0]) | (own >= pause[1])]
        day.append(own[:-horizon])
        ends.append(own[horizon:])
        name.append(np.full(len(own) - horizon, f"E{entity}"))
    day, ends, name = (np.concatenate(part) for part in (day, ends, name))
    order = np.lexsort((name, day))
    return START + day[order] * DAY, START + ends[order] * DAY, name[order]


def touches(times: np.ndarray, until: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(train,) whether a label interval intersects with one of the test rows, every pair looked at."""
    return ((times[train][:, None] <= until[test]) & (until[train][:, None] >= times[test])).any(axis=1)


@given(
    horizon=st.integers(1, 6),
    embargo=st.integers(0, 12),
    blocks=st.integers(3, 5),
    tested=st.integers(2, 3),
    pause=st.tuples(st.integers(20, 90), st.integers(0, 25)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_no_training_row_touches_a_test_row_on_any_clock(horizon: int, embargo: int, blocks: int, tested: int, pause: tuple[int, int], seed: int) -> None:
    if tested >= blocks:
        return
    times, until, entities = ragged(220, 3, horizon, (pause[0], pause[0] + pause[1]), seed)
    found = combinatorial(times, until, purge=horizon, embargo=embargo, entities=entities, blocks=blocks, tested=tested)
    dates = np.unique(times)
    for fold in found.folds:
        kept = np.concatenate([fold.train, fold.valid])
        assert not touches(times, until, kept, fold.test).any()
        assert not touches(times, until, fold.train, fold.valid).any()
        # A window of `embargo` own rows, written out: it begins after the last label of every test block before it.
        for choice in np.split(np.unique(found.block[fold.test]), np.flatnonzero(np.diff(np.unique(found.block[fold.test])) > 1) + 1):
            rows = fold.test[np.isin(found.block[fold.test], choice)]
            label_end = until[rows].max()
            for entity in np.unique(entities):
                own = np.sort(times[entities == entity])
                later = kept[(entities[kept] == entity) & (times[kept] > times[rows].max())]
                first = own[np.maximum(np.searchsorted(own, times[later]) - max(embargo, 1) + 1, 0)]
                assert (first > label_end).all()
        # Nothing that could have trained is thrown away on the side before the blocks.
        far = np.flatnonzero((until < times[fold.test].min()) & (np.searchsorted(dates, times) + horizon < np.searchsorted(dates, times[fold.test].min())))
        assert set(far) <= {*kept, *np.flatnonzero(times < times[fold.valid].min())}


@given(blocks=st.integers(3, 7), tested=st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_the_blocks_recombine_into_as_many_whole_paths_as_the_formula_says(blocks: int, tested: int) -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    if tested >= blocks:
        return
    times = START + np.repeat(np.arange(blocks * 12), 2) * DAY
    found = combinatorial(times, times + DAY, purge=1, embargo=1, blocks=blocks, tested=tested)
    theirs = skfolio.CombinatorialPurgedCV(n_folds=blocks, n_test_folds=tested)
    assert len(found.paths) == number_of_paths(blocks, tested) == theirs.n_test_paths
    assert len(found.folds) == theirs.n_splits
    assert np.array_equal(found.paths.T, theirs.recombined_paths)
    for number in range(len(found.paths)):
        rows = np.concatenate([rows for _, rows in found.path(number)])
        assert np.array_equal(rows, np.arange(len(times)))
        assert all(set(rows) <= set(found.folds[fold].test) for fold, rows in found.path(number))


@pytest.mark.parametrize(("horizon", "history"), [(1, 1), (5, 10), (3, 1)])
def test_on_one_series_with_labels_of_one_length_it_keeps_the_rows_that_skfolio_keeps(horizon: int, history: int) -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    times = START + np.arange(240) * DAY
    until = times + horizon * DAY
    ours = combinatorial(times, until, purge=horizon, embargo=history, blocks=6, tested=2)
    theirs = skfolio.CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=horizon, embargo_size=history - 1)
    for fold, (train, tests) in zip(ours.folds, theirs.split(np.zeros((240, 1))), strict=True):
        assert np.array_equal(fold.test, np.concatenate(tests))
        late = times[fold.valid].min() if len(fold.valid) else times[-1]
        early = train[until[train] < late]
        assert set(fold.valid) <= set(train)
        assert set(fold.train) <= set(early)
        assert set(train) - set(fold.train) - set(fold.valid) <= set(train[(times[train] < late) & (times[train] >= late - (horizon + 1) * DAY)])


def test_skfolios_split_of_a_panels_rows_leaks_and_is_refused() -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    times, until, entities = ragged(240, 4, 5, (100, 130), 0)
    leaking = 0
    for train, tests in skfolio.CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=5, embargo_size=10).split(times[:, None]):
        leaking += int(touches(times, until, train, np.concatenate(tests)).sum())
        with pytest.raises(DataError, match="overlaps"):
            check_disjoint(times, until, train, np.concatenate(tests))
    assert leaking > 100
    found = combinatorial(times, until, purge=5, embargo=10, entities=entities)
    assert not any(touches(times, until, np.concatenate([f.train, f.valid]), f.test).any() for f in found.folds)


def test_skfolios_split_of_the_dates_leaks_where_an_asset_paused() -> None:
    skfolio = pytest.importorskip("skfolio.model_selection")
    times, until, _ = ragged(240, 2, 5, (110, 150), 3)
    dates, day = np.unique(times, return_inverse=True)
    splits = skfolio.CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=5, embargo_size=10).split(np.zeros((len(dates), 1)))
    of_dates = [(np.flatnonzero(np.isin(day, train)), np.flatnonzero(np.isin(day, np.concatenate(tests)))) for train, tests in splits]
    assert sum(int(touches(times, until, train, test).sum()) for train, test in of_dates) > 0


def test_dates_alone_let_windows_of_a_pausing_asset_reach_into_the_test_block() -> None:
    times, until, entities = ragged(240, 2, 5, (46, 90), 3)
    own = np.sort(times[entities == "E0"])

    def reaching(clock: np.ndarray | None) -> int:
        fold = combinatorial(times, until, purge=5, embargo=10, entities=clock, blocks=6, tested=2).folds[4]  # the first block and the last
        first = fold.test[times[fold.test] < START + 100 * DAY]
        kept = np.concatenate([fold.train, fold.valid])
        later = kept[(entities[kept] == "E0") & (times[kept] > times[first].max())]
        return int((own[np.searchsorted(own, times[later]) - 9] <= until[first].max()).sum())

    assert reaching(None) > 0
    assert reaching(entities) == 0


def test_the_combinatorial_split_follows_from_the_task() -> None:
    times, until, entities = ragged(300, 3, 5, (100, 120), 1)
    batch = Table(np.zeros((len(times), 1), np.float32), ("x",), times, entities, until=until)
    found = combinatorial_of_task(VarianceTask, batch, blocks=5)
    direct = combinatorial(times, until, purge=5, embargo=10, entities=entities, blocks=5)
    assert all(np.array_equal(a.train, b.train) and np.array_equal(a.valid, b.valid) for a, b in zip(found.folds, direct.folds, strict=True))


@pytest.mark.parametrize(("blocks", "tested"), [(6, 1), (3, 3), (400, 2)])
def test_a_choice_of_blocks_that_cannot_be_made_is_refused(blocks: int, tested: int) -> None:
    times = START + np.arange(120) * DAY
    with pytest.raises(DataError, match="test at least 2 blocks"):
        combinatorial(times, times + DAY, purge=1, embargo=1, blocks=blocks, tested=tested)


def test_blocks_shorter_than_purge_and_embargo_leave_nothing_to_train_on_and_are_refused() -> None:
    times = START + np.arange(120) * DAY
    with pytest.raises(DataError, match="fewer and therefore longer blocks"):
        combinatorial(times, times + DAY, purge=22, embargo=66, blocks=6, tested=5)
