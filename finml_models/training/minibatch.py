"""Minibatches gathered by index on the device: one panel, row offsets, and never a list of windows.

A window is `length` consecutive rows of the panel flattened to (series × time, features), so a batch is one `index_select`
of offset + 0..length-1. Its cost follows the batch, not the panel, and nothing is copied between host and device but the
indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from finml_models.core.batches import Batch, Table, Windows
from finml_models.core.errors import DataError

from .scaling import Scaling, first_row


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
    """A minibatch of table rows, standardised. Shapes: values (b, features), target (b, horizons)."""

    values: Tensor
    target: Tensor | None = None


Minibatch = WindowTensors | TableTensors


class Source(Protocol):
    """Where the loop takes minibatches from."""

    def __len__(self) -> int: ...
    def gather(self, rows: Tensor) -> Minibatch:
        """The minibatch of these rows (b,), given on the CPU."""
        ...


class WindowSource:
    """The windows of a batch over tensors on the device."""

    def __init__(self, windows: Windows, panel: Tensor, *, static: Tensor | None, known: Tensor | None, target: Tensor | None) -> None:
        """`panel` (s, t, f), `static` and `known` are the batch's own, scaled and on the device; `target` (n, horizons) too.

        Raises `DataError` for a window outside the panel: its offset would silently read another series.
        """
        self.device, self.length = panel.device, windows.length
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

    def gather(self, rows: Tensor) -> WindowTensors:
        """The windows of these rows (b,), given on the CPU."""
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


class TableSource:
    """The rows of a table on the device."""

    def __init__(self, values: Tensor, target: Tensor | None) -> None:
        """Shapes: values (n, features), target (n, horizons)."""
        self._values, self._target = values, target

    def __len__(self) -> int:
        return len(self._values)

    def gather(self, rows: Tensor) -> TableTensors:
        """The rows (b,), given on the CPU."""
        rows = rows.to(self._values.device, non_blocking=True)
        return TableTensors(self._values[rows], None if self._target is None else self._target[rows])


class Sources:
    """Makes the sources of the batches of one fit or prediction; batches over one panel share its scaled copy."""

    def __init__(self, scaling: Scaling, device: torch.device) -> None:
        self._scaling, self._device = scaling, device
        self._scaled: dict[int, tuple[np.ndarray, Tensor]] = {}

    def of(self, batch: Batch) -> Source:
        """The source of a batch, with its target where it has one."""
        scaling = self._scaling
        target = None if batch.target is None else self._tensor(scaling.target.standardise(batch.target))
        if isinstance(batch, Windows):
            return WindowSource(
                batch,
                self._once("inputs", batch.panel),
                static=None if batch.static is None else self._once("static", batch.static),
                known=None if batch.known is None else self._once("known", batch.known),
                target=target,
            )
        if isinstance(batch, Table):
            return TableSource(self._once("inputs", batch.values), target)
        raise TypeError(f"batch: {type(batch).__name__} has no minibatches; give Windows or a Table")

    def _once(self, name: str, values: np.ndarray) -> Tensor:
        # The array is kept beside its copy so that its id stays taken.
        if id(values) not in self._scaled:
            self._scaled[id(values)] = values, self._tensor(self._scaling.inputs_of(name).clipped(values))
        return self._scaled[id(values)][1]

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device)


def _slices(flat: Tensor, offset: Tensor, length: int, valid: Tensor | None, ahead: int = 0) -> Tensor:
    """(b, length, f) rows offset..offset+length-1 of (rows, f); those past valid + ahead are 0."""
    steps = torch.arange(length, device=flat.device)
    if valid is None:
        rows = offset[:, None] + steps
        return flat.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    last = valid[:, None] + (ahead - 1)
    rows = offset[:, None] + torch.minimum(steps, last)
    return flat.index_select(0, rows.flatten()).unflatten(0, rows.shape).masked_fill_((steps > last)[:, :, None], 0.0)
