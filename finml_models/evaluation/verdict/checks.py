"""The conditions of a gate: each one measured number beside its limit, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from finml_models.core.spec import Frozen
from finml_models.core.task import AlarmGuard, BudgetGuard, CalibrationGuard, CoverageGuard, LeakAlarm, SeedGuard, Task, WorstSliceGuard

from .judgement import Judgement, Verdict, adjusted, compare

Float = NDArray[np.float64]

LEAK_ALARM = "leak alarm"
"""Name of the check that no waiver passes."""


class Check(Frozen):
    """One condition of the gate. Checks that do not block are shown and do not decide."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    sentence: str
    blocking: bool = True


class Part(Frozen):
    """A part of the scored rows: the loss there, that of the best baseline there, and how many units it holds."""

    name: str
    own: float
    reference: float
    units: int


def beats(own: Float, reference: Float, name: str, *, alpha: float, horizon: int | None, others: Sequence[float], tried: int) -> Check:
    """Significantly better than one naive reference, after Holm over what was tried.

    Several references need no correction among each other: a model passes only when every one of these tests rejects,
    so the chance of a false pass is at most that of one test (intersection-union test, Berger, Technometrics 24(4), 1982).
    """
    result = compare(own, reference, horizon=horizon)
    p = adjusted(result.p, others, tried)
    passed = p < alpha and result.mean < 0
    sentence = f"{'Significantly better' if passed else 'Not significantly better'} than the naive reference {name} (p = {p:.2g}, limit {alpha:g})."
    return Check(name=f"beats {name}", passed=passed, value=p, limit=alpha, sentence=sentence)


def expert(judgement: Judgement) -> Check:
    """Superior or non-inferior to the best baseline."""
    return Check(
        name="best baseline",
        passed=judgement.verdict in {Verdict.SUPERIOR, Verdict.NON_INFERIOR},
        value=judgement.high,
        limit=judgement.margin,
        sentence=judgement.sentence,
    )


def contamination(sources: Sequence[str]) -> Check:
    """The model knew the answers: its weights were tuned on what it is scored on."""
    sentence = f"Contaminated: its weights were tuned on {', '.join(sources)}, which these rows come from; score it on other rows."
    return Check(name="contamination", passed=False, value=float(len(sources)), limit=0.0, sentence=sentence)


def best_baseline(entry: str, winner: str, losses: Mapping[str, Float], *, sign: float = 1.0) -> Check:
    """What a baseline has to be to be released. `sign` is -1 where the losses are negatives of a measure."""
    own, lowest = (sign * float(losses[name].mean()) for name in (entry, winner))
    better = "lowest loss" if sign > 0 else "highest value"
    sentence = f"{entry} has the {better} of the baselines ({own:.4g})." if entry == winner else f"{winner} has the {better} ({lowest:.4g} against {own:.4g})."
    return Check(name="best baseline", passed=entry == winner, value=own, limit=lowest, sentence=sentence)


def distinct(task: type[Task], entry: str, losses: Mapping[str, Float]) -> Check:
    """Not a baseline under another name."""
    copies = [name for name in task.baselines if np.array_equal(losses[name], losses[entry])]
    sentence = f"Its losses are those of {copies[0]}, bit for bit: it is the baseline itself." if copies else "Its losses differ from those of every baseline."
    return Check(name="own predictions", passed=not copies, value=float(len(copies)), limit=0.0, sentence=sentence)


def coverage(guard: CoverageGuard, observed: float, by_horizon: Mapping[int, float]) -> list[Check]:
    """Pooled, and at the horizon where the interval is most wrong."""
    checks = [_covered("coverage", guard.level, observed, guard.within, "")]
    if len(by_horizon) > 1:
        worst = max(by_horizon, key=lambda horizon: abs(by_horizon[horizon] - guard.level))
        checks.append(_covered("coverage by horizon", guard.level, by_horizon[worst], guard.by_horizon, f" at horizon {worst}, the worst"))
    return checks


def calibration(guard: CalibrationGuard, observed: float) -> Check:
    """The expected calibration error of the probabilities."""
    sentence = f"Probabilities differ from frequencies by {observed:.1%} on average, at most {guard.within:.0%}."
    return Check(name="calibration", passed=observed <= guard.within, value=observed, limit=guard.within, sentence=sentence)


