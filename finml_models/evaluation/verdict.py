"""What the statistics say of a model against its baselines, and whether it may be released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen
from finml_models.core.task import Gate, Task

from .metrics import metric
from .statistics import DMResult, diebold_mariano, holm

Float = NDArray[np.float64]

POWER = 0.8
"""Chance of a decision that the sample size of an inconclusive result is computed for."""


class Verdict(StrEnum):
    """What a comparison with the best baseline came to."""

    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"


class Judgement(Frozen):
    """A comparison of mean losses over dates; `difference` is model minus baseline, so below zero is better."""

    verdict: Verdict
    model: str
    against: str
    metric: str
    model_value: float
    baseline_value: float
    difference: float
    low: float
    high: float
    level: float = Field(description="level of the interval; its upper end is the one-sided bound at alpha")
    p: float = Field(ge=0, le=1, description="one-sided: the model's loss is smaller")
    p_adjusted: float = Field(ge=0, le=1, description="after Holm over the models tried")
    tried: int = Field(ge=1)
    margin: float = Field(ge=0, description="largest difference that still counts as no worse, on the metric's scale")
    dates: int = Field(ge=1)
    dates_needed: int | None = Field(None, description="dates with which a difference of this size would decide, for an inconclusive verdict")
    sentence: str


class Check(Frozen):
    """One condition of the gate. Checks that do not block are shown and do not decide."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    sentence: str
    blocking: bool = True


class GateResult(Frozen):
    """Whether an entry may be released, why, and by which version of the rule."""

    passed: bool
    version: str
    checks: tuple[Check, ...]


def best(losses: Mapping[str, Float]) -> str:
    """The entry with the lowest mean loss; among equals the first in the mapping's order."""
    return min(losses, key=lambda name: float(losses[name].mean()))


def adjusted(p: float, others: Sequence[float] = (), tried: int = 1) -> float:
    """Holm's p of one model among all that were tried.

    `others` are the p-values of other tried models; models of which only the number `tried` is known count as p = 1,
    which no actual value can make stricter for this one.
    """
    unknown = max(0, tried - 1 - len(others))
    return holm([p, *others, *[1.0] * unknown])[0]


def judge(
    model: Float,
    baseline: Float,
    *,
    horizon: int,
    margin: float,
    alpha: float = 0.05,
    others: Sequence[float] = (),
    tried: int = 1,
    name: str = "the model",
    against: str = "the best baseline",
    measure: str = "loss",
) -> Judgement:
    """Judge losses by date (n,) against a baseline's on the same dates.

    - SUPERIOR: one-sided Diebold-Mariano p below `alpha` after Holm over the models tried.
    - NON_INFERIOR: the upper end of the 1 - 2 alpha interval of the difference lies below `margin` × the baseline's loss.
    - INFERIOR: the interval lies above zero and reaches beyond the margin.
    - INCONCLUSIVE: anything else, with the number of dates that would decide if the difference stayed as it is.
    """
    result = diebold_mariano(model, baseline, horizon=horizon, alternative="less")
    p_adjusted = adjusted(result.p, others, tried)
    low, high = result.interval(1 - 2 * alpha)
    reference = float(baseline.mean())
    allowed = margin * abs(reference)
    if p_adjusted < alpha and result.mean < 0:
        verdict = Verdict.SUPERIOR
    elif high < allowed or (result.se == 0 and result.mean <= 0):
        verdict = Verdict.NON_INFERIOR
    elif low > 0:
        verdict = Verdict.INFERIOR
    else:
        verdict = Verdict.INCONCLUSIVE
    needed = _dates_needed(result, allowed, alpha) if verdict is Verdict.INCONCLUSIVE else None
    relative = f"{abs(result.mean / reference):.1%} {'lower' if result.mean < 0 else 'higher'} than" if result.mean and reference else "equal to"
    said = {
        Verdict.SUPERIOR: f"{name} is better than {against}",
        Verdict.NON_INFERIOR: f"{name} is no worse than {against} within the margin of {margin:.0%}",
        Verdict.INFERIOR: f"{name} is worse than {against}",
        Verdict.INCONCLUSIVE: f"{result.n:,} dates do not decide between {name} and {against}; about {needed or 0:,} would, at this difference",
    }[verdict]
    sentence = (
        f"{said}: its {measure} is {relative} the baseline's ({result.mean + reference:.4g} against {reference:.4g}; {1 - 2 * alpha:.0%} interval of the "
        f"difference {low:+.3g} to {high:+.3g}; p = {p_adjusted:.2g} for being better{f', after Holm over {tried} models' if tried > 1 else ''})."
    )
    return Judgement(
        verdict=verdict,
        model=name,
        against=against,
        metric=measure,
        model_value=float(model.mean()),
        baseline_value=reference,
        difference=result.mean,
        low=low,
        high=high,
        level=1 - 2 * alpha,
        p=result.p,
        p_adjusted=p_adjusted,
        tried=max(tried, 1 + len(others)),
        margin=allowed,
        dates=result.n,
        dates_needed=needed,
        sentence=sentence,
    )


