"""Tests of forecasts' losses: Diebold-Mariano, Giacomini-White, Holm over many of them, Student on independent units."""

from __future__ import annotations

import numpy as np

from finml_models.evaluation.statistics import holm
from finml_models.evaluation.statistics.arrays import Alternative
from finml_models.evaluation.statistics.diebold_mariano import Variance, standard_errors, student_p
from finml_models.evaluation.statistics.giacomini_white import Law, conditional_tests, wald_test
from finml_models.evaluation.statistics.independent import jackknife, paired_t

from .experiment import ALPHA, Experiment, Float, Group, Simulate
from .processes import autoregressive, crashes, heavy_tails, log_errors, overlapping, qlike, variance_ratio

GARCH = "differentials: sums of GARCH-t shocks over the label"
SHIFTED = "mean 3 standard errors from 0"


def differential_p(d: Float, horizon: int, alternative: Alternative = "two-sided", variance: Variance = "cosine") -> Float:
    """(...,) p-values of Diebold and Mariano's test, as `diebold_mariano` computes them for a single series."""
    mean, se, degrees = standard_errors(d, horizon=horizon, variance=variance)
    return student_p(mean / se, degrees, alternative)


def shifted(n: int, horizon: int, variance: Variance = "cosine") -> Simulate:
    """Two-sided, on overlapping GARCH shocks."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        d = overlapping(rng, runs, n, horizon) + real * 3 * horizon / np.sqrt(n)
        return differential_p(d, horizon, variance=variance) < ALPHA

    return simulate


def volatility_forecasts(n: int, horizon: int, *, model: tuple[float, float], reference: tuple[float, float], better: float) -> Simulate:
    """One-sided, on QLIKE of two variance forecasts given by the deviation and the memory of their log errors; `better` is the model's deviation when real."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        ratio = variance_ratio(rng, runs, n, horizon)
        own = log_errors(rng, runs, n, deviation=better if real else model[0], memory=model[1])
        other = log_errors(rng, runs, n, deviation=reference[0], memory=reference[1])
        return differential_p(qlike(ratio, own) - qlike(ratio, other), horizon, "less") < ALPHA

    return simulate


def regimes(n: int, horizon: int, strength: float, law: Law = "student") -> Simulate:
    """Under the alternative the better forecast changes with a hidden regime that lasts, while neither is better on average.

    `strength` is by how much, in standard deviations of a differential.
    """

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        d = overlapping(rng, runs, n, horizon) / np.sqrt(horizon)
        if real:
            slow = autoregressive(rng.standard_normal((runs, n + 100)), 0.98)
            d = d + strength * np.sign(slow)
        if law == "wald":
            return wald_test(d, horizon=horizon)[1] < ALPHA
        return 2 * conditional_tests(d, horizon=horizon)[1].min(axis=-1) < ALPHA

    return simulate


def family(n: int, horizon: int, models: int, real_ones: int, *, always: bool = False) -> Simulate:
    """Any false rejection among models against one baseline; when real, the share of the better ones that is found.

    `always`: the better ones are better under the null too, and by so much that they are always found.
    """

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        common = overlapping(rng, runs, n, horizon)
        d = np.stack([np.sqrt(0.5) * (common + overlapping(rng, runs, n, horizon)) for _ in range(models)], axis=1)
        if real or always:
            d[:, :real_ones] -= (8 if always else 4) * horizon / np.sqrt(n)
        rejected = np.array([holm(row) for row in differential_p(d, horizon, "less").tolist()]) < ALPHA
        worthless = rejected[:, real_ones:] if always else rejected
        return rejected[:, :real_ones].mean(axis=1) if real else worthless.any(axis=1)

    return simulate


