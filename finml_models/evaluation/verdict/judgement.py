"""What the statistics say of a model against the best of its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen
from finml_models.core.task import Task
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.statistics import DMResult, diebold_mariano, holm
from finml_models.evaluation.statistics.arrays import Alternative
from finml_models.evaluation.statistics.independent import paired_t

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
    """A comparison over dates or entities; `difference` is that of losses, model minus baseline, so below zero is better.

    Where more of a metric is better, its loss is its negative: the values stand as they are, the difference is turned round.
    """

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
    p_adjusted: float = Field(ge=0, le=1, description="after Holm over the configurations of models tried")
    tried: int = Field(ge=1)
    margin: float = Field(ge=0, description="largest difference that still counts as no worse, on the metric's scale")
    dates: int = Field(ge=1, description="independent units: dates, or entities where the task says so")
    dates_needed: int | None = Field(None, description="units with which a difference of this size would decide, for an inconclusive verdict")
    sentence: str


def best(losses: Mapping[str, Float]) -> str:
    """The entry with the lowest mean loss; among equals the first in the mapping's order."""
    return min(losses, key=lambda name: float(losses[name].mean()))


def compare(model: Float, baseline: Float, *, horizon: int | None, alternative: Alternative = "less") -> DMResult:
    """The test of equal expected loss: Diebold and Mariano's on dates with labels over `horizon` of them, Student's on independent units (None)."""
    if horizon is None:
        return paired_t(model, baseline, alternative=alternative)
    return diebold_mariano(model, baseline, horizon=horizon, alternative=alternative)


def adjusted(p: float, others: Sequence[float] = (), tried: int = 1) -> float:
    """Holm's p of one model among all models and configurations that were tried.

    `others` are the p-values of other tried models and configurations. Those of which only the number `tried` (this one
    included) is known count as p = 1: no actual value makes Holm stricter for this one, so that without `others` the
    result is Bonferroni's bound, `tried` × p.
    """
    unknown = max(0, tried - 1 - len(others))
    return holm([p, *others, *[1.0] * unknown])[0]


def judge(
    model: Float,
    baseline: Float,
    *,
    horizon: int | None,
    margin: float,
    alpha: float = 0.05,
    others: Sequence[float] = (),
    tried: int = 1,
    name: str = "the model",
    against: str = "the best baseline",
    measure: str = "loss",
    higher_is_better: bool = False,
    units: int | None = None,
    noun: str = "dates",
) -> Judgement:
    """Judge losses (n,) against a baseline's on the same dates, or on the same independent units where `horizon` is None.

    With `higher_is_better` the losses are negatives of the measure. `units` and `noun` say what the losses stand for, where
    they are groups of something.

    - SUPERIOR: one-sided p (`compare`) below `alpha` after Holm over the configurations tried.
    - NON_INFERIOR: the upper end of the 1 - 2 alpha interval of the difference lies below `margin` × the baseline's loss.
    - INFERIOR: the interval lies above zero and reaches beyond the margin.
    - INCONCLUSIVE: anything else, with the number of dates that would decide if the difference stayed as it is.
    """
    result = compare(model, baseline, horizon=horizon)
    sign, size = -1.0 if higher_is_better else 1.0, units or result.n
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
    needed = _units_needed(result, size, allowed, alpha) if verdict is Verdict.INCONCLUSIVE else None
    lower = sign * result.mean < 0
    relative = f"{abs(result.mean / reference):.1%} {'lower' if lower else 'higher'} than" if result.mean and reference else "equal to"
    ends = sorted((sign * low, sign * high))
    said = {
        Verdict.SUPERIOR: f"{name} is better than {against}",
        Verdict.NON_INFERIOR: f"{name} is no worse than {against} within the margin of {margin:.0%}",
        Verdict.INFERIOR: f"{name} is worse than {against}",
        Verdict.INCONCLUSIVE: f"{size:,} {noun} do not decide between {name} and {against}; about {needed or 0:,} would, at this difference",
    }[verdict]
    holm_note = f", after Holm over {tried} configurations" if tried > 1 else ""
    sentence = (
        f"{said}: its {measure} is {relative} the baseline's ({sign * (result.mean + reference):.4g} against {sign * reference:.4g}; "
        f"{1 - 2 * alpha:.0%} interval of the difference {ends[0]:+.3g} to {ends[1]:+.3g}; p = {p_adjusted:.2g} for being better{holm_note})."
    )
    return Judgement(
        verdict=verdict,
        model=name,
        against=against,
        metric=measure,
        model_value=sign * float(model.mean()),
        baseline_value=sign * reference,
        difference=result.mean,
        low=low,
        high=high,
        level=1 - 2 * alpha,
        p=result.p,
        p_adjusted=p_adjusted,
        tried=max(tried, 1 + len(others)),
        margin=allowed,
        dates=size,
        dates_needed=needed,
        sentence=sentence,
    )


def _units_needed(result: DMResult, units: int, margin: float, alpha: float) -> int:
    """Units n at which some verdict falls with probability `POWER`, were the difference and its dispersion those observed.

    The widest gap decides: |δ| for better or worse, margin - δ for no worse; n = units × ((z_alpha + z_power) se / gap)².
    """
    from scipy.special import ndtri

    gap = max(abs(result.mean), margin - result.mean)
    return max(units + 1, int(np.ceil(min(1e9, units * ((ndtri(1 - alpha) + ndtri(POWER)) * result.se / max(gap, 1e-300)) ** 2))))


def primary(task: type[Task]) -> str:
    """The metric that decides; raises `DataError` where it has no better direction."""
    name = task.metrics[0]
    if metric(name).lower_is_better is None:
        raise DataError(f"{task.id()}: the first metric {name!r} cannot decide, as neither lower nor higher is better; put another one first")
    return name


def label_span(task: type[Task], *, rowwise: bool) -> int | None:
    """Dates that a label spans, for tests on dates; None where the losses compared are independent."""
    return max(task.horizons, default=1) if rowwise and task.unit == "date" else None