def gate(
    task: type[Task],
    *,
    entry: str,
    judgement: Judgement,
    losses: Mapping[str, Float],
    years: NDArray[np.int64],
    coverage: float,
    milliseconds: float,
    megabytes: float,
    others_naive: Sequence[float] = (),
    extra: Sequence[Check] = (),
) -> GateResult:
    """Apply a task's gate to one entry.

    `losses` holds the primary metric by date, (d,) each, of the entry and of every baseline of the task; `years` (d,) the
    slice of each date; `coverage` the observed share inside the guard's interval; `others_naive` the one-sided p-values
    of other tried models against the naive reference; `extra` a use case's own checks, such as a leak alarm.

    A model passes when every check does. A baseline passes when it is the best of the task's baselines, so that exactly
    one of them can be released: an honest pipeline must be able to deploy the baseline that won, also on a day on which
    no model did. Its guards are measured and shown all the same, without deciding.
    """
    rule = task.gate
    if missing := sorted({entry, *task.baselines} - set(losses)):
        raise DataError(f"gate: no losses of {', '.join(missing)}; score every baseline of {task.id()} on the same dates")
    is_baseline = entry in task.baselines
    winner = best({name: losses[name] for name in task.baselines})
    guards = [
        _coverage(rule, coverage),
        _worst_slice(task, losses[entry], winner, losses[winner], years),
        _budget("latency", milliseconds, rule.budget.milliseconds, "ms a prediction on one core"),
        _budget("size", megabytes, rule.budget.megabytes, "MB of artifact"),
        *extra,
    ]
    if is_baseline:
        guards = [check.model_copy(update={"blocking": False}) for check in guards]
        checks = [_best_baseline(entry, winner, losses), *guards]
    else:
        checks = [_beats_naive(task, entry, losses, others_naive, judgement.tried), _expert(judgement), _distinct(task, entry, losses), *guards]
    return GateResult(passed=all(check.passed for check in checks if check.blocking), version=rule.version, checks=tuple(checks))


def _dates_needed(result: DMResult, margin: float, alpha: float) -> int:
    """Dates n at which some verdict falls with probability `POWER`, were the difference and its dispersion those observed.

    The widest gap decides: |δ| for better or worse, margin - δ for no worse; n = dates × ((z_alpha + z_power) se / gap)².
    """
    from scipy.special import ndtri

    gap = max(abs(result.mean), margin - result.mean)
    return max(result.n + 1, int(np.ceil(min(1e9, result.n * ((ndtri(1 - alpha) + ndtri(POWER)) * result.se / max(gap, 1e-300)) ** 2))))


