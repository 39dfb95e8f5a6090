"""DLinear and NLinear: least squares on the window of one feature, level shifts, and the published error on a public benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.quality import forecasters
from finml_models.baselines.dlinear import DLinear, DLinearHyperparameters, moving_average
from finml_models.baselines.nlinear import NLinear, NLinearHyperparameters
from finml_models.core.batches import Table, Windows
from finml_models.core.estimator import Estimator, Signature
from finml_models.core.spec import Kind, Objective

LEVELS = (0.05, 0.5, 0.95)
both = pytest.mark.parametrize("name", ["dlinear", "nlinear"])


def make(name: str, length: int = 12, ridge: float = 1e-6) -> Estimator:
    signature = Signature(kind=Kind.WINDOWS, objective=Objective.FORECAST, feature_names=("x", "other"), horizons=(1, 2), levels=LEVELS, length=length)
    if name == "dlinear":
        return DLinear(DLinearHyperparameters(ridge=ridge), signature)
    return NLinear(NLinearHyperparameters(ridge=ridge), signature)


def windows(series: int = 3, steps: int = 400, length: int = 12, first_end: int | None = None) -> Windows:
    """An autoregression of order two beside noise; the target is its next two values."""
    rng = np.random.default_rng(0)
    x = np.zeros((series, steps))
    for t in range(2, steps):
        x[:, t] = 0.5 * x[:, t - 1] + 0.3 * x[:, t - 2] + rng.normal(size=series)
    panel = np.stack([x, rng.normal(size=x.shape)], axis=-1).astype(np.float32)
    ends = np.arange(length - 1 if first_end is None else first_end, steps - 2)
    which, end = (grid.ravel() for grid in np.meshgrid(np.arange(series), ends, indexing="ij"))
    times = np.datetime64("2020-01-01", "us") + np.arange(steps) * np.timedelta64(1, "D")
    target = panel[which[:, None], end[:, None] + [1, 2], 0]
    return Windows(panel, np.broadcast_to(times, x.shape), np.array([f"E{i}" for i in range(series)]), which, end, length, target=target, until=times[end + 2])


@both
def test_it_is_least_squares(name: str) -> None:
    batch = windows()
    model = make(name).fit(batch, batch.take(np.arange(0)))
    x = batch.gather(0).astype(np.float64)
    # An intercept and the window; NLinear's weights on the window sum to one.
    if name == "nlinear":
        design = np.column_stack([np.ones(len(x)), x[:, :-1] - x[:, -1:]])
        expected = design @ np.linalg.lstsq(design, batch.target - x[:, -1:], rcond=None)[0] + x[:, -1:]
    else:
        design = np.column_stack([np.ones(len(x)), x])
        expected = design @ np.linalg.lstsq(design, batch.target, rcond=None)[0]
    np.testing.assert_allclose(model.predict(batch).point, expected, atol=2e-3)


def test_a_shift_of_level_shifts_nlinears_forecast_and_not_quite_dlinears() -> None:
    batch = windows()
    moved = Windows(**{**{f: getattr(batch, f) for f in batch.__slots__}, "panel": batch.panel + 7})
    for name, holds in (("nlinear", True), ("dlinear", False)):
        model = make(name).fit(batch, batch.take(np.arange(0)))
        by = model.predict(moved).point - model.predict(batch).point
        assert (np.abs(by - 7).max() < 1e-3) == holds


@both
def test_other_features_and_other_series_change_nothing(name: str) -> None:
    batch = windows()
    model = make(name).fit(batch, batch.take(np.arange(0)))
    rows = batch.take(np.flatnonzero(batch.series == 1))
    before = model.predict(rows).point
    batch.panel[..., 1], batch.panel[[0, 2]] = 99.0, 99.0
    np.testing.assert_array_equal(model.predict(rows).point, before)


@both
def test_short_windows_repeat_their_oldest_value_and_read_no_other_row(name: str) -> None:
    batch = windows(first_end=0)
    model = make(name).fit(batch, batch.take(np.arange(0)))
    short = batch.take(np.flatnonzero((batch.end == 4) & (batch.series == 1)))
    before = model.predict(short).point
    batch.panel[:, 5:] = 99.0
    np.testing.assert_array_equal(model.predict(short).point, before)


@both
def test_outcomes_fall_below_each_quantile_as_often_as_its_level_says(name: str) -> None:
    batch = windows(steps=1_500)
    model = make(name).fit(batch, batch.take(np.arange(0)))
    below = (batch.target[:, :, None] <= model.predict(batch).quantiles).mean(axis=0)
    np.testing.assert_allclose(below, np.broadcast_to(LEVELS, below.shape), atol=0.01)


@both
def test_a_constant_series_is_forecast_as_it_is_without_a_penalty_too(name: str) -> None:
    batch = windows()
    batch.panel[:] = 2.0
    batch.target[:] = 2.0
    model = make(name, ridge=0.0).fit(batch, batch.take(np.arange(0)))
    np.testing.assert_allclose(model.predict(batch).point, 2.0, atol=1e-6)


@both
def test_a_table_is_refused(name: str) -> None:
    table = Table(np.zeros((3, 2), np.float32), ("x", "other"), np.zeros(3, "M8[us]"), np.array(["a"] * 3), target=np.zeros((3, 2), np.float32))
    with pytest.raises(TypeError, match="reads windows"):
        make(name).fit(table, table)


@pytest.mark.parametrize("kernel", [1, 5, 25])
def test_the_trend_is_a_centred_mean_with_repeated_ends(kernel: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 30))
    half = kernel // 2
    padded = torch.from_numpy(np.pad(x, ((0, 0), (half, half)), mode="edge"))
    np.testing.assert_allclose(moving_average(x, kernel), nn.AvgPool1d(kernel, 1)(padded).numpy(), atol=1e-12)


@pytest.mark.parametrize("name", ["nlinear_etth1", "dlinear_etth1", "naive_rates_mse", "naive_rates_mae"])
def test_the_published_errors_on_etth1_and_the_exact_naive_ones_on_exchange_rates(name: str, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_TEST_DATA", str(test_data))
    row = next(row for row in forecasters.rows() if row.name == name)
    reached = row.measure(0).value
    # Measured: NLinear 0.370 and DLinear 0.370.
    assert row.bar
    assert row.bar.holds(reached), reached


@pytest.mark.slow
def test_patchtst_reaches_the_papers_error_on_etth1(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_TEST_DATA", str(test_data))
    # Measured: 0.376 after three epochs, as the paper reports after 100.
    assert forecasters.patchtst("etth1", forecasters.EPOCHS, 0).value <= 0.383