def alarms(guard: AlarmGuard, observed: float) -> Check:
    """False alarms as a multiple of what the threshold promised on training rows; limits are `within` and its reciprocal."""
    held = 1 / guard.within <= observed <= guard.within
    sentence = f"False alarms are {observed:.2f} times what the threshold promised on training rows; allowed are {1 / guard.within:g} to {guard.within:g}."
    return Check(name="false alarms", passed=held, value=observed, limit=guard.within, sentence=sentence)


def worst_slice(guard: WorstSliceGuard, winner: str, parts: Sequence[Part], minimum: int) -> Check:
    """The year with the largest excess loss over the best baseline.

    Years with fewer than `minimum` units, the longest label, hold not even one label of their own and are left out.
    """
    usable, limit = [part for part in parts if part.units >= minimum], guard.within
    if not usable:
        return Check(name="worst slice", passed=False, value=None, limit=limit, sentence=f"No calendar {guard.by} has {minimum} scored units.")
    excess = [0.0 if part.own == part.reference else (part.own - part.reference) / max(abs(part.reference), 1e-12) for part in usable]
    worst = int(np.argmax(excess))
    sentence = f"Worst {guard.by} {usable[worst].name}: {excess[worst]:+.1%} loss against {winner}, allowed {limit:+.0%}."
    return Check(name="worst slice", passed=bool(excess[worst] <= limit), value=float(excess[worst]), limit=limit, sentence=sentence)


def seed_spread(guard: SeedGuard, values: Float) -> Check:
    """`values` (s,): the primary metric of each seed. One seed cannot be judged, and does not decide."""
    if len(values) < 2:
        sentence = "One seed was trained: its spread is not known and does not decide; the full profile trains several."
        return Check(name="seed spread", passed=True, value=None, limit=guard.within, sentence=sentence, blocking=False)
    spread = float(values.std(ddof=1) / max(abs(float(values.mean())), 1e-12))
    sentence = f"The standard deviation over {len(values)} seeds is {spread:.1%} of the mean, at most {guard.within:.0%}."
    return Check(name="seed spread", passed=spread <= guard.within, value=spread, limit=guard.within, sentence=sentence)


def budget(guard: BudgetGuard, milliseconds: float, megabytes: float) -> list[Check]:
    """Latency and size."""
    return [
        _at_most("latency", milliseconds, guard.milliseconds, "ms a prediction on one core"),
        _at_most("size", megabytes, guard.megabytes, "MB of artifact"),
    ]


def leak(alarm: LeakAlarm, measured: Mapping[str, float]) -> Check:
    """The measured value that comes nearest to its limit, or is farthest beyond; `measured` by the names of the alarm's limits."""
    limits = {name: limit for name, limit in alarm.model_dump().items() if limit is not None and name in measured}
    if not limits:
        return Check(name=LEAK_ALARM, passed=True, value=None, limit=None, sentence="None of the alarm's limits applies here.", blocking=False)
    name = max(limits, key=lambda name: measured[name] / limits[name])
    value, limit = measured[name], limits[name]
    said = {
        "rank_ic": f"a daily rank IC of {value:.3g} (limit {limit:g})",
        "oos_r2": f"an out-of-sample R² of {value:.2%} (limit {limit:.0%})",
        "net_sharpe": f"a net Sharpe ratio of {value:.2f} (limit {limit:g})",
        "improvement": f"a loss {abs(value):.1%} {'below' if value >= 0 else 'above'} the best baseline's (limit {limit:.0%} below)",
    }[name]
    suspected = value > limit
    sentence = f"Suspected leak: {said} is too good to be true; find the row that knows its future." if suspected else f"Nothing implausible: {said}."
    return Check(name=LEAK_ALARM, passed=not suspected, value=value, limit=limit, sentence=sentence)


def _covered(name: str, level: float, observed: float, within: float, where: str) -> Check:
    sentence = f"{observed:.1%} of the outcomes lie inside the {level:.0%} interval{where}; allowed are {level:.0%} ± {within:.0%}."
    return Check(name=name, passed=abs(observed - level) <= within, value=observed, limit=within, sentence=sentence)


def _at_most(name: str, value: float, limit: float, unit: str) -> Check:
    return Check(name=name, passed=value <= limit, value=value, limit=limit, sentence=f"{value:.3g} {unit}, at most {limit:g}.")
