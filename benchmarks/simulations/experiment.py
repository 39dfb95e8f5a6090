"""What a validation by simulation is: a world in which the null holds, one in which it does not, and how often a test rejects in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from finml_models.evaluation.placebo import Rate

Float = NDArray[np.float64]
Band = tuple[float, float]
Simulate = Callable[[np.random.Generator, int, bool], NDArray[np.bool_] | Float]
"""simulate(rng, runs, real) is (runs,): whether each run rejects, or a number between 0 and 1; `real` draws from the alternative."""

ALPHA = 0.05
SIZE: Band = (0.03, 0.07)
CHUNK = 250
"""Runs that are simulated at once, to bound the memory."""


class Group(StrEnum):
    """What a row of the table is there for. Only the first kind has bars that decide."""

    TEST = "test"
    CLASSICAL = "classical"
    LIMIT = "limit"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One test under one null and one alternative, in words and as a simulation.

    `size` and `power` are the bands in which the two shares must lie. `checks` says what is looked at where the shares are no
    rejections of a test at 5 %, or why the band of the size is not 3 to 7 %; `reason` what a comparison or a limit shows.
    `share` of the runs are done: fewer where a run is dear, more where the truth is near a bar. Without an `alternative` only
    the null is simulated.
    """

    name: str
    test: str
    null: str
    simulate: Simulate
    alternative: str = ""
    size: Band = SIZE
    power: Band = (0.7, 1.0)
    share: float = 1.0
    group: Group = Group.TEST
    checks: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Measured:
    """A mean over `runs` runs with its 95 % interval: Wilson's for rejections, a normal one for other numbers."""

    value: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, outcomes: NDArray[np.bool_] | Float) -> Measured:
        """From the outcome of each run."""
        n = len(outcomes)
        if outcomes.dtype == np.bool_:
            rate = Rate(int(outcomes.sum()), n)
            return cls(rate.share, *rate.interval, n)
        mean, error = float(outcomes.mean()), float(outcomes.std(ddof=1) / np.sqrt(n))
        return cls(mean, mean - 1.96 * error, mean + 1.96 * error, n)

    def within(self, band: Band) -> bool:
        """Whether the mean itself lies in a band."""
        return band[0] <= self.value <= band[1]

    def compatible(self, band: Band, deviations: float = 3.3) -> bool:
        """Whether so many standard errors around the mean reach the band: all that few runs can say."""
        reach = deviations / 1.96
        return self.value - reach * (self.value - self.low) <= band[1] and self.value + reach * (self.high - self.value) >= band[0]


@dataclass(frozen=True)
class Result:
    """What came of an experiment."""

    experiment: Experiment
    size: Measured
    power: Measured | None

    @property
    def size_holds(self) -> bool:
        """Whether the size lies in its band."""
        return self.size.within(self.experiment.size)

    @property
    def power_holds(self) -> bool:
        """Whether the power lies in its band."""
        return self.power is None or self.power.within(self.experiment.power)

    @property
    def missed(self) -> bool:
        """Whether a bar that decides was missed."""
        return self.experiment.group is Group.TEST and not (self.size_holds and self.power_holds)


def measure(experiment: Experiment, runs: int, seed: int) -> Result:
    """Simulate both worlds; the draws follow from the seed and the experiment's name, so that each can be repeated alone."""
    count = max(2, round(runs * experiment.share))
    return Result(
        experiment, _simulated(experiment, count, seed, real=False), _simulated(experiment, count, seed, real=True) if experiment.alternative else None
    )


def _simulated(experiment: Experiment, runs: int, seed: int, *, real: bool) -> Measured:
    sizes = [CHUNK] * (runs // CHUNK) + [rest for rest in (runs % CHUNK,) if rest]
    streams = np.random.default_rng([seed, int(real), *experiment.name.encode()]).spawn(len(sizes))
    return Measured.of(np.concatenate([experiment.simulate(rng, size, real) for rng, size in zip(streams, sizes, strict=True)]))
