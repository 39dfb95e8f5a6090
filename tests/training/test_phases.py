"""Which dates and rows an epoch trains on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_cases import panel_windows

from finml_models.core.batches import Batch
from finml_models.training.minibatch import TableSource
from finml_models.training.phases import Phases, by_date
from finml_models.training.torch_estimator import thin


def of_windows(batch: Batch, stride: int) -> Phases:
    return Phases.of(TableSource(torch.zeros(len(batch), 1), None), *by_date(batch.time, stride))


@pytest.mark.parametrize("stride", [1, 2, 5, 1_000])
def test_as_many_epochs_as_the_stride_see_every_row_once(stride: int) -> None:
    batch = panel_windows()
    phases = of_windows(batch, stride)
    seen = torch.cat([phases.units(epoch) for epoch in range(1, stride + 1)])
    assert torch.equal(seen.sort().values, torch.arange(len(batch)))


def test_the_first_epoch_sees_what_a_thinned_batch_holds_and_so_does_the_one_after_a_whole_turn() -> None:
    batch = panel_windows()
    phases = of_windows(batch, 5)
    assert np.array_equal(batch.time[phases.units(1)], thin(batch, 5).time)
    assert torch.equal(phases.units(1), phases.units(6))
    assert not set(phases.units(1).tolist()) & set(phases.units(2).tolist())


def test_rows_that_a_unit_answers_together_have_its_turn() -> None:
    class Pairs(TableSource):
        def rows(self, units: torch.Tensor) -> torch.Tensor:
            return torch.stack([2 * units, 2 * units + 1], dim=1).flatten()

    dates = np.datetime64("2024-01-01") + np.arange(6).repeat(2)
    phases = Phases.of(Pairs(torch.zeros(6, 1), None), *by_date(dates, 3))
    assert [phases.units(epoch).tolist() for epoch in (1, 2, 3)] == [[2, 5], [1, 4], [0, 3]]
