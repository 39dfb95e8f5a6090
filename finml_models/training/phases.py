"""Which units an epoch trains on, where that is every n-th: another n-th each epoch.

The labels of neighbouring dates overlap, so that all of them cost n times what they teach. A fixed n-th would leave the others out for ever; in
turns, n epochs see every date once, at the cost of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from .minibatch import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Phases:
    """Shapes: turn and period (units,). A unit trains in epoch e, from 1, where (e - 1) mod period is its turn."""

    turn: Tensor
    period: Tensor

    @classmethod
    def of(cls, source: Source, turn: NDArray[np.int64], period: NDArray[np.int64]) -> Self:
        """Of turns and periods (rows,) of a batch: those of a unit's first row, for rows that a unit answers together share their date."""
        first = _first_rows(source)
        return cls(torch.from_numpy(turn)[first], torch.from_numpy(period)[first])

    def units(self, epoch: int) -> Tensor:
        """The units of an epoch, from 1, in their order."""
        return torch.nonzero((epoch - 1) % self.period == self.turn).flatten()


def by_date(time: NDArray[np.datetime64], stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn and period (rows,) of every `stride`-th date, counted back from the newest, which is of the first epoch."""
    dates, place = np.unique(time, return_inverse=True)
    return (len(dates) - 1 - place) % stride, np.full(len(time), stride)


def _first_rows(source: Source) -> Tensor:
    units = torch.arange(len(source))
    rows = source.rows(units)
    return rows if len(rows) == len(units) else torch.cat([source.rows(unit)[:1] for unit in units.split(1)])