def _best_baseline(entry: str, winner: str, losses: Mapping[str, Float]) -> Check:
    own, lowest = float(losses[entry].mean()), float(losses[winner].mean())
    sentence = (
        f"{entry} has the lowest loss of the baselines ({own:.4g})." if entry == winner else f"{winner} has a lower loss ({lowest:.4g} against {own:.4g})."
    )
    return Check(name="best baseline", passed=entry == winner, value=own, limit=lowest, sentence=sentence)


def _beats_naive(task: type[Task], entry: str, losses: Mapping[str, Float], others: Sequence[float], tried: int) -> Check:
    rule = task.gate
    result = diebold_mariano(losses[entry], losses[rule.naive], horizon=max(task.horizons, default=1), alternative="less")
    p = adjusted(result.p, others, tried)
    passed = p < rule.alpha and result.mean < 0
    sentence = f"{'Significantly better' if passed else 'Not significantly better'} than the naive reference {rule.naive} (p = {p:.2g}, limit {rule.alpha:g})."
    return Check(name="beats naive", passed=passed, value=p, limit=rule.alpha, sentence=sentence)


def _expert(judgement: Judgement) -> Check:
    return Check(
        name="best baseline",
        passed=judgement.verdict in {Verdict.SUPERIOR, Verdict.NON_INFERIOR},
        value=judgement.high,
        limit=judgement.margin,
        sentence=judgement.sentence,
    )


def _distinct(task: type[Task], entry: str, losses: Mapping[str, Float]) -> Check:
    copies = [name for name in task.baselines if np.array_equal(losses[name], losses[entry])]
    sentence = f"Its losses are those of {copies[0]}, bit for bit: it is the baseline itself." if copies else "Its losses differ from those of every baseline."
    return Check(name="own predictions", passed=not copies, value=float(len(copies)), limit=0.0, sentence=sentence)


def _coverage(rule: Gate, observed: float) -> Check:
    guard = rule.coverage
    return Check(
        name="coverage",
        passed=abs(observed - guard.level) <= guard.within,
        value=observed,
        limit=guard.within,
        sentence=f"{observed:.1%} of the outcomes lie inside the {guard.level:.0%} interval; allowed are {guard.level:.0%} ± {guard.within:.0%}.",
    )


def _worst_slice(task: type[Task], own: Float, winner: str, reference: Float, years: NDArray[np.int64]) -> Check:
    """Slices with fewer dates than the longest label hold not even one label of their own and are left out."""
    names, place, counts = np.unique(years, return_inverse=True, return_counts=True)
    minimum, guard = max(task.horizons, default=1), task.gate.worst_slice
    usable, limit = counts >= minimum, guard.within
    if not usable.any():
        return Check(name="worst slice", passed=False, value=None, limit=limit, sentence=f"No calendar {guard.by} has {minimum} scored dates.")
    ours, theirs = (np.bincount(place, weights=losses)[usable] / counts[usable] for losses in (own, reference))
    excess = np.where(ours == theirs, 0.0, (ours - theirs) / np.maximum(np.abs(theirs), 1e-12))
    worst = int(excess.argmax())
    sentence = f"Worst {guard.by} {names[usable][worst]}: {excess[worst]:+.1%} against {winner}, allowed {limit:+.0%}."
    return Check(name="worst slice", passed=bool(excess[worst] <= limit), value=float(excess[worst]), limit=limit, sentence=sentence)


def _budget(name: str, value: float, limit: float, unit: str) -> Check:
    return Check(name=name, passed=value <= limit, value=value, limit=limit, sentence=f"{value:.3g} {unit}, at most {limit:g}.")


def primary(task: type[Task]) -> str:
    """The metric that decides; raises `DataError` where it has no lower-is-better direction."""
    name = task.metrics[0]
    if not metric(name).lower_is_better:
        raise DataError(f"{task.id()}: the first metric {name!r} cannot decide, as lower is not better; put a loss first")
    return name
