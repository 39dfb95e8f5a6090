"""Walk-forward folds with the purge and the embargo that follow from a task's horizons and history.

A label that ends inside the test block, or an input window that reaches back into it, tells a model what it is about to
be asked. Both are removed by one rule, `purge_and_embargo` (López de Prado, Advances in Financial Machine Learning,
2018, chapter 7), which also holds for training rows on both sides of a test block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import Task, WalkForward

if TYPE_CHECKING:
    from finml_models.core.batches import Batch

Rows = NDArray[np.int64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Row indices of one fit and of the block that it is scored on; `test_start` and `test_end` are its first and last date."""

    number: int
    train: Rows
    valid: Rows
    test: Rows
    test_start: np.datetime64
    test_end: np.datetime64


def walk_forward(times: Times, until: Times, *, split: WalkForward, purge: int, embargo: int) -> list[Fold]:
    """Expanding folds over rows; several entities may share a date.

    The last `split.test_share` of the dates are scored in `split.folds` contiguous blocks. Each block is predicted by a
    fit on the rows before it: the newest `split.valid_share` of their dates validate, the older ones train.

    `times` and `until` are (n,): the newest input of each row and the end of its label. `purge` and `embargo` count dates.
    Raises `DataError` when a block, a validation set or a training set would be empty.
    """
    _check_rows(times, until)
    dates, day = np.unique(times, return_inverse=True)
    scored = round(len(dates) * split.test_share)
    if scored < split.folds:
        raise DataError(
            f"split: {len(dates)} dates leave {scored} to score, fewer than the {split.folds} folds; give a longer history, fewer folds or a larger test_share"
        )
    blocks = np.array_split(np.arange(len(dates) - scored, len(dates)), split.folds)
    folds = [_fold(number, block, times, until, day, split=split, purge=purge, embargo=embargo) for number, block in enumerate(blocks)]
    _check_each_test_row_once(folds, np.flatnonzero(day >= len(dates) - scored))
    return folds


def of_task(task: type[Task], batch: Batch) -> list[Fold]:
    """The folds of a batch of this task: the purge is its largest horizon, the embargo its history."""
    if batch.until is None:
        raise DataError(f"{task.id()}: the batch has no `until`, so the purge cannot be derived; build the view with its target")
    return walk_forward(batch.time, batch.until, split=task.split, purge=max(task.horizons, default=0), embargo=task.history)


def latest(task: type[Task], batch: Batch) -> tuple[Rows, Rows]:
    """(train, valid) rows of the fit that is released: everything is known, the newest `valid_share` of the dates validates."""
    if batch.until is None:
        raise DataError(f"{task.id()}: the batch has no `until`, so the purge cannot be derived; build the view with its target")
    _check_rows(batch.time, batch.until)
    _, day = np.unique(batch.time, return_inverse=True)
    train, valid = _hold_out(batch.time, batch.until, np.arange(len(day)), day, split=task.split, purge=max(task.horizons, default=0), embargo=task.history)
    if not len(train) or not len(valid):
        raise DataError(f"split: {day.max() + 1} dates leave {len(train)} training and {len(valid)} validation rows; give a longer history")
    return train, valid


def purge_and_embargo(times: Times, until: Times, train: Rows, test: Rows, *, purge: int, embargo: int) -> Rows:
    """The rows of `train` that share no day with the test rows, in their order.

    For each contiguous run of test dates, from its first date s to L, the last day that one of its labels uses (and at
    least `purge` dates after its last date):
    - a row before the run stays when its label ends before s and it lies more than `purge` dates before s;
    - a row after the run stays when it lies at least `embargo` dates (and at least one) after L, so that a window of
      `embargo` dates ending on it begins after L.

    Distances are counted on the unique dates of `times`; shapes: times and until (n,), train and test are indices into them.
    """
    dates, day = np.unique(times, return_inverse=True)
    keep = np.ones(len(train), dtype=bool)
    tested = np.unique(day[test])
    for run in np.split(tested, np.flatnonzero(np.diff(tested) > 1) + 1) if len(tested) else []:
        first, last = run[0], run[-1]
        rows = test[(day[test] >= first) & (day[test] <= last)]
        label_end = int(np.searchsorted(dates, until[rows].max(), side="right")) - 1
        blocked_until = max(label_end, last + purge) + max(embargo, 1)
        before = (until[train] < dates[first]) & (day[train] + purge < first)
        after = day[train] >= blocked_until
        keep &= before | after
    return train[keep]


def check_no_overlap(train_until: Times, test_start: np.datetime64) -> None:
    """Raise `DataError` when a label used before the test block ends on its first date or later, as after a shuffled split."""
    late = int(np.count_nonzero(train_until >= test_start))
    if late:
        raise DataError(
            f"split: {late} of {len(train_until)} training labels end on or after the first test date {test_start}; "
            "overlapping labels must be split by time and purged (splits.walk_forward), never shuffled"
        )


def _fold(number: int, block: NDArray[np.intp], times: Times, until: Times, day: NDArray[np.intp], *, split: WalkForward, purge: int, embargo: int) -> Fold:
    test = np.flatnonzero((day >= block[0]) & (day <= block[-1]))
    start, end = times[test].min(), times[test].max()
    past = purge_and_embargo(times, until, np.flatnonzero(day < block[0]), test, purge=purge, embargo=embargo)
    train, valid = _hold_out(times, until, past, day, split=split, purge=purge, embargo=embargo)
    if not len(train) or not len(valid):
        raise DataError(
            f"split: fold {number} keeps {len(train)} training and {len(valid)} validation rows of {len(np.unique(day[past]))} dates before {start} "
            f"after a purge of {purge} dates; give a longer history, a smaller test_share or a larger valid_share"
        )
    check_no_overlap(until[train], times[valid].min())
    check_no_overlap(until[past], start)
    return Fold(number, train, valid, test, start, end)


def _hold_out(times: Times, until: Times, rows: Rows, day: NDArray[np.intp], *, split: WalkForward, purge: int, embargo: int) -> tuple[Rows, Rows]:
    usable = np.unique(day[rows])
    held = round(len(usable) * split.valid_share)
    if held == 0:
        return rows, rows[:0]
    newest = day[rows] >= usable[-held]
    valid = rows[newest]
    return purge_and_embargo(times, until, rows[~newest], valid, purge=purge, embargo=embargo), valid


def _check_rows(times: Times, until: Times) -> None:
    if len(times) == 0 or len(times) != len(until):
        raise DataError(f"split: {len(times)} times and {len(until)} label ends; give the same number of both, at least one")
    broken = int(np.count_nonzero(np.isnat(times) | np.isnat(until) | ~(until >= times)))
    if broken:
        raise DataError(f"split: {broken} rows have no time, no label end, or a label that ends before its row; leave rows without a complete target out")


def _check_each_test_row_once(folds: list[Fold], expected: NDArray[np.intp]) -> None:
    scored = np.sort(np.concatenate([fold.test for fold in folds]))
    if not np.array_equal(scored, expected):
        raise AssertionError(f"{len(expected)} rows must be scored exactly once, the folds hold {len(scored)} ({len(np.unique(scored))} different ones)")
