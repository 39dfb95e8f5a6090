"""The common calendar: what is where, and back again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.datasets.market.aligned import Aligned
from finml_models.datasets.market.panel import Panel

FRAME = pd.DataFrame(
    {
        "entity": ["B", "A", "B", "A", "C"],
        "time": pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02", "2020-01-03", "2020-01-09"]).astype("datetime64[us]"),
        "close": [5.0, 1.0, 4.0, 2.0, 9.0],
    }
)


def aligned() -> Aligned:
    return Aligned.of(Panel.of(FRAME))


def test_a_row_is_a_date_of_any_asset_and_a_column_an_asset() -> None:
    held = aligned()
    assert held.entities.tolist() == ["A", "B", "C"]
    assert held.times.astype("datetime64[D]").astype(str).tolist() == ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-09"]
    nan = np.nan
    np.testing.assert_array_equal(held.dense("close"), [[1, nan, nan], [nan, 4, nan], [2, 5, nan], [nan, nan, 9]])


def test_values_come_back_to_their_rows() -> None:
    held = aligned()
    values: NDArray[np.float64] = np.arange(5.0)
    np.testing.assert_array_equal(held.long(held.wide(values)), values)
    day, entity = held.cells()
    np.testing.assert_array_equal(held.times[day], FRAME["time"].to_numpy())
    assert held.entities[entity].tolist() == FRAME["entity"].tolist()


def test_several_values_a_row_and_flags_are_laid_out_too() -> None:
    held = aligned()
    flags = held.wide(np.array([True, False, True, True, False]))
    assert flags.dtype == np.bool_
    assert flags.sum() == 3
    pairs = held.wide(np.stack([np.arange(5.0), -np.arange(5.0)], axis=1).astype(np.float32))
    assert pairs.shape == (4, 3, 2)
    assert pairs.dtype == np.float32
    np.testing.assert_array_equal(pairs[2, 1], [0, 0])
    assert np.isnan(pairs[0, 1]).all()
