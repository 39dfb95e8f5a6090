"""Minibatches gathered by index on the device: one panel, row offsets, and never a list of windows.

A window is `length` consecutive rows of the panel flattened to (series × time, features), so a batch is one `index_select`
of offset + 0..length-1. Its cost follows the batch, not the panel, and nothing is copied between host and device but the
indices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from finml_models.core.batches import Windows
from finml_models.core.errors import DataError

from .scaling import first_row

CHUNK = 1024
"""Units a forward pass without gradients, for validation and prediction."""
WINDOWS = {"cpu": 256}
"""The same of windows, by device where it differs: fewer of them stay nearer to a core's cache."""


@dataclass(frozen=True, slots=True)
class WindowTensors:
    """A minibatch of windows, standardised.

    Shapes: past (b, length, features), static (b, k), known (b, length + ahead, j), target (b, horizons). Where windows
    are cut by the start of their series, `lengths` (b,) counts the valid rows of each, which come first; the rest is 0.
    It lives on the CPU, where packing wants it, and is None when every window is whole.
    """

    past: Tensor
    lengths: Tensor | None = None
    static: Tensor | None = None
    known: Tensor | None = None
    target: Tensor | None = None

    def sequence(self) -> Tensor | PackedSequence:
        """What a recurrent layer reads: the past, with the inputs known ahead beside it; packed where lengths differ."""
        past = self.past if self.known is None else torch.cat([self.past, self.known[:, : self.past.shape[1]]], dim=-1)
        if self.lengths is None:
            return past
        return pack_padded_sequence(past, self.lengths, batch_first=True, enforce_sorted=False)


@dataclass(frozen=True, slots=True)
class TableTensors:
    """A minibatch of table rows, standardised, missing numbers 0. Shapes: values (b, features), codes (b, c), target as the loss wants it."""

    values: Tensor
    codes: Tensor | None = None
    target: Tensor | None = None


class Minibatch(Protocol):
    """Whatever the network of a kind takes; the loss looks at the target alone."""

    @property
    def target(self) -> Tensor | None:
        """What the answers are compared with, in their order; None when predicting."""
        ...


class Source(ABC):
    """Where the loop takes minibatches from, by units: a row, or whatever else a network has to see as a whole."""

    chunk: int = CHUNK
    """Units of a forward pass without gradients."""

    @property
    def samples(self) -> int:
        """Rows that all units answer together: the size of a step is counted in rows, whatever a unit holds."""
        return len(self)

    @abstractmethod
    def __len__(self) -> int:
        """The number of units."""

    @abstractmethod
    def gather(self, units: Tensor) -> Minibatch:
        """The minibatch of these units (b,), given on the CPU."""

    def rows(self, units: Tensor) -> Tensor:
        """The rows of the batch that the network answers for these units, in the order of its answers."""
        return units


class WindowSource(Source):
    """The windows of a batch over tensors on the device."""

    def __init__(self, windows: Windows, panel: Tensor, *, static: Tensor | None, known: Tensor | None, target: Tensor | None) -> None:
        """`panel` (s, t, f), `static` and `known` are the batch's own, scaled and on the device; `target` (n, horizons) too.

        Raises `DataError` for a window outside the panel: its offset would silently read another series.
        """
        self.device, self.length = panel.device, windows.length
        self.chunk = WINDOWS.get(panel.device.type, CHUNK)
        series, steps = panel.shape[:2]
        inside = (windows.series >= 0) & (windows.series < series) & (windows.end >= 0) & (windows.end < steps)
        if not inside.all():
            row = int(np.argmin(inside))
            raise DataError(f"row {row}: series {windows.series[row]}, end {windows.end[row]} lies outside the panel of {series} × {steps}: rebuild the view")
        first = first_row(windows)
        lengths = windows.end - first + 1
        self._lengths = None if (lengths == windows.length).all() else torch.from_numpy(lengths)
        self._panel = panel.flatten(0, 1)
        self._offset = self._index(windows.series * steps + first)
        self._static, self._target = static, target
        self._series = None if static is None else self._index(windows.series)
        self._known, self._ahead = None, 0
        if known is not None:
            self._known, self._ahead = known.flatten(0, 1), known.shape[1] - steps
            self._known_offset = self._index(windows.series * known.shape[1] + first)

    def __len__(self) -> int:
        return len(self._offset)

    def gather(self, units: Tensor) -> WindowTensors:
        """The windows of these rows (b,), given on the CPU."""
        rows = units
        lengths = None if self._lengths is None else self._lengths[rows]
        if lengths is not None and int(lengths.min()) == self.length:
            lengths = None
        rows = rows.to(self.device, non_blocking=True)
        valid = None if lengths is None else lengths.to(self.device, non_blocking=True)
        return WindowTensors(
            past=_slices(self._panel, self._offset[rows], self.length, valid),
            lengths=lengths,
            static=None if self._static is None or self._series is None else self._static[self._series[rows]],
            known=None if self._known is None else _slices(self._known, self._known_offset[rows], self.length + self._ahead, valid, self._ahead),
            target=None if self._target is None else self._target[rows],
        )

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.int64)).to(self.device)


class TableSource(Source):
    """The rows of a table on the device."""

    def __init__(self, values: Tensor, target: Tensor | None, codes: Tensor | None = None) -> None:
        """Shapes: values (n, features), NaN where a number is missing; target (n, ...), codes (n, c)."""
        self._values, self._target, self._codes = values.nan_to_num(nan=0.0), target, codes

    def __len__(self) -> int:
        return len(self._values)

    def gather(self, units: Tensor) -> TableTensors:
        """The rows (b,), given on the CPU."""
        rows = units.to(self._values.device, non_blocking=True)
        codes, target = (None if held is None else held[rows] for held in (self._codes, self._target))
        return TableTensors(self._values[rows], codes, target)


def _slices(flat: Tensor, offset: Tensor, length: int, valid: Tensor | None, ahead: int = 0) -> Tensor:
    """(b, length, f) rows offset..offset+length-1 of (rows, f); those past valid + ahead are 0."""
    steps = torch.arange(length, device=flat.device)
    if valid is None:
        rows = offset[:, None] + steps
        return flat.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    last = valid[:, None] + (ahead - 1)
    rows = offset[:, None] + torch.minimum(steps, last)
    return flat.index_select(0, rows.flatten()).unflatten(0, rows.shape).masked_fill_((steps > last)[:, :, None], 0.0)
