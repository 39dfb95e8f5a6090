"""Combinatorial purged cross-validation: many out-of-sample paths through the same history.

A walk-forward run is one path, and its Sharpe ratio one draw. Here the dates are cut into blocks and every choice of some of
them is predicted by a fit on the others, so that each block is predicted many times and the predictions recombine into
whole paths (López de Prado, Advances in Financial Machine Learning, 2018, chapter 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import Task

from .rules import Days, Entities, Fold, Rows, Times, check_disjoint, check_rows, check_scored_once, hold_out, purge_and_embargo
from .walk import label_ends

if TYPE_CHECKING:
    from finml_models.core.batches import Batch


@dataclass(frozen=True, slots=True)
class Combinatorial:
    """`folds` are the fits, one a choice of test blocks; `block` (n,) is the block of each row; `paths` (paths, blocks) the number of
    the fold that predicts each block of each path.
    """

    folds: tuple[Fold, ...]
    block: NDArray[np.int64]
    paths: NDArray[np.int64]

    def path(self, number: int) -> list[tuple[int, Rows]]:
        """(fold, rows) in the order of time: with these, every row is scored exactly once."""
        return [(int(fold), np.flatnonzero(self.block == block)) for block, fold in enumerate(self.paths[number])]


def number_of_paths(blocks: int, tested: int) -> int:
    """φ[N, k] = k/N · C(N, k), the number of whole paths that N blocks, k of them tested at a time, recombine into."""
    return comb(blocks, tested) * tested // blocks


def combinatorial(
    times: Times,
    until: Times,
    *,
    purge: int,
    embargo: int,
    entities: Entities | None = None,
    blocks: int = 6,
    tested: int = 2,
    valid_share: float = 0.15,
) -> Combinatorial:
    """All C(blocks, tested) fits over rows of which several may share a date; a date is never cut in two.

    Training rows lie before, between and after the test blocks; those whose label or input window touches one are removed
    by `purge_and_embargo` (give `entities` where assets pause). The newest `valid_share` of the dates left validate.

    `times`, `until` and `entities` are (n,); `purge` and `embargo` count dates. Raises `DataError` for a choice that cannot
    be made or that leaves nothing to train on.
    """
    check_rows(times, until)
    dates, day = np.unique(times, return_inverse=True)
    if not 2 <= tested < blocks <= len(dates):
        raise DataError(f"split: {tested} of {blocks} blocks of {len(dates)} dates; test at least 2 blocks, fewer than there are, of at least one date each")
    cut = np.array_split(np.arange(len(dates)), blocks)
    block = np.repeat(np.arange(blocks), [len(part) for part in cut])[day]
    chosen = np.array(list(combinations(range(blocks), tested)))
    folds = tuple(
        _fold(number, np.isin(block, choice), times, until, day, entities, purge=purge, embargo=embargo, valid_share=valid_share)
        for number, choice in enumerate(chosen)
    )
    # Row b holds the folds that test block b, in their order; the j-th of each row make path j.
    paths = np.stack([np.flatnonzero((chosen == b).any(axis=1)) for b in range(blocks)], axis=1)
    found = Combinatorial(folds, block, paths)
    for number in range(len(paths)):
        check_scored_once([_part(folds[fold], rows) for fold, rows in found.path(number)], np.arange(len(times)))
    return found


def combinatorial_of_task(task: type[Task], batch: Batch, *, blocks: int = 6, tested: int = 2) -> Combinatorial:
    """The combinatorial folds of a batch of this task: the purge is its largest horizon, the embargo its history on each entity's clock."""
    return combinatorial(
        batch.time,
        label_ends(task, batch),
        purge=max(task.horizons, default=0),
        embargo=task.history,
        entities=batch.entity,
        blocks=blocks,
        tested=tested,
        valid_share=task.split.valid_share,
    )


def _part(fold: Fold, rows: Rows) -> Fold:
    return Fold(fold.number, fold.train, fold.valid, np.intersect1d(fold.test, rows), fold.test_start, fold.test_end)


def _fold(
    number: int,
    tested: NDArray[np.bool_],
    times: Times,
    until: Times,
    day: Days,
    entities: Entities | None,
    *,
    purge: int,
    embargo: int,
    valid_share: float,
) -> Fold:
    test = np.flatnonzero(tested)
    kept = purge_and_embargo(times, until, np.flatnonzero(~tested), test, purge=purge, embargo=embargo, entities=entities)
    train, valid = hold_out(times, until, kept, day, share=valid_share, purge=purge, embargo=embargo)
    if not len(train) or not len(valid):
        raise DataError(
            f"split: fold {number} keeps {len(train)} training and {len(valid)} validation rows after a purge of {purge} and an embargo of {embargo} dates; "
            "give a longer history or fewer and therefore longer blocks"
        )
    check_disjoint(times, until, kept, test)
    check_disjoint(times, until, train, valid)
    return Fold(number, train, valid, test, times[test].min(), times[test].max())
