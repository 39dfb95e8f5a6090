"""Rows that the strict rules leave as they are, recognised at a glance: what most requests are."""

from __future__ import annotations

from math import isnan
from time import time as clock
from typing import TYPE_CHECKING

import numpy as np

from .clean import CLOSE, EARLIEST_ZONE, REALISED, VOLUME, Rows
from .realised import refuse_wrong_unit

if TYPE_CHECKING:
    from datetime import datetime

    from .policy import Policy

DAY = 86_400_000_000
"""Microseconds, as times are counted."""
AHEAD = int(EARLIEST_ZONE / np.timedelta64(1, "us"))


def settled(rows: Rows, policy: Policy, now: datetime | None = None) -> bool:
    """True only where `clean.ruled` with a strict policy and no calendar would refuse nothing and change nothing; False decides nothing.

    Of rows that the schema of a request let pass: numbers are finite and within their bounds, there is a close, and nobody gave a label. Each
    asset has whole bars or closes alone, and sessions in their order without long gaps. Raises `DataError` as `ruled` does for realised
    variances in a wrong unit.
    """
    return _in_order(rows, policy, clock() if now is None else now.timestamp()) and _whole(rows) and _plausible(rows, policy)


def _in_order(rows: Rows, policy: Policy, now: float) -> bool:
    """Enough sessions of each asset, ascending, none in the future, none of them so far from the next that weekdays may be missing."""
    time = rows.time.view(np.int64)
    steps = time[1:] - time[:-1]
    if len(rows.names) == 1:
        few = len(time) < policy.minimum_rows
    else:
        few, along = int(np.bincount(rows.code, minlength=len(rows.names)).min()) < policy.minimum_rows, np.diff(rows.code)
        if few or along.min(initial=0) < 0:
            return False
        steps = steps[along == 0]
    ascending = not len(steps) or (steps.min() > 0 and steps.max() <= DAY * (policy.longest_gap + 1))
    return bool(not few and ascending and time.max() <= now * 1e6 + AHEAD)


def _whole(rows: Rows) -> bool:
    """Bars that do not contradict themselves, or none."""
    opening, high, low, close = rows.numbers.T[:VOLUME]
    if isnan(opening[0]):
        return bool(np.isnan(rows.numbers[:, :CLOSE]).all())
    return bool(((np.maximum(opening, close) <= high) & (np.minimum(opening, close) >= low)).all())


def _plausible(rows: Rows, policy: Policy) -> bool:
    """A realised variance on no row, or one on every row and in the unit of the returns."""
    realised = rows.numbers[:, REALISED]
    if isnan(realised[0]):
        return bool(np.isnan(realised).all())
    if np.isnan(realised).any():
        return False
    refuse_wrong_unit(rows.names, rows.code, rows.numbers[:, CLOSE], realised, policy.variance_scale)
    return True
