"""Whether an entry may be released: the gate of its task, applied to what was measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen
from finml_models.core.task import Task
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.scores import GUARD
from finml_models.evaluation.statistics import diebold_mariano

from . import checks
from .checks import Check
from .judgement import Judgement, best, judge, primary
from .waiver import Waiver

if TYPE_CHECKING:
    from finml_models.core.catalog import Pair
    from finml_models.evaluation.scores import Scores

Float = NDArray[np.float64]


class GateResult(Frozen):
    """Whether an entry may be released, why, and by which version of the rule. `waiver` is the one that let a refused entry pass."""

    passed: bool
    version: str
    checks: tuple[Check, ...]
    waiver: Waiver | None = Field(None, description="not None: the checks it names failed, and somebody answers for it")

    @property
    def passed_by_waiver(self) -> bool:
        """Released although the gate refused it."""
        return self.waiver is not None

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed and decide."""
        return tuple(check.name for check in self.checks if check.blocking and not check.passed)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate looks at beside the judgement.

    `losses` holds the primary metric by date, (d,) each, of the entry and of every baseline of the task; `years` (d,) the
    slice of each date; `seeds` (s,) the entry's primary metric by seed; `coverage` the observed share inside the guard's
    interval, pooled, and `coverage_by_horizon` at each horizon; `measured` values by the names of the leak alarm's limits.
    """

    losses: Mapping[str, Float]
    years: NDArray[np.int64]
    seeds: Float
    milliseconds: float
    megabytes: float
    coverage: float | None = None
    coverage_by_horizon: Mapping[int, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on an entry against `judgement.against`, the gate's answer, and the best of all the task's baselines."""

    judgement: Judgement
    gate: GateResult
    best_baseline: str


def decide(
    pair: Pair,
    scores: Scores,
    *,
    milliseconds: float,
    megabytes: float,
    tried: int = 1,
    waiver: Waiver | None = None,
    extra: Sequence[Check] = (),
) -> Decision:
    """Judge a pair and apply its task's gate, from scores of the pair, of all baselines and of other models that were tried.

    Holm's family are the configurations of models tried on the task: `tried` counts them all, this one included; the
    p-values of those whose scores are at hand enter as they are, the others at their upper bound. A baseline is not
    selected by looking for a model, and is judged alone.
    """
    task, entry = pair.task, pair.entry.id
    rivals = [] if pair.entry.is_baseline else [name for name in scores.values if name != entry and name not in task.baselines]
    measure, horizon = primary(task), max(task.horizons, default=1)
    losses = {name: scores.by_date(name, measure) for name in scores.values}
    against = best({name: losses[name] for name in task.baselines if name != entry} or {entry: losses[entry]})

    def p_values(reference: str) -> list[float]:
        return [diebold_mariano(losses[name], losses[reference], horizon=horizon, alternative="less").p for name in rivals]

    judgement = judge(
        losses[entry],
        losses[against],
        horizon=horizon,
        margin=task.gate.margin,
        alpha=task.gate.alpha,
        others=p_values(against),
        tried=1 if pair.entry.is_baseline else max(tried, 1 + len(rivals)),
        name=pair.entry.card.name,
        against=against,
        measure=metric(measure).label,
    )
    covered = task.gate.coverage is not None
    result = gate(
        task,
        entry=entry,
        judgement=judgement,
        evidence=Evidence(
            losses=losses,
            years=scores.dates().astype("datetime64[Y]").astype(np.int64) + 1970,
            seeds=scores.by_seed(entry, measure),
            milliseconds=milliseconds,
            megabytes=megabytes,
            coverage=float(scores.by_date(entry, GUARD).mean()) if covered else None,
            coverage_by_horizon={h: float(scores.by_date(entry, GUARD, h).mean()) for h in task.horizons} if covered else {},
            measured={name: float(scores.by_date(entry, name).mean()) for name in type(task.gate.leak_alarm).model_fields if name in task.metrics},
        ),
        others={name: p_values(name) for name in task.gate.naive},
        waiver=waiver,
        extra=extra,
    )
    return Decision(judgement, result, best({name: losses[name] for name in task.baselines}))


def gate(
    task: type[Task],
    *,
    entry: str,
    judgement: Judgement,
    evidence: Evidence,
    others: Mapping[str, Sequence[float]] | None = None,
    waiver: Waiver | None = None,
    extra: Sequence[Check] = (),
    today: dt.date | None = None,
) -> GateResult:
    """Apply a task's gate to one entry. `others` are the one-sided p-values of other tried models against each naive reference.

    A model passes when every check does. A baseline passes when it is the best of the task's baselines, so that exactly
    one of them can be released: an honest pipeline must be able to deploy the baseline that won, also on a day on which
    no model did. Its guards are measured and shown all the same, without deciding; only the leak alarm stops it too.

    A waiver is asked only when the gate refuses. One that does not hold (see `Waiver.objections`) is a failed check.
    """
    rule, losses = task.gate, evidence.losses
    if missing := sorted({entry, *task.baselines, *rule.naive} - set(losses)):
        raise DataError(f"gate: no losses of {', '.join(missing)}; score every baseline of {task.id()} on the same dates")
    is_baseline = entry in task.baselines
    winner = best({name: losses[name] for name in task.baselines})
    guards = [*_guards(task, evidence, losses[entry], winner), *extra]
    measured = dict(evidence.measured)
    if is_baseline:
        guards = [check.model_copy(update={"blocking": False}) for check in guards]
        first = [checks.best_baseline(entry, winner, losses)]
    else:
        known = others or {}
        first = [
            *(checks.beats(task, entry, name, losses, known.get(name, ()), judgement.tried) for name in rule.naive),
            checks.expert(judgement),
            checks.distinct(task, entry, losses),
        ]
        if (reference := float(losses[winner].mean())) > 0:
            measured["improvement"] = 1 - float(losses[entry].mean()) / reference
    result = [*first, *guards, checks.leak(rule.leak_alarm, measured)]
    refused = [check for check in result if check.blocking and not check.passed]
    if not refused or waiver is None:
        return GateResult(passed=not refused, version=rule.version, checks=tuple(result))
    on = today or dt.datetime.now(dt.UTC).date()
    if objections := waiver.objections(task=task.id(), entry=entry, version=rule.version, checks=result, today=on):
        sentence = f"The waiver by {waiver.author} is refused: {'; '.join(objections)}."
        return GateResult(passed=False, version=rule.version, checks=(*result, Check(name="waiver", passed=False, value=None, limit=None, sentence=sentence)))
    return GateResult(passed=True, version=rule.version, checks=tuple(result), waiver=waiver)


def _guards(task: type[Task], evidence: Evidence, own: Float, winner: str) -> list[Check]:
    rule = task.gate
    found: list[Check] = []
    if rule.coverage is not None:
        if evidence.coverage is None:
            raise DataError(f"gate: {rule.version} guards the coverage, and none was measured; score the intervals, or set its coverage to None")
        found += checks.coverage(rule.coverage, evidence.coverage, evidence.coverage_by_horizon)
    if rule.worst_slice is not None:
        minimum = max(task.horizons, default=1)
        found.append(checks.worst_slice(rule.worst_slice, own, winner, evidence.losses[winner], evidence.years, minimum))
    if rule.seeds is not None:
        found.append(checks.seed_spread(rule.seeds, evidence.seeds))
    if rule.budget is not None:
        found += checks.budget(rule.budget, evidence.milliseconds, evidence.megabytes)
    return found
