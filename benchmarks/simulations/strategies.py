"""Sharpe ratios after their tails, their length and the number of strategies that were tried."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finml_models.evaluation.statistics import expected_maximum_sharpe, minimum_track_record
from finml_models.evaluation.statistics.overfitting import half_sample_ranks
from finml_models.evaluation.statistics.sharpe import sharpe_moments, sharpe_probability

from .experiment import ALPHA, Experiment, Float, Group, Simulate
from .processes import BURN, autoregressive, crash_moments, crashes, garch, heavy_tails

Returns = Callable[[np.random.Generator, tuple[int, int]], Float]


def memory(rng: np.random.Generator, shape: tuple[int, int]) -> Float:
    """Returns of variance 1 with autocorrelation 0.2."""
    return np.sqrt(1 - 0.2**2) * autoregressive(heavy_tails(rng, (shape[0], shape[1] + BURN)), 0.2)


def clusters(rng: np.random.Generator, shape: tuple[int, int]) -> Float:
    """GARCH-t returns."""
    return garch(rng, *shape)


def probabilistic(n: int, returns: Returns, *, benchmark: float, better: float) -> Simulate:
    """True Sharpe ratio `benchmark`, and `better` when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        moments = sharpe_moments(returns(rng, (runs, n)) + (better if real else benchmark))
        return 1 - sharpe_probability(moments[0], n, *moments[1:], benchmark=benchmark) < ALPHA

    return simulate


def best_of(strategies: int, n: int, *, real_one: float, deflate: bool = True) -> Simulate:
    """The best of so many strategies, worthless all; when real one of them has this Sharpe ratio."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        rejected = np.empty(runs, dtype=bool)
        for run in range(runs):
            returns = heavy_tails(rng, (strategies, n))
            returns[0] += real * real_one
            sharpes, skewnesses, kurtoses = sharpe_moments(returns)
            best = int(sharpes.argmax())
            benchmark = expected_maximum_sharpe(sharpes.var(ddof=1), strategies) if deflate else 0.0
            likely = sharpe_probability(sharpes[best], n, skewnesses[best], kurtoses[best], benchmark=benchmark)
            rejected[run] = 1 - likely < ALPHA and (best == 0 or not real)
        return rejected

    return simulate


def largest(strategies: int, n: int) -> Simulate:
    """The best Sharpe ratio of worthless strategies over its expectation."""

    def simulate(rng: np.random.Generator, runs: int, _real: bool) -> np.ndarray:
        best = np.array([sharpe_moments(heavy_tails(rng, (strategies, n)))[0].max() for _ in range(runs)])
        return np.asarray(best / expected_maximum_sharpe(1 / (n - 1), strategies))

    return simulate


def track_record(sharpe: float) -> Simulate:
    """The probabilistic Sharpe ratio after the minimum track record of this Sharpe ratio, which is the true one when real and 0 otherwise."""
    skewness, kurtosis = crash_moments()
    n = int(np.ceil(minimum_track_record(sharpe, skewness=skewness, kurtosis=kurtosis)))
    return probabilistic(n, crashes, benchmark=0.0, better=sharpe)


def overfitting(strategies: int, n: int, *, real_one: float) -> Simulate:
    """Probability of backtest overfitting of pure noise, and with one strategy of this Sharpe ratio when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        found = np.empty(runs)
        for run in range(runs):
            returns = heavy_tails(rng, (n, strategies))
            returns[:, 0] += real * real_one
            _, _, ranks = half_sample_ranks(returns[None], 10)
            found[run] = (ranks / (strategies + 1) <= 0.5).mean()
        return found

    return simulate