def units(n: int) -> Simulate:
    """Student's test, one-sided, on independent units with skewed differentials."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        d = crashes(rng, (runs, n)) - real * 3 / np.sqrt(n)
        return np.array([paired_t(row, np.zeros(n), alternative="less").p < ALPHA for row in d])

    return simulate


def areas(accounts: int, groups: int) -> Simulate:
    """Student's test on pseudo-values of a grouped jackknife of two areas under the ROC curve; a tenth of the accounts are bad."""
    from finml_models.evaluation.metrics import metric

    value = metric("auc").value

    def rejects(rng: np.random.Generator, real: bool) -> bool:
        bad = (rng.random(accounts) < 0.1).astype(np.float64)
        shared, own, other = rng.standard_normal((3, accounts))
        group = rng.permutation(np.arange(accounts) * groups // accounts)
        scores = [np.sqrt(0.6) * shared + np.sqrt(0.4) * noise + lift * bad for noise, lift in ((own, 1.6 if real else 1.0), (other, 1.0))]
        a, b = (jackknife(lambda kept, score=score: value({"target": bad[kept], "score": score[kept]}), group) for score in scores)
        return paired_t(a, b).p < ALPHA

    return lambda rng, runs, real: np.array([rejects(rng, real) for _ in range(runs)])


def drifting(n: int) -> Simulate:
    """A differential whose memory outlasts its label: AR(1) of 0.9."""

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        d = autoregressive(heavy_tails(rng, (runs, n + 100)), 0.9) + real * 30 / np.sqrt(n)
        return differential_p(d, 1) < ALPHA

    return simulate


REGIMES = ((1, 0.5), (5, 0.8), (22, 2.0))
SAME, FAST, SLOW = (0.3, 0.9), (0.3, 0.5), (0.3, 0.95)

EXPERIMENTS = (
    *(
        Experiment(
            name=f"dm-h{h}", test=f"Diebold-Mariano, horizon {h}", null=f"n {n}; {GARCH}", alternative=SHIFTED, simulate=shifted(n, h), power=(0.65, 1.0)
        )
        for n, h in ((1000, 1), (1000, 5), (1000, 22))
    ),
    *(
        Experiment(
            name=f"dm-short-h{h}", test=f"Diebold-Mariano, horizon {h}", null=f"n 250; {GARCH}", alternative=SHIFTED, simulate=shifted(250, h), power=floor
        )
        for h, floor in ((5, (0.65, 1.0)), (22, (0.3, 1.0)))
    ),
    *(
        Experiment(
            name=f"dm-qlike-h{h}",
            test=f"Diebold-Mariano, horizon {h}, one-sided",
            null="n 1000; QLIKE of two variance forecasts with log errors of 0.3, AR(1) of 0.9",
            alternative="the model's log errors are 0.15",
            simulate=volatility_forecasts(1000, h, model=SAME, reference=SAME, better=0.15),
        )
        for h in (1, 5, 22)
    ),
    *(
        Experiment(
            name=f"gw-h{h}",
            test=f"Giacomini-White, horizon {h}",
            null=f"n 1000; {GARCH}",
            alternative=f"a regime that lasts makes either better by {strength:g} deviations; none on average",
            simulate=regimes(1000, h, strength),
            power=(0.5, 1.0),
        )
        for h, strength in REGIMES
    ),
    Experiment(
        name="holm-10",
        test="Holm over 10 Diebold-Mariano tests",
        null="n 1000, horizon 5; 10 models no better than one baseline, differentials correlated 0.5",
        alternative="3 of them better by 4 standard errors: share of them found",
        simulate=family(1000, 5, 10, 3),
        share=0.5,
        checks="any false rejection among the ten",
    ),
    Experiment(
        name="holm-7-of-10",
        test="Holm over 10 Diebold-Mariano tests",
        null="as above, but 3 are better by 8 standard errors",
        simulate=family(1000, 5, 10, 3, always=True),
        share=0.5,
        checks="any false rejection among the other seven",
    ),
    Experiment(
        name="paired-t",
        test="Paired Student, one-sided",
        null="200 independent units; differentials with rare crashes",
        alternative=SHIFTED,
        simulate=units(200),
    ),
    Experiment(
        name="jackknife-auc",
        test="Paired Student on a grouped jackknife",
        null="AUC of two scores correlated 0.6 on 500 accounts, 10 % bad, 50 groups",
        alternative="AUC 0.87 against 0.76",
        simulate=areas(500, 50),
        share=0.06,
    ),
    *(
        Experiment(
            name=f"dm-bartlett-h{h}",
            test=f"Diebold-Mariano, horizon {h}, Bartlett and Harvey-Leybourne-Newbold",
            null=f"n 1000; {GARCH}",
            alternative=SHIFTED,
            simulate=shifted(1000, h, "bartlett"),
            group=Group.CLASSICAL,
            reason="the textbook's choice" if h == 1 else "the kernel's bias and the noise of its estimate are not in the normal quantile",
        )
        for h in (1, 5, 22)
    ),
    *(
        Experiment(
            name=f"gw-wald-h{h}",
            test=f"Giacomini-White, horizon {h}, Wald",
            null=f"n 1000; {GARCH}",
            alternative=f"a regime that lasts makes either better by {strength:g} deviations; none on average",
            simulate=regimes(1000, h, strength, "wald"),
            group=Group.CLASSICAL,
            reason="the paper's statistic" if h == 1 else "truncated Bartlett weights are too small where labels overlap",
        )
        for h, strength in REGIMES
    ),
    *(
        Experiment(
            name=f"dm-{name}-h22",
            test="Diebold-Mariano, horizon 22, one-sided",
            null=f"n 1000; QLIKE; log errors of 0.3 with AR(1) of {model[1]} for the model, {reference[1]} for the reference",
            alternative="the model's log errors are 0.15",
            simulate=volatility_forecasts(1000, 22, model=model, reference=reference, better=0.15),
            group=Group.LIMIT,
            reason="errors that last make the mean differential skewed, and a one-sided test feels it; a two-sided one hardly does",
        )
        for name, model, reference in (("slow", SLOW, FAST), ("fast", FAST, SLOW))
    ),
    Experiment(
        name="dm-memory",
        test="Diebold-Mariano, horizon 1",
        null="n 1000; differentials are an AR(1) of 0.9",
        alternative=SHIFTED,
        simulate=drifting(1000),
        group=Group.LIMIT,
        reason="memory beyond the label's length; pass a horizon as long as the memory",
    ),
)
