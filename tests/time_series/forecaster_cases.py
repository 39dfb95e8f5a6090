"""Small windows, with static and known inputs where asked, for the tests of TFT and Informer."""

from __future__ import annotations

import numpy as np
import torch

from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.training.minibatch import WindowTensors

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
AHEAD = 5


def signature(
    *, length: int = 12, features: int = 3, horizons: tuple[int, ...] = (1, AHEAD), levels: tuple[float, ...] = LEVELS, static: int = 0, known: int = 0
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
    )


def tensors(rows: int, length: int = 12, features: int = 3, known: int = 0, static: int = 0) -> WindowTensors:
    """Standard normal inputs."""
    generator = torch.Generator().manual_seed(1)
    return WindowTensors(
        past=torch.randn(rows, length, features, generator=generator),
        known=torch.randn(rows, length + AHEAD, known, generator=generator) if known else None,
        static=torch.randn(rows, static, generator=generator) if static else None,
    )


def windows(*, series: int = 4, steps: int = 120, length: int = 12, first_end: int | None = None, static: int = 0, known: int = 0) -> Windows:
    """Noise; the target is the newest value of the first of three features, plus a little noise."""
    rng = np.random.default_rng(0)
    panel = rng.normal(size=(series, steps, 3)).astype(np.float32)
    ends = np.arange(length - 1 if first_end is None else first_end, steps)
    end, which = (a.ravel() for a in np.meshgrid(ends, np.arange(series), indexing="ij"))
    target = panel[which, end, :1] * [1, 2] + 0.1 * rng.normal(size=(len(end), 2))
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
        known=rng.normal(size=(series, steps + AHEAD, known)).astype(np.float32) if known else None,
    )
