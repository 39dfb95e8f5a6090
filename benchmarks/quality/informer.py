"""Informer on ETTh1, 48 hours to the next 24, beside table 2 of its paper (Zhou et al. 2021, all seven channels).

Inputs are those of the paper: all seven channels, and hour, weekday, day of month and day of year of every step, ahead too; months are
cut 12/4/4, channels standardised by the training months, and the error is the mean over windows, steps and channels. Two things
differ. One network answers for a channel at a time, which is the first feature and named by seven indicators, because a forecast here
is of one series; the paper's writes seven at once. And the network has 64 units, not 512, and learns from every second hour for four
epochs with our loop's schedule, so that a seed takes minutes on one core. The order of the features and the batches of 32 windows
were chosen by the error on the validation months.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.quality import Reached, Row, at_most, public_path
from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.informer.card import InformerHyperparameters
from finml_models.time_series.informer.model import Informer

LENGTH, AHEAD, MONTH = 48, 24, 30 * 24
CLOCK = ("hour", "weekday", "day_of_month", "day_of_year")
SMALL = InformerHyperparameters(heads=4, head_width=16, encoder_layers=2, decoder_layers=1, feedforward=4, sampling_factor=3, start_length=48, dropout=0.05)
CONFIG = TrainingConfig(learning_rate=5e-4, batch_size=32, max_epochs=4, patience=2, stride=2, calibrate=False, device="cpu")


class Parts(NamedTuple):
    """Windows whose targets lie in the training, validation and test months."""

    train: Windows
    valid: Windows
    test: Windows


def clock(times: pd.DatetimeIndex) -> np.ndarray:
    """(t, 4) of `CLOCK`, each from -0.5 to 0.5."""
    columns = (times.hour / 23, times.day_of_week / 6, (times.day - 1) / 30, (times.day_of_year - 1) / 365)
    return np.column_stack([np.asarray(column, np.float32) - np.float32(0.5) for column in columns])


def cut(frame: pd.DataFrame) -> Parts:
    """A series a channel, each with all channels as features, its own first; from a frame of `date` and the channels, an hour a row."""
    names = [name for name in frame.columns if name != "date"]
    values, times = frame[names].to_numpy(np.float64)[: 20 * MONTH], pd.DatetimeIndex(frame["date"])
    mean, std = values[: 12 * MONTH].mean(axis=0), values[: 12 * MONTH].std(axis=0)
    scaled = ((values - mean) / std).astype(np.float32)
    channels, steps = len(names), len(scaled)
    panel = np.stack([np.roll(scaled, -channel, axis=1) for channel in range(channels)])  # its own channel first
    hours = np.broadcast_to(times.to_numpy("M8[us]")[:steps], (channels, steps))
    ahead = clock(pd.date_range(times[0], periods=steps + AHEAD, freq="h"))
    known = np.broadcast_to(ahead, (channels, *ahead.shape))

    def part(begin: int, stop: int) -> Windows:
        last = np.arange(max(begin, LENGTH) - 1, stop - AHEAD)
        series, ends = (grid.ravel() for grid in np.meshgrid(np.arange(channels), last, indexing="ij"))
        target = scaled[ends[:, None] + np.arange(1, AHEAD + 1), series[:, None]]
        until, one_channel = hours[0, ends + AHEAD], np.eye(channels, dtype=np.float32)
        return Windows(panel, hours, np.array(names), series, ends, LENGTH, target, until, static=one_channel, known=known)

    return Parts(part(0, 12 * MONTH), part(12 * MONTH, 16 * MONTH), part(16 * MONTH, 20 * MONTH))


def signature(names: tuple[str, ...]) -> Signature:
    """The next 24 values of one channel from all of them."""
    return Signature(
        kind=Kind.WINDOWS,
        objective=Objective.FORECAST,
        feature_names=("own", *(f"other{i}" for i in range(1, len(names)))),
        horizons=tuple(range(1, AHEAD + 1)),
        length=LENGTH,
        static_names=tuple(f"is_{name}" for name in names),
        known_names=CLOCK,
    )


@cache
def etth1() -> Parts:
    """The public file, read once a process."""
    return cut(pd.read_csv(public_path("forecast/ETTh1.csv.gz"), parse_dates=["date"]))


def measure(seed: int) -> Reached:
    """Of the network on the test months."""
    parts = etth1()
    model = Informer(SMALL, signature(tuple(parts.test.entities)), CONFIG.model_copy(update={"seed": seed}))
    return errors(model.fit(parts.train, parts.valid).predict(parts.test).point, parts.test)


def yesterday(seed: int) -> Reached:
    """Of the last 24 hours repeated; no seed enters."""
    del seed
    test = etth1().test
    return errors(test.gather(0, AHEAD), test)


def errors(forecast: np.ndarray, test: Windows) -> Reached:
    """Mean squared error, and the mean absolute one in words."""
    off = forecast.astype(np.float64) - test.target
    return Reached(float((off**2).mean()), f"MAE {np.abs(off).mean():.3f}")


def rows() -> Iterator[Row]:
    """The network beside a forecast that learns nothing."""
    yield Row("informer_etth1", "Informer, ETTh1 48 → 24, MSE", measure, 0.577, at_most(0.606), "Zhou et al. 2021, table 2", 3, 6)
    yield Row("yesterday_etth1", "last 24 hours repeated, ETTh1 → 24, MSE", yesterday)
