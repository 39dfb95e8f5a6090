"""Forecasters on the long-horizon benchmarks: ETTh1 (336 → 96) and exchange rates (336 → 96), as Zeng et al. (2023) and Nie et al. (2023) score them.

Every channel is a series of its own, standardised by its training months, for that is what a channel-independent model sees; the
error is the mean over all windows of the test months (none is dropped), channels and steps. The linear models do not learn from
the validation months here, as in the papers. PatchTST has the paper's small configuration (16 units, 4 heads, 3 layers, 128 feed-forward units,
dropout 0.3) and our loop's warm-up and cosine. The paper's 100 epochs of batches of 128 windows at a rate of 1e-4 take hours on one
core: that row is measured on request, and the others have three epochs of batches of 32 at 1e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.quality import Bar, Reached, Row, at_most, near, public_path
from finml_models.baselines.dlinear import DLinear, DLinearHyperparameters
from finml_models.baselines.nlinear import NLinear, NLinearHyperparameters
from finml_models.core.batches import Windows
from finml_models.core.estimator import Estimator, Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.patchtst.card import PatchTSTHyperparameters
from finml_models.time_series.patchtst.model import PatchTST

LENGTH, AHEAD = 336, 96
SMALL = PatchTSTHyperparameters(heads=4, head_width=4, layers=3, feedforward=8, dropout=0.3)
"""The paper's configuration for its smallest data sets, ETTh1 among them (appendix A.1.4)."""
EPOCHS, PAPER_EPOCHS = 3, 100
LINEAR = "Zeng et al. 2023, table 2"


class Error(NamedTuple):
    """Mean squared and mean absolute error on standardised values."""

    mse: float
    mae: float


@dataclass(frozen=True)
class Benchmark:
    """Windows of a public data set, one series a channel; the target is the next 96 values."""

    train: Windows
    valid: Windows
    test: Windows

    @classmethod
    def of(cls, values: np.ndarray, first_valid: int, first_test: int, end: int) -> Benchmark:
        """From values (t, c); targets lie inside [.., first_valid), [first_valid, first_test) and [first_test, end)."""
        mean, std = values[:first_valid].mean(axis=0), values[:first_valid].std(axis=0)
        panel = ((values[:end] - mean) / std).astype(np.float32).T[..., None]  # (c, t, 1)
        times = np.datetime64("2000-01-01", "us") + np.arange(end) * np.timedelta64(1, "h")

        def part(begin: int, stop: int) -> Windows:
            last = np.arange(max(begin - 1, LENGTH - 1), stop - AHEAD)
            series, ends = (grid.ravel() for grid in np.meshgrid(np.arange(len(panel)), last, indexing="ij"))
            target = panel[series[:, None], ends[:, None] + np.arange(1, AHEAD + 1), 0]
            names = np.array([f"c{i}" for i in range(len(panel))])
            return Windows(panel, np.broadcast_to(times, panel.shape[:2]), names, series, ends, LENGTH, target=target, until=times[ends + AHEAD])

        return cls(part(0, first_valid), part(first_valid, first_test), part(first_test, end))

    @classmethod
    def etth1(cls) -> Benchmark:
        """Twelve, four and four months of 30 days."""
        values = pd.read_csv(public_path("forecast/ETTh1.csv.gz")).drop(columns="date").to_numpy(np.float64)
        month = 30 * 24
        return cls.of(values, 12 * month, 16 * month, 20 * month)

    @classmethod
    def exchange_rates(cls) -> Benchmark:
        """70 %, 10 % and 20 % of the days."""
        values = pd.read_csv(public_path("forecast/exchange_rate.txt.gz"), header=None).to_numpy(np.float64)
        train, test = int(len(values) * 0.7), int(len(values) * 0.2)
        return cls.of(values, train, len(values) - test, len(values))

    @property
    def signature(self) -> Signature:
        """One feature, 96 horizons, a point only."""
        return Signature(kind=Kind.WINDOWS, objective=Objective.FORECAST, feature_names=("x",), horizons=tuple(range(1, AHEAD + 1)), length=LENGTH)

    def naive(self) -> Error:
        """The newest value repeated."""
        return self._error(np.repeat(self.test.inputs, AHEAD, axis=1))

    def linear(self, model: Estimator) -> Error:
        """Of a model in closed form, fitted on the training months alone."""
        return self._error(model.fit(self.train, self.valid.take(np.arange(0))).predict(self.test).point)

    def patchtst(self, epochs: int, seed: int = 0) -> Error:
        """Of the paper's network after so many epochs; a batch holds as many series as that many windows of seven channels."""
        papers = epochs >= 50
        rate, windows = (1e-4, 128) if papers else (1e-3, 32)
        config = TrainingConfig(learning_rate=rate, batch_size=windows * 7, max_epochs=epochs, patience=epochs, calibrate=False, seed=seed)
        return self._error(PatchTST(SMALL, self.signature, config).fit(self.train, self.valid).predict(self.test).point)

    def _error(self, forecast: np.ndarray) -> Error:
        off = forecast.astype(np.float64) - self.test.target
        return Error(float((off**2).mean()), float(np.abs(off).mean()))


