"""The rules that every split holds: what is removed around a test block, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import WalkForward

Rows = NDArray[np.int64]
Times = NDArray[np.datetime64]
Entities = NDArray[np.str_]
Days = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """Row indices of one fit and of the rows that it is scored on; `test_start` and `test_end` are their first and last date."""

    number: int
    train: Rows
    valid: Rows
    test: Rows
    test_start: np.datetime64
    test_end: np.datetime64


def purge_and_embargo(times: Times, until: Times, train: Rows, test: Rows, *, purge: int, embargo: int, entities: Entities | None = None) -> Rows:
    """The rows of `train` that share no day with the test rows, in their order.

    For each contiguous run of test dates, from its first date s to L, the last day that one of its labels uses (and at
    least `purge` dates after its last date):
    - a row before the run stays when its label ends before s and it lies more than `purge` dates before s;
    - a row after the run stays when it lies at least `embargo` dates (and at least one) after L, so that a window of
      `embargo` dates ending on it begins after L.

    Distances are counted on the unique dates of `times`. With `entities` (n,) a row after the run must also be at least the
    `embargo`-th row of its own entity after L: the window of an asset that paused reaches further back than dates say.
    Shapes: times and until (n,), train and test are indices into them (López de Prado, Advances in Financial Machine
    Learning, 2018, chapter 7).
    """
    dates, day = np.unique(times, return_inverse=True)
    keep = np.ones(len(train), dtype=bool)
    tested = np.unique(day[test])
    clock = None if entities is None else _OwnClock(entities, day, len(dates))
    for run in np.split(tested, np.flatnonzero(np.diff(tested) > 1) + 1) if len(tested) else []:
        first, last = run[0], run[-1]
        rows = test[(day[test] >= first) & (day[test] <= last)]
        label_end = max(int(np.searchsorted(dates, until[rows].max(), side="right")) - 1, last + purge)
        before = (until[train] < dates[first]) & (day[train] + purge < first)
        after = day[train] >= label_end + max(embargo, 1)
        if clock is not None:
            after &= clock.rows_after(label_end, train) >= embargo
        keep &= before | after
    return train[keep]


def hold_out(times: Times, until: Times, rows: Rows, day: Days, *, share: float, purge: int, embargo: int) -> tuple[Rows, Rows]:
    """(train, valid): the newest `share` of the rows' dates validates, the rest that shares no day with it trains."""
    usable = np.unique(day[rows])
    held = round(len(usable) * share)
    if held == 0:
        return rows, rows[:0]
    newest = day[rows] >= usable[-held]
    valid = rows[newest]
    return purge_and_embargo(times, until, rows[~newest], valid, purge=purge, embargo=embargo), valid


def newest_dates(rows: Rows, day: Days, window: int | None) -> Rows:
    """The rows on the newest `window` dates among them; all of them without a window."""
    usable = np.unique(day[rows])
    return rows if window is None or len(usable) <= window else rows[day[rows] >= usable[-window]]


def scored_blocks(dates: int, split: WalkForward) -> list[NDArray[np.intp]]:
    """Positions of the last `test_share` of so many dates, in `folds` contiguous blocks; `DataError` when a block would be empty."""
    scored = round(dates * split.test_share)
    if scored < split.folds:
        raise DataError(
            f"split: {dates} dates leave {scored} to score, fewer than the {split.folds} folds; give a longer history, fewer folds or a larger test_share"
        )
    return np.array_split(np.arange(dates - scored, dates), split.folds)


def check_no_overlap(train_until: Times, test_start: np.datetime64) -> None:
    """Raise `DataError` when a label used before the test block ends on its first date or later, as after a shuffled split."""
    late = int(np.count_nonzero(train_until >= test_start))
    if late:
        raise DataError(
            f"split: {late} of {len(train_until)} training labels end on or after the first test date {test_start}; "
            "overlapping labels must be split by time and purged (splits.walk_forward), never shuffled"
        )


def check_disjoint(times: Times, until: Times, train: Rows, test: Rows) -> None:
    """Raise `DataError` when a training row shares a day with a test row; holds also for training rows after a test block.

    A row occupies the days from its newest input to the end of its label, both included. Shapes: times and until (n,).
    """
    starts, ends = np.sort(times[test]), np.sort(until[test])
    # Test rows that begin no later than a training row ends, less those that end before it begins: what is left touches it.
    touching = np.searchsorted(starts, until[train], side="right") - np.searchsorted(ends, times[train], side="left")
    if shared := int(np.count_nonzero(touching)):
        raise DataError(
            f"split: {shared} of {len(train)} training rows have a label that overlaps with that of a test row; "
            "overlapping labels must be split by time and purged (splits.walk_forward, splits.combinatorial), never shuffled"
        )


def check_rows(times: Times, until: Times) -> None:
    """Raise `DataError` for no rows, unequal lengths, or labels that are missing or end before their rows."""
    if len(times) == 0 or len(times) != len(until):
        raise DataError(f"split: {len(times)} times and {len(until)} label ends; give the same number of both, at least one")
    broken = int(np.count_nonzero(np.isnat(times) | np.isnat(until) | ~(until >= times)))
    if broken:
        raise DataError(f"split: {broken} rows have no time, no label end, or a label that ends before its row; leave rows without a complete target out")


def check_scored_once(folds: Sequence[Fold], expected: Rows) -> None:
    """Raise `AssertionError` unless the folds' test rows are the expected ones, each exactly once."""
    scored = np.sort(np.concatenate([fold.test for fold in folds]))
    if not np.array_equal(scored, expected):
        raise AssertionError(f"{len(expected)} rows must be scored exactly once, the folds hold {len(scored)} ({len(np.unique(scored))} different ones)")


class _OwnClock:
    """Position of each row among the rows of its own entity."""

    def __init__(self, entities: Entities, day: Days, dates: int) -> None:
        _, code = np.unique(entities, return_inverse=True)
        self.code, self.dates = code, dates
        key = code * dates + day
        self.sorted = np.sort(key)
        self.position = np.searchsorted(self.sorted, key, side="right")

    def rows_after(self, date: int, rows: Rows) -> NDArray[np.intp]:
        """How many rows of its own entity lie after the date with this position, up to and with each row."""
        known = np.searchsorted(self.sorted, self.code[rows] * self.dates + min(date, self.dates - 1), side="right")
        return np.asarray(self.position[rows] - known, np.intp)
