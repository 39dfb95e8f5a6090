"""Walk-forward folds: every block is predicted by a fit on what came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import Task, WalkForward

from .accounts import by_account
from .rules import (
    Days,
    Fold,
    Rows,
    Times,
    check_disjoint,
    check_no_overlap,
    check_rows,
    check_scored_once,
    hold_out,
    newest_dates,
    purge_and_embargo,
    scored_blocks,
)

if TYPE_CHECKING:
    from finml_models.core.batches import Batch


def walk_forward(times: Times, until: Times, *, split: WalkForward, purge: int, embargo: int) -> list[Fold]:
    """Folds over rows, expanding or, with `split.window`, rolling; several entities may share a date.

    The last `split.test_share` of the dates are scored in `split.folds` contiguous blocks. Each block is predicted by a
    fit on the rows before it, or on the newest `split.window` dates of them: the newest `split.valid_share` of their dates
    validate, the older ones train. Where fewer dates than the window have passed, all of them are used.

    `times` and `until` are (n,): the newest input of each row and the end of its label. `purge` and `embargo` count dates.
    Raises `DataError` when a block, a validation set or a training set would be empty.
    """
    check_rows(times, until)
    dates, day = np.unique(times, return_inverse=True)
    blocks = scored_blocks(len(dates), split)
    folds = [_fold(number, block, times, until, day, split=split, purge=purge, embargo=embargo) for number, block in enumerate(blocks)]
    check_scored_once(folds, np.flatnonzero(day >= blocks[0][0]))
    return folds


def of_task(task: type[Task], batch: Batch) -> list[Fold]:
    """The folds of a batch of this task: the purge is its largest horizon, the embargo its history; by account where its split says so."""
    if task.split.accounts is not None:
        return by_account(batch.time, batch.entity, label_ends(task, batch), split=task.split, groups=task.split.accounts)
    return walk_forward(batch.time, label_ends(task, batch), split=task.split, purge=max(task.horizons, default=0), embargo=task.history)


def latest(task: type[Task], batch: Batch) -> tuple[Rows, Rows]:
    """(train, valid) rows of the fit that is released: all that is known (of a rolling window, its newest dates), split as in every fold."""
    until = label_ends(task, batch)
    check_rows(batch.time, until)
    _, day = np.unique(batch.time, return_inverse=True)
    known = newest_dates(np.arange(len(day)), day, task.split.window)
    purge = max(task.horizons, default=0)
    train, valid = hold_out(batch.time, until, known, day, share=task.split.valid_share, purge=purge, embargo=task.history)
    if not len(train) or not len(valid):
        raise DataError(f"split: {day.max() + 1} dates leave {len(train)} training and {len(valid)} validation rows; give a longer history")
    return train, valid


def label_ends(task: type[Task], batch: Batch) -> Times:
    """The batch's `until`; raises `DataError` for a batch without targets."""
    if batch.until is None:
        raise DataError(f"{task.id()}: the batch has no `until`, so the purge cannot be derived; build the view with its target")
    return batch.until


def _fold(number: int, block: NDArray[np.intp], times: Times, until: Times, day: Days, *, split: WalkForward, purge: int, embargo: int) -> Fold:
    test = np.flatnonzero((day >= block[0]) & (day <= block[-1]))
    start, end = times[test].min(), times[test].max()
    past = purge_and_embargo(times, until, np.flatnonzero(day < block[0]), test, purge=purge, embargo=embargo)
    past = newest_dates(past, day, split.window)
    train, valid = hold_out(times, until, past, day, share=split.valid_share, purge=purge, embargo=embargo)
    if not len(train) or not len(valid):
        raise DataError(
            f"split: fold {number} keeps {len(train)} training and {len(valid)} validation rows of {len(np.unique(day[past]))} dates before {start} "
            f"after a purge of {purge} dates; give a longer history, a smaller test_share or a larger valid_share or window"
        )
    check_no_overlap(until[train], times[valid].min())
    check_no_overlap(until[past], start)
    check_disjoint(times, until, past, test)
    return Fold(number, train, valid, test, start, end)