@cache
def benchmark(name: str) -> Benchmark:
    """`etth1` or `exchange_rates`, read once a process."""
    return {"etth1": Benchmark.etth1, "exchange_rates": Benchmark.exchange_rates}[name]()


def naive(data: str, error: str, seed: int) -> Reached:
    """The newest value repeated; no seed enters."""
    del seed
    return Reached(getattr(benchmark(data).naive(), error))


def nlinear(data: str, seed: int) -> Reached:
    """In closed form; no seed enters."""
    del seed
    return _reached(benchmark(data).linear(NLinear(NLinearHyperparameters(), benchmark(data).signature)))


def dlinear(data: str, seed: int) -> Reached:
    """In closed form; no seed enters."""
    del seed
    return _reached(benchmark(data).linear(DLinear(DLinearHyperparameters(), benchmark(data).signature)))


def patchtst(data: str, epochs: int, seed: int) -> Reached:
    """The network after so many epochs."""
    return _reached(benchmark(data).patchtst(epochs, seed))


def rows() -> Iterator[Row]:
    """The naive forecast and the linear models in seconds; PatchTST takes about a minute of processor time an epoch."""
    long = "Nie et al. 2023, table 3 (PatchTST/42)"
    rates = "exchange rates 336 → 96"
    yield Row("nlinear_etth1", "NLinear, ETTh1 336 → 96, MSE", partial(nlinear, "etth1"), 0.374, near(0.374, 0.02), LINEAR)
    yield Row("dlinear_etth1", "DLinear, ETTh1 336 → 96, MSE", partial(dlinear, "etth1"), 0.375, near(0.375, 0.02), LINEAR)
    yield Row("patchtst_etth1", f"PatchTST, ETTh1 336 → 96, {EPOCHS} epochs, MSE", partial(patchtst, "etth1", EPOCHS), 0.375, at_most(0.383), long, 3, 4)
    yield Row(
        "patchtst_etth1_paper",
        f"PatchTST, ETTh1 336 → 96, {PAPER_EPOCHS} epochs, MSE",
        partial(patchtst, "etth1", PAPER_EPOCHS),
        0.375,
        at_most(0.383),
        long,
        minutes=120,
        on_request=True,
    )
    for error, published in (("mse", 0.081), ("mae", 0.196)):
        exact = Bar(f"{published} to three digits", partial(_same_digits, published))
        yield Row(f"naive_rates_{error}", f"newest value repeated, {rates}, {error.upper()}", partial(naive, "exchange_rates", error), published, exact, LINEAR)
    yield Row("nlinear_rates", f"NLinear, {rates}, MSE", partial(nlinear, "exchange_rates"), 0.089, None, LINEAR)
    yield Row("dlinear_rates", f"DLinear, {rates}, MSE", partial(dlinear, "exchange_rates"), 0.081, None, LINEAR)
    yield Row("patchtst_rates", f"PatchTST, {rates}, {EPOCHS} epochs, MSE", partial(patchtst, "exchange_rates", EPOCHS), None, None, "", 3, 3)


def _reached(error: Error) -> Reached:
    return Reached(error.mse, f"MAE {error.mae:.3f}")


def _same_digits(published: float, value: float) -> bool:
    return round(value, 3) == published
