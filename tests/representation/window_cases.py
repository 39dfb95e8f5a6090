"""Small seeded windows for the representation models: factors behind noisy features, planted anomalies, and a market of two regimes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective

LENGTH = 12


def signature(objective: Objective = Objective.SCORE, *, features: int = 4, length: int = LENGTH, alarm_rate: float = 0.02) -> Signature:
    return Signature(
        kind=Kind.WINDOWS,
        objective=objective,
        feature_names=tuple(f"x{i}" for i in range(features)),
        horizons=(1,) if objective is Objective.REGIMES else (),
        length=length,
        alarm_rate=alarm_rate if objective is Objective.SCORE else 0.0,
    )


def windows(panel: np.ndarray, target: np.ndarray | None = None, *, length: int = LENGTH, first_end: int | None = None) -> Windows:
    """All windows of a panel (s, t, f) in the order (time, entity); target (s, t) is of each window's newest row."""
    series, steps = panel.shape[:2]
    ends = np.arange(length - 1 if first_end is None else first_end, steps)
    end, which = (a.ravel() for a in np.meshgrid(ends, np.arange(series), indexing="ij"))
    times = np.datetime64("2020-01-01", "us") + np.arange(steps) * np.timedelta64(1, "D")
    return Windows(
        panel=panel.astype(np.float32),
        times=np.broadcast_to(times, (series, steps)),
        entities=np.array([f"E{i}" for i in range(series)]),
        series=which,
        end=end,
        length=length,
        target=None if target is None else target[which, end][:, None].astype(np.float32),
    )


def waves(*, series: int = 3, steps: int = 400, features: int = 4, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that are turns of one oscillation of random speed, without and with noise. Shapes: (s, t, f) twice."""
    rng = np.random.default_rng(seed)
    drive = np.zeros((series, steps))
    for t in range(1, steps):
        drive[:, t] = 0.97 * drive[:, t - 1] + 0.25 * rng.normal(size=series)
    speed = 0.15 + 0.85 / (1 + np.exp(-2 * drive))
    phase = rng.uniform(0, 2 * np.pi, (series, 1)) + np.cumsum(speed, axis=1)
    clean = np.sin(phase[:, :, None] + np.arange(features) * np.pi / features)
    return clean, clean + noise * rng.normal(size=clean.shape)


def with_spikes(panel: np.ndarray, share: float = 0.02, size: float = 4.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A copy in which single features jump on random days, and where (s, t)."""
    rng = np.random.default_rng(seed)
    truth = rng.random(panel.shape[:2]) < share
    spiked, (s, t) = panel.copy(), np.nonzero(truth)
    spiked[s, t, rng.integers(0, panel.shape[2], len(s))] += size * rng.choice([-1.0, 1.0], len(s))
    return spiked, truth


def two_regimes(*, series: int = 1, steps: int = 1_200, seed: int = 0) -> tuple[Windows, np.ndarray]:
    """Calm and stormy spells of all series at once, with the next return as target, and the state of each row (n,), 1 is stormy."""
    rng = np.random.default_rng(seed)
    state = np.zeros(steps + 1, np.int64)
    for t in range(1, steps + 1):
        state[t] = state[t - 1] ^ (rng.random() < 0.02)
    deviation = np.where(state, 0.03, 0.008)
    returns = deviation * (0.5 * rng.normal(size=steps + 1) + 0.85 * rng.normal(size=(series, steps + 1)))
    volume = 0.4 * state + 0.3 * rng.normal(size=(series, steps + 1))
    panel = np.stack([returns, np.log(np.abs(returns) + 1e-3), volume], axis=-1)
    rows = windows(panel[:, :-1], returns[:, 1:])
    return rows, state[rows.end]


def parts(batch: Windows, *shares: float) -> tuple[Windows, ...]:
    """Consecutive parts of a batch, in the order of time."""
    cuts = [0, *(int(len(batch) * share) for share in np.cumsum(shares)), len(batch)]
    return tuple(batch.take(np.arange(a, b)) for a, b in pairwise(cuts))


def gathered(batch: Windows) -> np.ndarray:
    """(n, length, f) the windows themselves."""
    return batch.panel[batch.series[:, None], batch.end[:, None] + np.arange(1 - batch.length, 1)]


def changed(batch: Windows, panel: np.ndarray) -> Windows:
    """The same rows over another panel."""
    return replace(batch, panel=panel.astype(np.float32))


def spells(*, series: int = 12, steps: int = 200, noise: float = 0.6, seed: int = 0) -> Windows:
    """Oscillations that are slow or fast in spells of about 30 rows, at a random phase; target 1 where the newest row is in a fast one."""
    rng = np.random.default_rng(seed)
    state = np.zeros((series, steps), np.int64)
    for t in range(1, steps):
        state[:, t] = state[:, t - 1] ^ (rng.random(series) < 0.03)
    speed = np.where(state, 0.9, 0.45) * (1 + 0.2 * rng.normal(size=state.shape))
    phase = rng.uniform(0, 2 * np.pi, (series, 1)) + np.cumsum(speed, axis=1)
    waves = np.stack([np.sin(phase), np.cos(phase), np.zeros_like(phase)], axis=-1)
    return windows(waves + noise * rng.normal(size=waves.shape), state)
