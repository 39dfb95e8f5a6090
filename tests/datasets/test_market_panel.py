"""The own-clock panel: there and back without loss, whatever the row order."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finml_models.core.errors import DataError
from finml_models.datasets.market.panel import Panel

keys = st.sets(st.tuples(st.sampled_from(["A", "B", "C", "zz"]), st.integers(0, 60)), max_size=60)


def frame_of(pairs: list[tuple[str, int]]) -> pd.DataFrame:
    time = np.datetime64("2020-01-01", "us") + np.array([day for _, day in pairs], dtype="timedelta64[D]")
    return pd.DataFrame({"entity": pd.Series([name for name, _ in pairs], dtype=str), "time": time, "close": np.arange(len(pairs), dtype=float) + 1})


@settings(max_examples=60, deadline=None)
@given(keys, st.randoms(use_true_random=False))
def test_long_of_dense_is_the_column_in_any_row_order(pairs: set[tuple[str, int]], random: Random) -> None:
    rows = sorted(pairs)
    random.shuffle(rows)
    frame = frame_of(rows)
    panel = Panel.of(frame)
    dense = panel.dense("close")
    np.testing.assert_array_equal(panel.long(dense), frame["close"].to_numpy())
    assert panel.lengths.sum() == len(frame)
    assert (panel.mask == (np.arange(panel.row.shape[1]) < panel.lengths[:, None])).all()  # padding at the end
    assert (np.isnan(dense) == ~panel.mask).all()
    assert (np.isnat(panel.times) == ~panel.mask).all()
    for s, name in enumerate(panel.entities):
        own = frame[frame["entity"] == name].sort_values("time")
        np.testing.assert_array_equal(panel.times[s, : panel.lengths[s]], own["time"].to_numpy())
        np.testing.assert_array_equal(dense[s, : panel.lengths[s]], own["close"].to_numpy())


def test_long_keeps_trailing_axes() -> None:
    frame = frame_of([("B", 1), ("A", 2), ("A", 1)])
    panel = Panel.of(frame)
    values = np.stack([panel.dense("close"), -panel.dense("close")], axis=-1)
    np.testing.assert_array_equal(panel.long(values), np.stack([frame["close"], -frame["close"]], axis=-1))


def test_dense_values_may_be_written_without_touching_the_frame() -> None:
    frame = frame_of([("A", 1), ("A", 2)])
    dense = Panel.of(frame).dense("close")
    dense[:] = 0
    assert frame["close"].tolist() == [1, 2]


def test_a_pair_that_occurs_twice_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match=r"row 2: 'A' has 2020-01-02.* twice"):
        Panel.of(frame_of([("A", 1), ("B", 1), ("A", 1)]))


def test_values_of_another_shape_are_refused() -> None:
    panel = Panel.of(frame_of([("A", 1), ("A", 2)]))
    with pytest.raises(DataError, match="do not fit the panel"):
        panel.long(np.zeros((2, 1)))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(DataError, match="time"):
        Panel.of(pd.DataFrame({"entity": ["A"]}))
