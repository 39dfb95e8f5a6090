"""Whether an entry may be released: the gate of its task, applied to what was measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen
from finml_models.core.task import Task
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.scores import GUARD, is_rowwise

from . import checks
from .checks import Check, Part
from .judgement import Judgement, best, compare, judge, label_span, primary
from .waiver import Waiver

if TYPE_CHECKING:
    from finml_models.core.catalog import Pair
    from finml_models.evaluation.scores import Scores

Float = NDArray[np.float64]

ALARMS = {"net_sharpe": "sharpe"}
"""The metric that a limit of the leak alarm is of, where it has another name."""


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

    `losses` holds the primary metric's losses by unit, (u,) each, of the entry, of every baseline of the task, and of the
    entry's ablations under their own names; `horizon` the dates that a label spans, None where the units are independent;
    `parts` the years; `seeds` (s,) the entry's primary metric by seed; `coverage` the observed share inside the guard's interval,
    pooled, and `coverage_by_horizon` at each horizon; `calibration` the expected calibration error; `alarms` the false alarms as a
    multiple of what was promised; `measured` values by the
    names of the leak alarm's limits.
    """

    losses: Mapping[str, Float]
    parts: Sequence[Part]
    seeds: Float
    milliseconds: float
    megabytes: float
    horizon: int | None = 1
    sign: float = 1.0
    coverage: float | None = None
    calibration: float | None = None
    alarms: float | None = None
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
    own = {name: ablated(entry, name) for name in pair.entry.card.ablations if ablated(entry, name) in scores}
    apart = {entry, *task.baselines, *own.values()}
    rivals = [] if pair.entry.is_baseline else [name for name in scores if name not in apart and "[" not in name]
    measure = primary(task)
    sign, horizon = (-1.0 if metric(measure).lower_is_better is False else 1.0), label_span(task, rowwise=is_rowwise(measure))
    losses = {name: scores[name].losses(measure) for name in (entry, *(n for n in task.baselines if n in scores), *rivals)}
    losses |= {name: scores[column].losses(measure) for name, column in own.items() if name not in losses}
    against = best({name: losses[name] for name in task.baselines if name != entry} or {entry: losses[entry]})

    def p_values(reference: str) -> list[float]:
        return [compare(losses[name], losses[reference], horizon=horizon).p for name in rivals]

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
        higher_is_better=sign < 0,
        units=scores.rows.units(),
        noun="dates" if task.unit == "date" else "cases",
    )
    covered, calibrated = task.gate.coverage is not None, task.gate.calibration is not None
    result = gate(
        task,
        entry=entry,
        ablations=pair.entry.card.ablations,
        judgement=judgement,
        evidence=Evidence(
            losses=losses,
            parts=_years(scores, entry, best({name: losses[name] for name in task.baselines}), measure, sign),
            seeds=scores[entry].by_seed(measure),
            milliseconds=milliseconds,
            megabytes=megabytes,
            horizon=horizon,
            sign=sign,
            coverage=scores[entry].value(GUARD) if covered else None,
            coverage_by_horizon={h: scores[entry].value(GUARD, h) for h in task.horizons} if covered else {},
            calibration=scores[entry].value("ece") if calibrated else None,
            alarms=None if task.gate.alarms is None else scores[entry].value("false_alarm_ratio"),
            measured=_alarming(task, scores, entry),
        ),
        others={name: p_values(name) for name in task.gate.naive if name in task.baselines},
        waiver=waiver,
        extra=extra,
    )
    return Decision(judgement, result, best({name: losses[name] for name in task.baselines}))


def _alarming(task: type[Task], scores: Scores, entry: str) -> dict[str, float]:
    """What the leak alarm looks at: rank IC and R² at the shortest horizon, for which its limits are meant, and the best net Sharpe ratio.

    R² of longer returns may honestly be larger; a leak into one horizon alone shows in the strategy that trades by it.
    """
    shortest = int(scores.rows.frame["horizon"].min())
    limits = {name: ALARMS.get(name, name) for name in type(task.gate.leak_alarm).model_fields}
    found = {name: scores[entry].value(of, shortest) for name, of in limits.items() if of in task.metrics}
    if scores[entry].earned:
        found["net_sharpe"] = max(scores[entry].value("net_information_ratio", horizon) for horizon in scores[entry].earned)
    return found


def ablated(entry: str, ablation: str) -> str:
    """The name under which an ablation's predictions stand beside those of its model."""
    return f"{entry}[{ablation}]"


