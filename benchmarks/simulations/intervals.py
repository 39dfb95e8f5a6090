"""Block bootstraps: how often an interval misses the truth, and how often the test of a paired difference rejects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finml_models.evaluation.statistics import block_length, bootstrap_difference, bootstrap_interval, bootstrap_intervals, bootstrap_means
from finml_models.evaluation.statistics.bootstrap import Scheme

from .experiment import ALPHA, Experiment, Float, Group, Simulate
from .processes import BURN, autoregressive, garch, overlapping

Draw = Callable[[np.random.Generator, int], tuple[Float, float]]
"""(runs, n) series of mean 0, and the standard error of their means."""
Interval = Callable[[Float, int], tuple[float, float]]
"""The interval of a series (n,) with a seed."""


def memory(n: int, coefficient: float) -> Draw:
    """AR(1) of GARCH shocks."""
    return lambda rng, runs: (autoregressive(garch(rng, runs, n + BURN), coefficient), 1 / (1 - coefficient) / np.sqrt(n))


def labels(n: int, horizon: int) -> Draw:
    """Overlapping sums of GARCH shocks."""
    return lambda rng, runs: (overlapping(rng, runs, n, horizon), horizon / np.sqrt(n))


def misses(draw: Draw, interval: Interval) -> Simulate:
    """Whether the interval leaves out 0, which when real is 3 standard errors from the mean."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        series, error = draw(rng, runs)
        ends = np.array([interval(row + real * 3 * error, run) for run, row in enumerate(series)])
        return np.asarray((ends[:, 0] > 0) | (ends[:, 1] < 0))

    return simulate


def studentised(horizon: int = 1, scheme: Scheme = "stationary") -> Interval:
    """`bootstrap_interval` as it is."""
    return lambda series, seed: bootstrap_interval(series, horizon=horizon, scheme=scheme, seed=seed)


def of_two_labels(horizon: int) -> Interval:
    """Blocks of two labels, the choice for many columns at once."""

    def interval(series: Float, seed: int) -> tuple[float, float]:
        low, high = bootstrap_intervals(series[:, None], block=2 * horizon, seed=seed)
        return float(low[0]), float(high[0])

    return interval


def percentiles(horizon: int = 1) -> Interval:
    """Quantiles of the resampled means, blocks of the automatic length or of two labels."""

    def interval(series: Float, seed: int) -> tuple[float, float]:
        block = 2 * horizon if horizon > 1 else block_length(series).stationary
        low, high = np.quantile(bootstrap_means(series, block=block, seed=seed), [0.025, 0.975])
        return float(low), float(high)

    return interval


def mean_difference(draw: Draw, horizon: int, *, automatic: bool = False) -> Simulate:
    """`bootstrap_difference` of means, with its own blocks or those of the automatic length."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        series, error = draw(rng, runs)
        zeros = np.zeros(series.shape[1])
        blocks = [int(np.ceil(block_length(row).circular)) if automatic else None for row in series]
        found = (bootstrap_difference(row + real * 3 * error, zeros, horizon=horizon, block=blocks[run], seed=run) for run, row in enumerate(series))
        return np.array([result.p < ALPHA for result in found])

    return simulate


def sharpe_difference(n: int, *, coefficient: float = 0.0, better: float = 0.12) -> Simulate:
    """`bootstrap_difference` of Sharpe ratios 0.05 a day of two strategies correlated 0.5, of different volatility; `better` when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        shared, first, second = (garch(rng, runs, n + BURN) for _ in range(3))
        a, b = (np.sqrt(0.5) * (shared + own) for own in (first, second))
        scale = np.sqrt(1 - coefficient**2)
        a, b = (scale * autoregressive(x, coefficient) for x in (a, b))
        pairs = zip(0.01 * (a + (better if real else 0.05)), 0.02 * (b + 0.05), strict=True)
        return np.array([bootstrap_difference(x, y, of="sharpe", seed=run, replicates=500).p < ALPHA for run, (x, y) in enumerate(pairs)])

    return simulate


SHIFTED = "mean 3 standard errors from 0"
MISSES = "the 95 % interval misses the mean"


def _interval(name: str, scheme: str, null: str, simulate: Simulate, *, group: Group = Group.TEST, reason: str = "") -> Experiment:
    return Experiment(
        name=name,
        test=f"Bootstrap interval, {scheme}",
        null=null,
        alternative=SHIFTED,
        simulate=simulate,
        share=0.25,
        checks=MISSES,
        group=group,
        reason=reason,
    )


def _sharpe(name: str, null: str, alternative: str, simulate: Simulate) -> Experiment:
    return Experiment(name=name, test="Bootstrap of a Sharpe difference", null=null, alternative=alternative, simulate=simulate, share=0.25)


EXPERIMENTS = (
    _interval("interval-ar", "stationary", "n 500, AR(1) of 0.5", misses(memory(500, 0.5), studentised())),
    _interval("interval-ar8", "stationary", "n 1000, AR(1) of 0.8", misses(memory(1000, 0.8), studentised())),
    _interval("interval-h22", "stationary", "n 1000, labels of 22 dates", misses(labels(1000, 22), studentised(22))),
    _interval("interval-2h", "stationary, blocks of 2 labels", "n 1000, labels of 22 dates", misses(labels(1000, 22), of_two_labels(22))),
    _interval("interval-circular", "circular", "n 500, AR(1) of 0.5", misses(memory(500, 0.5), studentised(scheme="circular"))),
    _interval("interval-moving", "moving", "n 500, AR(1) of 0.5", misses(memory(500, 0.5), studentised(scheme="moving"))),
    *(
        Experiment(name=name, test="Bootstrap of a mean difference", null=null, alternative=SHIFTED, simulate=mean_difference(draw, horizon), share=0.25)
        for name, null, draw, horizon in (
            ("difference-garch", "n 500, GARCH-t", labels(500, 1), 1),
            ("difference-ar", "n 500, AR(1) of 0.5", memory(500, 0.5), 1),
            ("difference-ar8", "n 500, AR(1) of 0.8", memory(500, 0.8), 1),
            ("difference-h5", "n 500, labels of 5 dates", labels(500, 5), 5),
            ("difference-h22", "n 1000, labels of 22 dates", labels(1000, 22), 22),
        )
    ),
    _sharpe("sharpe-difference", "n 1000, GARCH-t returns correlated 0.5, both Sharpe 0.05 a day", "0.15 against 0.05", sharpe_difference(1000, better=0.15)),
    _sharpe("sharpe-difference-short", "n 500, the same", "0.18 against 0.05", sharpe_difference(500, better=0.18)),
    _sharpe("sharpe-difference-ar", "n 1000, the same with autocorrelation 0.2", "0.17 against 0.05", sharpe_difference(1000, coefficient=0.2, better=0.17)),
    *(
        _interval(name, "stationary, percentiles", null, misses(draw, percentiles(h)), group=Group.CLASSICAL, reason=reason)
        for name, null, draw, h, reason in (
            ("percentile-ar", "n 500, AR(1) of 0.5", memory(500, 0.5), 1, "the deviation of the replicates is too small, and its noise is not counted"),
            ("percentile-h22", "n 1000, labels of 22 dates", labels(1000, 22), 22, "the same, with blocks of two labels"),
        )
    ),
    Experiment(
        name="difference-automatic",
        test="Bootstrap of a mean difference, automatic blocks",
        null="n 500, AR(1) of 0.8",
        alternative=SHIFTED,
        simulate=mean_difference(memory(500, 0.8), 1, automatic=True),
        share=0.25,
        group=Group.CLASSICAL,
        reason="the length that is best for a variance is too short for a test",
    ),
)
