"""Small problems for the loop's tests; run as a script, it fits one and kills itself on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.gru.card import GRUHyperparameters
from finml_models.time_series.lstm.card import LSTMHyperparameters
from finml_models.time_series.lstm.model import LSTM
from finml_models.training.heads import ForecastOutput
from finml_models.training.minibatch import Minibatch
from finml_models.training.torch_estimator import TorchEstimator

Network = TorchEstimator[Any]
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def signature(
    *,
    length: int = 12,
    features: int = 3,
    loss: str = "squared",
    horizons: tuple[int, ...] = (1, 5),
    levels: tuple[float, ...] = LEVELS,
    static: int = 0,
    known: int = 0,
) -> Signature:
    return Signature(
        kind=Kind.WINDOWS,
        objective=Objective.FORECAST,
        feature_names=tuple(f"x{i}" for i in range(features)),
        horizons=horizons,
        levels=levels,
        length=length,
        static_names=tuple(f"s{i}" for i in range(static)),
        known_names=tuple(f"k{i}" for i in range(known)),
        loss=loss,
    )


def panel_windows(
    *, series: int = 4, steps: int = 120, features: int = 3, length: int = 12, first_end: int | None = None, static: int = 0, known: int = 0
) -> Windows:
    """Noise whose target follows from the newest rows of each window; ends from `first_end` on, every series."""
    rng = np.random.default_rng(0)
    panel = rng.normal(size=(series, steps, features)).astype(np.float32)
    ends = np.arange(length - 1 if first_end is None else first_end, steps)
    end, which = (a.ravel() for a in np.meshgrid(ends, np.arange(series), indexing="ij"))
    newest = panel[which, end, 0] + 0.5 * panel[which, np.maximum(end - 1, 0), 1]
    target = np.stack([newest * (h + 1) + 3 for h in range(2)], axis=1) + 0.1 * rng.normal(size=(len(end), 2))
    times = np.datetime64("2020-01-01", "us") + np.arange(steps) * np.timedelta64(1, "D")
    return Windows(
        panel=panel,
        times=np.broadcast_to(times, (series, steps)),
        entities=np.array([f"E{i}" for i in range(series)]),
        series=which,
        end=end,
        length=length,
        target=target.astype(np.float32),
        until=times[end],
        static=rng.normal(size=(series, static)).astype(np.float32) if static else None,
        known=rng.normal(size=(series, steps + 5, known)).astype(np.float32) if known else None,
    )


def halves(batch: Windows) -> tuple[Windows, Windows]:
    """The earlier three quarters and the later quarter."""
    cut = len(batch) * 3 // 4
    return batch.take(np.arange(cut)), batch.take(np.arange(cut, len(batch)))


def make(cls: type[Network] = LSTM, sign: Signature | None = None, *, hidden: int = 8, layers: int = 1, dropout: float = 0.0, **config: Any) -> Network:
    hyper = (LSTMHyperparameters if cls is LSTM else GRUHyperparameters)(hidden=hidden, layers=layers, dropout=dropout)
    return cls(hyper, sign or signature(), TrainingConfig(device="cpu", **{"batch_size": 32, "max_epochs": 3, "patience": 50, **config}))


def fit(folder: Path, kill_at: int = 0) -> tuple[Mapping[str, NDArray], int]:
    """The state after a fit with checkpoints in `folder`, and its training steps; SIGKILL at the step `kill_at`."""
    estimator = make(layers=2, dropout=0.3, max_epochs=5)
    estimator.resume_folder = folder
    steps, plain = 0, estimator.loss

    def counted(output: ForecastOutput, batch: Minibatch) -> Tensor:
        nonlocal steps
        steps += estimator._module.training
        if kill_at and steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(output, batch)

    estimator.loss = counted
    estimator.fit(*halves(panel_windows()))
    return estimator.state(), steps


if __name__ == "__main__":
    fit(Path(sys.argv[1]), int(sys.argv[2]))