def _years(scores: Scores, entry: str, winner: str, measure: str, sign: float) -> list[Part]:
    """The losses of an entry and of the best baseline in each calendar year in which both can be computed."""
    year = scores.rows.frame["time"].to_numpy().astype("datetime64[Y]").astype(np.int64) + 1970
    found = []
    for name in np.unique(year):
        rows = year == name
        own, theirs = (scores[who].value_of(measure, rows) for who in (entry, winner))
        if own is not None and theirs is not None:
            found.append(Part(name=str(name), own=sign * own, reference=sign * theirs, units=len(np.unique(scores.rows.unit_of[rows]))))
    return found


def gate(
    task: type[Task],
    *,
    entry: str,
    judgement: Judgement,
    evidence: Evidence,
    ablations: Collection[str] = (),
    others: Mapping[str, Sequence[float]] | None = None,
    waiver: Waiver | None = None,
    extra: Sequence[Check] = (),
    today: dt.date | None = None,
) -> GateResult:
    """Apply a task's gate to one entry, whose card has these `ablations`: it has to beat those that the gate names.

    `others` are the one-sided p-values of other tried models against each naive reference.

    A model passes when every check does. A baseline passes when it is the best of the task's baselines, so that exactly
    one of them can be released: an honest pipeline must be able to deploy the baseline that won, also on a day on which
    no model did. Its guards are measured and shown all the same, without deciding; only the leak alarm stops it too.

    A waiver is asked only when the gate refuses. One that does not hold (see `Waiver.objections`) is a failed check.
    """
    rule, losses = task.gate, evidence.losses
    is_baseline = entry in task.baselines
    naive = [] if is_baseline else [*rule.naive, *(name for name in rule.ablations if name in ablations)]
    if missing := sorted({entry, *task.baselines, *naive} - set(losses)):
        raise DataError(f"gate: no losses of {', '.join(missing)}; score every baseline of {task.id()} on the same dates")
    winner = best({name: losses[name] for name in task.baselines})
    guards = [*_guards(task, evidence, winner), *extra]
    measured = dict(evidence.measured)
    if is_baseline:
        guards = [check.model_copy(update={"blocking": False}) for check in guards]
        first = [checks.best_baseline(entry, winner, losses, sign=evidence.sign)]
    else:
        known = others or {}
        first = [
            *(
                checks.beats(losses[entry], losses[name], name, alpha=rule.alpha, horizon=evidence.horizon, others=known.get(name, ()), tried=judgement.tried)
                for name in naive
            ),
            checks.expert(judgement),
            checks.distinct(task, entry, losses),
        ]
        if reference := float(losses[winner].mean()):
            measured["improvement"] = (reference - float(losses[entry].mean())) / abs(reference)
    result = [*first, *guards, checks.leak(rule.leak_alarm, measured)]
    refused = [check for check in result if check.blocking and not check.passed]
    if not refused or waiver is None:
        return GateResult(passed=not refused, version=rule.version, checks=tuple(result))
    on = today or dt.datetime.now(dt.UTC).date()
    if objections := waiver.objections(task=task.id(), entry=entry, version=rule.version, checks=result, today=on):
        sentence = f"The waiver by {waiver.author} is refused: {'; '.join(objections)}."
        return GateResult(passed=False, version=rule.version, checks=(*result, Check(name="waiver", passed=False, value=None, limit=None, sentence=sentence)))
    return GateResult(passed=True, version=rule.version, checks=tuple(result), waiver=waiver)


def _guards(task: type[Task], evidence: Evidence, winner: str) -> list[Check]:
    rule = task.gate
    found: list[Check] = []
    if rule.coverage is not None:
        if evidence.coverage is None:
            raise DataError(f"gate: {rule.version} guards the coverage, and none was measured; score the intervals, or set its coverage to None")
        found += checks.coverage(rule.coverage, evidence.coverage, evidence.coverage_by_horizon)
    if rule.calibration is not None:
        if evidence.calibration is None:
            raise DataError(f"gate: {rule.version} guards the calibration, and none was measured; score probabilities, or set its calibration to None")
        found.append(checks.calibration(rule.calibration, evidence.calibration))
    if rule.alarms is not None:
        if evidence.alarms is None:
            raise DataError(f"gate: {rule.version} guards the false alarms, and none were counted; score alarms, or set its alarms to None")
        found.append(checks.alarms(rule.alarms, evidence.alarms))
    if rule.worst_slice is not None:
        found.append(checks.worst_slice(rule.worst_slice, winner, evidence.parts, max(task.horizons, default=1) if task.unit == "date" else 1))
    if rule.seeds is not None:
        found.append(checks.seed_spread(rule.seeds, evidence.seeds))
    if rule.budget is not None:
        found += checks.budget(rule.budget, evidence.milliseconds, evidence.megabytes)
    return found
