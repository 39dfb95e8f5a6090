"""Minibatches of windows that carry their session, in an order in which neighbours have little in common."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from finml_models.core.batches import Windows
from finml_models.training.encoder import NumericEncoder
from finml_models.training.minibatch import Source, WindowTensors

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.training.encoder import Shared


@dataclass(frozen=True, slots=True)
class DatedWindows(WindowTensors):
    """Also `session` (b,), the place of the newest row's date in the calendar of all series."""

    session: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


class DatedSource(Source):
    """Units are windows in a fixed random order: chunks for validation would otherwise be of few dates, without a negative among them."""

    def __init__(self, windows: Source, session: Tensor) -> None:
        self._windows, self._session, self.chunk = windows, session, windows.chunk
        self._order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self._windows)

    def gather(self, units: Tensor) -> DatedWindows:
        rows = self._order[units]
        plain = self._windows.gather(rows)
        held = {part.name: getattr(plain, part.name) for part in fields(WindowTensors)}
        return DatedWindows(**held, session=self._session[rows.to(self._session.device)])

    def rows(self, units: Tensor) -> Tensor:
        return self._order[units]


class DatedEncoder(NumericEncoder):
    """Standardises windows and numbers their sessions."""

    def source(self, batch: Batch, target: Tensor | None, device: torch.device, shared: Shared) -> DatedSource:
        if not isinstance(batch, Windows):
            raise TypeError(f"batch: a contrastive model reads windows, not {type(batch).__name__}")
        session = torch.from_numpy(np.searchsorted(np.unique(batch.times), batch.time))
        return DatedSource(super().source(batch, target, device, shared), session.to(device))

    def arrays(self, batch: Batch) -> None:
        """No: which sessions are the same is told by the tensors of `source` alone."""
        del batch