EXPERIMENTS = (
    Experiment(
        name="psr",
        test="Probabilistic Sharpe ratio",
        null="n 250, independent t(5) returns, Sharpe ratio 0",
        alternative="Sharpe ratio 0.2 a day",
        simulate=probabilistic(250, heavy_tails, benchmark=0.0, better=0.2),
    ),
    Experiment(
        name="psr-crashes",
        test="Probabilistic Sharpe ratio",
        null="n 1000, returns with crashes (skewness -0.9, kurtosis 7), Sharpe ratio 0.1, which is the benchmark",
        alternative="0.2 against 0.1",
        simulate=probabilistic(1000, crashes, benchmark=0.1, better=0.2),
    ),
    Experiment(
        name="psr-garch",
        test="Probabilistic Sharpe ratio",
        null="n 1000, GARCH-t returns, Sharpe ratio 0",
        alternative="Sharpe ratio 0.1 a day",
        simulate=probabilistic(1000, clusters, benchmark=0.0, better=0.1),
    ),
    Experiment(
        name="dsr",
        test="Deflated Sharpe ratio",
        null="the best of 100 worthless strategies, n 1000, t(5) returns",
        alternative="one of them has a Sharpe ratio of 0.18 a day, and is found",
        simulate=best_of(100, 1000, real_one=0.18),
        size=(0.0, 0.07),
        share=0.25,
        checks="no more than 7 %: its benchmark is the expected maximum, which the best exceeds half of the time, and 1.64 standard errors on top are rare",
    ),
    Experiment(
        name="expected-maximum",
        test="Expected maximum Sharpe ratio",
        null="100 worthless strategies, n 1000",
        simulate=largest(100, 1000),
        size=(0.97, 1.03),
        share=0.25,
        checks="no test: mean of the best Sharpe ratio over its expectation, 0.97 to 1.03",
    ),
    Experiment(
        name="mintrl",
        test="Minimum track record length",
        null="returns with crashes of Sharpe ratio 0, as long as 0.1 a day needs (n 301)",
        alternative="Sharpe ratio 0.1: it is exceeded half of the time",
        simulate=track_record(0.1),
        power=(0.47, 0.53),
        checks="at that length an observed ratio of 0.1 is just significant, so that a true one is in half of the cases: power 47 to 53 %",
    ),
    Experiment(
        name="pbo",
        test="Probability of backtest overfitting",
        null="50 worthless strategies, n 1000, 10 blocks",
        alternative="one with a Sharpe ratio of 0.2 a day: mean at most 5 %",
        simulate=overfitting(50, 1000, real_one=0.2),
        size=(0.45, 0.55),
        power=(0.0, 0.05),
        share=0.25,
        checks="no test: mean of the probability, 45 to 55 % for noise",
    ),
    Experiment(
        name="psr-best",
        test="Probabilistic Sharpe ratio of the best",
        null="the best of 100 worthless strategies, n 1000, t(5) returns",
        alternative="one of them has a Sharpe ratio of 0.18 a day, and is found",
        simulate=best_of(100, 1000, real_one=0.18, deflate=False),
        share=0.125,
        group=Group.CLASSICAL,
        reason="a selection that is not paid for",
    ),
    Experiment(
        name="psr-monthly",
        test="Probabilistic Sharpe ratio",
        null="n 60, returns with crashes, Sharpe ratio 0.3, which is the benchmark",
        alternative="0.8 against 0.3",
        simulate=probabilistic(60, crashes, benchmark=0.3, better=0.8),
        group=Group.LIMIT,
        reason="five years of months hold one crash or none, so that skewness and kurtosis are not known",
    ),
    Experiment(
        name="psr-clusters",
        test="Probabilistic Sharpe ratio",
        null="n 1000, GARCH-t returns, Sharpe ratio 0.1, which is the benchmark",
        alternative="0.2 against 0.1",
        simulate=probabilistic(1000, clusters, benchmark=0.1, better=0.2),
        group=Group.LIMIT,
        reason="the typical sample lacks the wildest days, so that its volatility is too low and its ratio too high; no standard error mends that",
    ),
    Experiment(
        name="psr-memory",
        test="Probabilistic Sharpe ratio",
        null="n 1000, returns with autocorrelation 0.2, Sharpe ratio 0",
        alternative="Sharpe ratio 0.15 a day",
        simulate=probabilistic(1000, memory, benchmark=0.0, better=0.15),
        group=Group.LIMIT,
        reason="the standard error assumes independent returns; use bootstrap_difference(of='sharpe')",
    ),
)
