"""Folds over events of accounts whose labels mature late, such as fraud and default."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.task import WalkForward

from .rules import Days, Entities, Fold, Rows, Times, check_no_overlap, check_scored_once, hold_out, newest_dates, scored_blocks


def by_account(times: Times, accounts: Entities, matured: Times, *, split: WalkForward, groups: int | None = None, seed: int = 0) -> list[Fold]:
    """Walk-forward folds over events, trained on labels that were known when the block began.

    `times` (n,) is the moment of each event, `accounts` (n,) whose it is, `matured` (n,) the moment at which its label is
    final: the end of the maturity window for frauds *and* for the others, since frauds that are confirmed early would
    otherwise be the only new rows that train. NaT marks a label that is not final yet: the row neither trains nor is scored.

    The blocks are whole days, the last `split.test_share` of those that have a final label. For each block, a row trains only when both the event and
    its maturity lie before the first moment of the block; the newest `split.valid_share` of the days left validate, by the
    same rule.

    Without `groups` an account may train with its past and be scored on its future, as in production. With it, the
    accounts are dealt into so many groups, and each is scored by a fit that saw none of its accounts (group-wise and in
    time): how well new customers are judged. Every final row in the blocks is scored exactly once.

    Raises `DataError` for rows that mature before they happen and for a fold without rows to train, validate or score.
    """
    _check(times, accounts, matured)
    final = ~np.isnat(matured)
    days = times.astype("datetime64[D]")
    dates = np.unique(days[final])
    day = np.minimum(np.searchsorted(dates, days), max(len(dates) - 1, 0))
    blocks = scored_blocks(len(dates), split)
    group = np.zeros(len(times), dtype=np.int64) if groups is None else _deal(accounts, groups, seed)
    parts = 1 if groups is None else groups
    folds = [
        _fold(i * parts + g, block, dates, day, times, matured, split=split, scored=final & (group == g), usable=final & ((group != g) | (groups is None)))
        for i, block in enumerate(blocks)
        for g in range(parts)
    ]
    check_scored_once(folds, np.flatnonzero(final & (day >= blocks[0][0])))
    return folds


def _fold(
    number: int,
    block: NDArray[np.intp],
    dates: Times,
    day: Days,
    times: Times,
    matured: Times,
    *,
    split: WalkForward,
    scored: NDArray[np.bool_],
    usable: NDArray[np.bool_],
) -> Fold:
    cut = dates[block[0]]
    test = np.flatnonzero(scored & (day >= block[0]) & (day <= block[-1]))
    past: Rows = newest_dates(np.flatnonzero(usable & (day < block[0]) & (matured < cut)), day, split.window)
    train, valid = hold_out(dates[day], matured, past, day, share=split.valid_share, purge=0, embargo=0)
    if not (len(train) and len(valid) and len(test)):
        raise DataError(
            f"split: fold {number} has {len(train)} training, {len(valid)} validation and {len(test)} scored rows around {cut}; "
            "give a longer history, a shorter maturity window, fewer folds or fewer groups"
        )
    check_no_overlap(matured[train], dates[day[valid]].min())
    check_no_overlap(matured[past], cut)
    return Fold(number, train, valid, test, times[test].min(), times[test].max())


def _deal(accounts: Entities, groups: int, seed: int) -> NDArray[np.int64]:
    names, place = np.unique(accounts, return_inverse=True)
    if not 2 <= groups <= len(names):
        raise DataError(f"split: {len(names)} accounts cannot make {groups} groups; give at least 2 groups and no more than accounts")
    return np.asarray(np.random.default_rng(seed).permutation(len(names))[place] % groups, np.int64)


def _check(times: Times, accounts: Entities, matured: Times) -> None:
    if not len(times) or not len(times) == len(accounts) == len(matured):
        raise DataError(f"split: {len(times)} times, {len(accounts)} accounts and {len(matured)} maturities; give the same number of each, at least one")
    broken = int(np.count_nonzero(np.isnat(times) | (matured < times)))
    if broken:
        raise DataError(f"split: {broken} events have no time, or a label that is final before the event; correct `matured`")
