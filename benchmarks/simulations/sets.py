"""The model confidence set: does it keep all of the best models, and does it drop the others?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finml_models.evaluation.statistics import model_confidence_set
from finml_models.evaluation.statistics.model_confidence_set import Rule, Studentise

from .experiment import ALPHA, Experiment, Float, Group, Simulate
from .processes import BURN, autoregressive, garch, overlapping

Draw = Callable[[np.random.Generator, int], Float]
WORSE = 5.0
"""How much worse a bad model is, in standard errors of a single loss's mean."""


def equal(n: int, horizon: int, models: int) -> Draw:
    """(runs, n, models) losses of equal mean that share half of their variance."""

    def draw(rng: np.random.Generator, runs: int) -> Float:
        common = overlapping(rng, runs, n, horizon)
        return np.sqrt(0.5) * np.stack([common + overlapping(rng, runs, n, horizon) for _ in range(models)], axis=-1) / horizon

    return draw


def one_drifts(n: int, models: int) -> Draw:
    """As `equal`, but the errors of the first model are an AR(1) of 0.8."""

    def draw(rng: np.random.Generator, runs: int) -> Float:
        losses = equal(n, 1, models)(rng, runs)
        losses[..., 0] += autoregressive(garch(rng, runs, n + BURN), 0.8)
        return losses

    return draw


def confidence_set(
    draw: Draw, horizon: int, best: int, *, always: bool = False, rule: Rule = "max", studentise: Studentise = "replicate", block: float | None = None
) -> Simulate:
    """Whether one of the best models is dropped; when real, the share of the others that is. The first `best` are best under the alternative.

    `always`: the others are worse under the null too. Otherwise all models are equal there.
    """

    def simulate(rng: np.random.Generator, runs: int, real: bool) -> np.ndarray:
        losses = draw(rng, runs)
        n, models = losses.shape[1:]
        if real or always:
            losses[..., best:] += WORSE / np.sqrt(n)
        kept = np.empty((runs, models), dtype=bool)
        for run, values in enumerate(losses):
            found = model_confidence_set(values, horizon=horizon, rule=rule, studentise=studentise, block=block, seed=run, replicates=400)
            kept[run] = np.array(found.p) >= ALPHA
        if real:
            return np.asarray(1 - kept[:, best:].mean(axis=1))
        return np.asarray(~kept[:, : best if always else models].all(axis=1))

    return simulate


ONE_BAD = f"one of them worse by {WORSE:g} standard errors: it is dropped"
ONE_GOOD = f"all but one worse by {WORSE:g} standard errors: share of them dropped"
DROPPED = "a best model is dropped from the 95 % set"


def _experiment(name: str, null: str, simulate: Simulate, *, group: Group = Group.TEST, reason: str = "", alternative: str = ONE_BAD) -> Experiment:
    share, test = 0.25 if group is Group.TEST else 0.125, "Model confidence set"
    return Experiment(name=name, test=test, null=null, alternative=alternative, simulate=simulate, share=share, checks=DROPPED, group=group, reason=reason)


EXPERIMENTS = (
    _experiment("mcs-h1", "n 500, 5 equal models, half of the variance shared", confidence_set(equal(500, 1, 5), 1, 4)),
    _experiment("mcs-h5", "n 1000, horizon 5, 5 equal models", confidence_set(equal(1000, 5, 5), 5, 4)),
    _experiment("mcs-h22", "n 1000, horizon 22, 5 equal models", confidence_set(equal(1000, 22, 5), 22, 4)),
    _experiment("mcs-10-h1", "n 500, 10 equal models", confidence_set(equal(500, 1, 10), 1, 9)),
    _experiment("mcs-10-h22", "n 1000, horizon 22, 10 equal models", confidence_set(equal(1000, 22, 10), 22, 9)),
    _experiment("mcs-drift", "n 500, 5 equal models, the errors of one with memory 0.8", confidence_set(one_drifts(500, 5), 1, 4)),
    _experiment(
        "mcs-best",
        "n 500, 6 models, 3 of them worse by 5 standard errors",
        confidence_set(equal(500, 1, 6), 1, 3, always=True),
        alternative="the same: share of the worse ones dropped",
    ),
    *(
        _experiment(
            f"mcs-range-h{h}",
            f"n {n}, horizon {h}, 5 equal models, range statistic",
            confidence_set(equal(n, h, 5), h, 1, rule="range"),
            alternative=ONE_GOOD,
        )
        for n, h in ((500, 1), (1000, 22))
    ),
    *(
        _experiment(
            f"mcs-bootstrap-h{h}",
            f"n {n}, horizon {h}, 5 equal models, studentised by the bootstrap's deviation",
            confidence_set(equal(n, h, 5), h, 4, studentise="bootstrap"),
            group=Group.CLASSICAL,
            reason="the paper's variant" if h == 1 else "one standard error for all replicates, as in a percentile interval",
        )
        for n, h in ((500, 1), (1000, 22))
    ),
    _experiment(
        "mcs-long-h22",
        "n 1000, horizon 22, 5 equal models, blocks of 84 dates",
        confidence_set(equal(1000, 22, 5), 22, 4, block=84.0),
        group=Group.CLASSICAL,
        reason="eleven blocks of nearly four labels are too few; finml's are two labels long",
    ),
    _experiment(
        "mcs-one-good",
        "n 500, 10 equal models",
        confidence_set(equal(500, 1, 10), 1, 1),
        alternative=ONE_GOOD,
        group=Group.LIMIT,
        reason="T_max compares with the mean of all, near which nine equal models lie; to single out one good model use rule='range'",
    ),
    _experiment(
        "mcs-10-h5",
        "n 500, horizon 5, 10 equal models",
        confidence_set(equal(500, 5, 10), 5, 9),
        group=Group.LIMIT,
        reason="the longest of ten automatic blocks is long for 500 dates: the set is a little too large, which errs on the safe side",
    ),
)
