"""Faults put into clean market rows, each labelled: what a broken feed, a wrong symbol or a market gone mad looks like.

A session is anomalous when its own return, range or volume is not what happened: the session of a spike and the one on which the
price comes back, the session on which a level shifts and none after it, every session of a burst, of a stale feed (and the one on
which it catches up) and of an asset that trades like another. Whether a session is labelled depends on no session after it.

Faulted rows are valid rows. Prices stay positive and bars consistent, so that the rules of `clean` neither drop nor change one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Fault(IntEnum):
    """The values of the column `anomaly`. Rows that somebody else labelled may say no more than that something is wrong."""

    NONE = 0
    UNNAMED = 1
    SPIKE = 2
    LEVEL_SHIFT = 3
    VARIANCE_BURST = 4
    STALE_PRICE = 5
    DECOUPLING = 6


MOST = max(Fault)
INJECTED = (Fault.SPIKE, Fault.LEVEL_SHIFT, Fault.VARIANCE_BURST, Fault.STALE_PRICE, Fault.DECOUPLING)
LENGTHS = {Fault.SPIKE: (1, 1), Fault.LEVEL_SHIFT: (1, 1), Fault.VARIANCE_BURST: (4, 8), Fault.STALE_PRICE: (3, 5), Fault.DECOUPLING: (5, 10)}
"""Shortest and longest fault, in sessions; a stale feed catches up, and a spike comes back, on one session more."""
JUMP = (5.0, 15.0)
"""Size of spikes and level shifts, in daily standard deviations: from what happens a few times a year to what never does."""
BURST = 4.0
"""Factor on returns and range: sixteen times the variance."""
MEMORY = 60
"""Sessions before a fault that it is measured by, and that a decoupled asset takes its returns from."""
APART = 30
"""Least number of sessions from the beginning of one fault to that of the next of the asset."""


def inject(frame: pd.DataFrame, *, seed: int, every: int = 700) -> pd.DataFrame:
    """A raw market frame with faults and the column `anomaly` (`Fault`), in the order of its rows; the frame itself is left as it is.

    The faults of an asset follow from the seed, its name and its rows alone, so that other assets change nothing. `every` is the mean
    number of sessions from one fault to the next. A realised variance stays as it was: it comes from another feed than the prices.
    """
    columns = ["open", "high", "low", "close", "volume"]
    out, label = frame.copy(), np.zeros(len(frame))
    values = frame[columns].to_numpy(np.float64, copy=True)
    for name, rows in frame.groupby("entity", sort=True).indices.items():
        stream = [seed, zlib.crc32(str(name).encode())]
        series = _Series(np.diff(np.log(values[rows, 3]), prepend=np.nan), values[rows], np.zeros(len(rows)))
        for fault, start, length in _plan(np.random.default_rng(stream), len(rows), every):
            # A stream of its own for each fault: those before it are the same with fewer rows behind it.
            series.hit(np.random.default_rng([*stream, start]), fault, start, length)
        values[rows], label[rows] = series.bars, series.label
    out[columns] = values
    out.insert(out.columns.get_loc("known_at"), "anomaly", label)
    return out


def _plan(rng: np.random.Generator, sessions: int, every: int) -> list[tuple[Fault, int, int]]:
    """Kind, first session and length of each fault: the kinds in random order, each as often as any other."""
    found: list[tuple[Fault, int, int]] = []
    waiting: list[Fault] = []
    at = MEMORY + 1 + round(rng.exponential(every))
    while True:
        waiting = waiting or [INJECTED[i] for i in rng.permutation(len(INJECTED))]
        fault = waiting.pop()
        shortest, longest = LENGTHS[fault]
        length = int(rng.integers(shortest, longest + 1))
        if at + length + 1 >= sessions:
            return found
        found.append((fault, at, length))
        at += max(APART, round(rng.exponential(every)))


@dataclass
class _Series:
    """One asset on its way through its faults.

    Shapes: returns (t,) what happened, the first NaN; bars (t, 5) open, high, low, close, volume as they are told; label (t,).
    """

    returns: Float
    bars: Float
    label: Float

    def hit(self, rng: np.random.Generator, fault: Fault, start: int, length: int) -> None:
        """Put one fault in; the sessions before `start` stay what they are."""
        past, own = self.returns[start - MEMORY : start], self.returns[start : start + length]
        jump = past.std() * rng.uniform(*JUMP) * rng.choice([-1.0, 1.0])
        stretch, until = 1.0, start + length
        match fault:
            case Fault.SPIKE:
                self._move(start, until, np.full(length, jump))
                until += 1
            case Fault.LEVEL_SHIFT:
                self._move(start, len(self.bars), np.full(len(self.bars) - start, jump))
            case Fault.VARIANCE_BURST:
                stretch = BURST
                self._follow(start, length, own * BURST)
            case Fault.DECOUPLING:
                self._follow(start, length, rng.permutation(past)[:length])
            case Fault.STALE_PRICE:
                self.bars[start:until] = self.bars[start - 1]
                until += 1
        if stretch != 1.0:
            prices = self.bars[start : start + length, :4]
            prices[:] = prices[:, 3:] * (prices / prices[:, 3:]) ** stretch
        self.label[start:until] = fault

    def _follow(self, start: int, length: int, returns: Float) -> None:
        """Other log returns (length,) for some sessions; later ones keep theirs, at the new level."""
        close = np.log(self.bars[start - 1 : start + length, 3])
        shift = np.cumsum(returns - np.diff(close))
        self._move(start, start + length, shift)
        self._move(start + length, len(self.bars), np.full(len(self.bars) - start - length, shift[-1]))

    def _move(self, start: int, stop: int, shift: Float) -> None:
        """Multiply whole bars by exp(shift)."""
        self.bars[start:stop, :4] *= np.exp(shift)[:, None]
