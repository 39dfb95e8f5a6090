"""What the ledger knows of a served version, judged: drift of its inputs, decay of its quality, its experiment. Heavy: import it where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import select

from finml_models.core import artifact, catalog
from finml_models.core.errors import DataError, NoOutcome
from finml_models.core.home import home
from finml_models.core.realised import answered
from finml_models.evaluation import report as reporting
from finml_models.monitoring import guard_rails
from finml_models.monitoring.challenge import Trained, challenge_versions
from finml_models.monitoring.decay import course, decay, promise
from finml_models.monitoring.documents import Challenge, CoursePoint, Decay, DriftReport
from finml_models.monitoring.drift import drift
from finml_models.monitoring.experiment import compare
from finml_models.monitoring.losses import by_answer, long_form
from finml_models.monitoring.served import inputs_of

from .deployments import Deployment, Deployments, Slot
from .experiments import Experiment, RailState
from .ledger import Ledger
from .models import ServedPrediction
from .monitoring import totals
from .outcomes import joined

MOST_REQUESTS = 256
"""Newest requests whose inputs are computed again for drift: each costs milliseconds."""
MOST_LOOKED_AT = 5_000


def drift_of(ledger: Ledger, task: str, slot: Slot, *, since: datetime | None = None, most: int = MOST_REQUESTS) -> DriftReport:
    """The inputs of the newest different rows that a version answered about, against its training."""
    record, reference = artifact.describe(home() / ledger.release(task, slot.entry, slot.version).artifact)
    use_case, signature = catalog.task(task), record.signature
    served = inputs_of(use_case(), signature.kind, _requests(ledger, task, slot.version, since, most))
    return drift(served, reference, signature.feature_names, unit=use_case.unit, categories=signature.category_names)


def decay_of(ledger: Ledger, task: str, slot: Slot, *, since: datetime | None = None) -> tuple[Decay, tuple[CoursePoint, ...]]:
    """The realised quality of a version against the promise of its report, and its course. Raises `NoOutcome` where the use case has no outcomes."""
    release = ledger.release(task, slot.entry, slot.version)
    found = joined(ledger, task, slot.version, since=since)
    if release.report is None:
        raise DataError(f"{task}-{slot.entry}:{slot.version} has no report, so nothing was promised; judge it by `finml run` first")
    promised, frame = promise(reporting.read(home() / release.report)), long_form(one.realised for one in found)
    return decay(catalog.task(task), frame, promised), course(catalog.task(task), frame, promised.metric)


def experiment_of(ledger: Ledger, task: str) -> Experiment:
    """The running A/B test of a use case, or why there is none. Where the use case has no outcomes, the guard-rails are all there is."""
    history = Deployments(ledger).history(task)
    now = history[0] if history else Deployments(ledger).now(task)
    rival = now.state.challenger or now.state.shadow
    if now.state.champion is None or rival is None:
        return Experiment(task=task, running=False, champion=now.state.champion, reason="no challenger or shadow runs beside the champion")
    stretch = _stretch(history, now.state.champion, rival)
    first = stretch[-1]
    rails = _rails(ledger, task, now.state.champion, rival, first.revision)
    shares = {held.revision: held.state.share for held in stretch}
    try:
        comparison = compare(catalog.task(task), _answers(ledger, task, now.state.champion, rival, first.revision, shares))
        reason = comparison.reason
    except NoOutcome as error:
        comparison, reason = None, str(error)
    broken = [rail.name for rail in rails if rail.broken]
    return Experiment(
        task=task,
        running=True,
        champion=now.state.champion,
        challenger=rival,
        shadow=now.state.challenger is None,
        share=now.state.share,
        revision=first.revision,
        since=first.at,
        comparison=comparison,
        rails=rails,
        stop=bool(broken),
        reason=f"stop: the guard-rail of {' and '.join(broken)} is broken" if broken else reason,
    )


def challenge_of(ledger: Ledger, task: str, champion: Slot, challenger: Slot, raw: pd.DataFrame) -> Challenge:
    """Score two versions on the rows of `raw` that neither was trained on: what a retrained version must win before it may replace the champion.

    `raw` are the newest raw rows of the use case. Raises `DataError` when the snapshot of a training is gone.
    """
    found = [ledger.release(task, slot.entry, slot.version) for slot in (champion, challenger)]
    trained = [Trained(one.task, one.entry, one.version, one.artifact, one.fingerprint) for one in found]
    return challenge_versions(trained[0], trained[1], raw)


def _stretch(history: list[Deployment], champion: Slot, rival: Slot) -> list[Deployment]:
    """The newest changes, newest first, through which the same two versions were compared."""
    found = []
    for held in history:
        if held.state.champion != champion or rival not in (held.state.challenger, held.state.shadow):
            break
        found.append(held)
    return found


def _answers(ledger: Ledger, task: str, champion: Slot, rival: Slot, revision: int, shares: Mapping[int, float]) -> pd.DataFrame:
    """The realised answers of both versions in the order in which they were served."""
    use_case = catalog.task(task)
    parts = []
    for slot, roles, rivals in ((champion, ("champion",), False), (rival, ("challenger", "shadow"), True)):
        found = joined(ledger, task, slot.version, revision=revision, roles=roles)
        losses = by_answer(use_case, (one.realised for one in found))
        known = {(one.realised.entity, pd.Timestamp(one.realised.time.replace(tzinfo=None))): one for one in reversed(found)}
        first = [known[entity, time] for entity, time in zip(losses["entity"], losses["time"], strict=True)]
        parts.append(losses.assign(challenger=rivals, sequence=[one.sequence for one in first], share=[float(shares.get(one.revision, 0.0)) for one in first]))
    return pd.concat(parts, ignore_index=True).sort_values("sequence", ignore_index=True)


def _rails(ledger: Ledger, task: str, champion: Slot, rival: Slot, revision: int) -> tuple[RailState, ...]:
    requests, failed, _, p95 = totals(ledger, task, champion.version, roles=("champion",), revision=revision)
    budget = catalog.task(task).gate.budget
    limit = guard_rails.slow_limit(p95, budget.milliseconds if budget else 0.0)
    theirs, bad, slow, _ = totals(ledger, task, rival.version, roles=("challenger", "shadow"), revision=revision, slow=limit)
    rails = (guard_rails.errors(bad, theirs, failed / requests if requests else 0.0), guard_rails.latency(slow, theirs - bad, limit))
    return tuple(
        RailState(
            name=rail.name,
            requests=rail.requests,
            bad=rail.bad,
            share=rail.share,
            allowed=rail.allowed,
            limit_milliseconds=rail.limit_milliseconds,
            broken=rail.broken,
        )
        for rail in rails
    )


def _requests(ledger: Ledger, task: str, version: str, since: datetime | None, most: int) -> list[dict[str, Any]]:
    """The newest requests of a version that ask about something that no newer one of them asks about."""
    where = [ServedPrediction.task == task, ServedPrediction.version == version, ServedPrediction.status < 400, ServedPrediction.answer.is_not(None)]
    where += [ServedPrediction.at >= since] if since else []
    newest = select(ServedPrediction.sequence, ServedPrediction.answer).where(*where).order_by(ServedPrediction.sequence.desc()).limit(MOST_LOOKED_AT)
    seen: set[Any] = set()
    chosen: list[int] = []
    with ledger.read() as session:
        for sequence, answer in session.execute(newest):
            asked = set(answered(answer or {}))
            if asked - seen and len(chosen) < most:
                chosen.append(sequence)
            seen |= asked
        return list(session.scalars(select(ServedPrediction.request).where(ServedPrediction.sequence.in_(chosen)).order_by(ServedPrediction.sequence)))
