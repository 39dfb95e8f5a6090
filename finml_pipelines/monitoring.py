"""The sensor that watches what is deployed: it records outcomes that new data tell, writes alarms, and trains drifted versions again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from finml_models.core import catalog, keys
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.profile import ProfileName
from finml_models.core.task import Task

from . import records

if TYPE_CHECKING:
    from finml_ledger import Ledger
    from finml_ledger.models import Alarm, Release

EVERY = 300
"""Seconds between looks."""
ALARM_TAG, KIND_TAG, VERSION_TAG = "finml/alarm", "finml/alarm_kind", "finml/alarm_version"


def monitoring_sensor(tasks: list[type[Task]]) -> dg.SensorDefinition:
    """One sensor for all use cases: most of them have nothing deployed, and a look at those costs one query."""

    @dg.sensor(
        name="monitoring",
        target=dg.AssetSelection.groups(*(task.id() for task in tasks)).upstream(),
        minimum_interval_seconds=EVERY,
        description="Drift and decay of deployed versions: an alarm once a cause, and a retraining of the version's entry on the newest data. "
        "The retrained version replaces nothing by itself: it has to win its challenge first.",
    )
    def monitoring(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from finml_ledger import Deployments, Ledger

        ledger = Ledger.open()
        try:
            for deployed in Deployments(ledger).all():
                if deployed.state.champion is not None:
                    for trouble in _look(ledger, deployed.task):
                        context.log.warning(trouble)
            requests = list(_requests(context.instance, ledger))
        finally:
            ledger.close()
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("no alarm waits for a retraining")

    return monitoring


def _look(ledger: Ledger, name: str) -> Iterator[str]:
    """Record what newer raw rows tell of a use case, then evaluate its alarms; says what could not be done."""
    from finml_ledger.alarms import evaluate

    try:
        task = catalog.task(name)
        if task.outcome is not None:
            _record_outcomes(ledger, task)
        _, trouble = evaluate(ledger, name)
    except FinmlError as error:
        trouble = f"{name}: {error}"
    if trouble:
        yield trouble


def _record_outcomes(ledger: Ledger, task: type[Task]) -> None:
    import pandas as pd

    from finml_ledger.outcomes import record_known

    made = records.get(keys.raw(task.source()))
    if isinstance(made, records.RawRecord) and records.locate(made.path).exists():
        record_known(ledger, task, pd.read_parquet(records.locate(made.path)))


def _requests(instance: dg.DagsterInstance, ledger: Ledger) -> Iterator[dg.RunRequest]:
    """A retraining for each alarm that waits for one. What a crash kept from being launched is asked again under the same key, and runs once."""
    from finml_ledger.alarms import answer, unanswered

    for alarm in unanswered(ledger):
        started = instance.get_run_records(dg.RunsFilter(tags={ALARM_TAG: str(alarm.sequence)}), limit=1)
        if started:
            answer(ledger, alarm.sequence, started[0].dagster_run.run_id)
            continue
        try:
            yield retraining(alarm, ledger.release(alarm.task, alarm.entry, alarm.version))
        except UnknownName:
            # An entry that the catalogue no longer holds cannot be trained; its alarm stays, and says so by having no run.
            continue


def retraining(alarm: Alarm, release: Release) -> dg.RunRequest:
    """The run that trains the alarm's entry again on the newest data, as the version was trained, with the baselines that its report
    compares it with. Raises `UnknownName` for an entry that the catalogue no longer holds."""
    pair = catalog.pair(f"{alarm.task}-{alarm.entry}")
    rivals = [keys.model(other) for other in catalog.contenders(alarm.task) if other.entry.is_baseline]
    own = [keys.raw(pair.task.source()), keys.features(alarm.task), keys.model(pair), keys.report(pair), keys.service(pair)]
    made = records.get(keys.raw(pair.task.source()))
    ops = {"__".join(keys.model(pair)): {"config": _as_trained(release.fingerprint)}}
    if isinstance(made, records.RawRecord):
        ops["__".join(keys.raw(pair.task.source()))] = {"config": {"dataset": made.dataset}}
    return dg.RunRequest(
        run_key=f"alarm:{alarm.sequence}",
        asset_selection=[dg.AssetKey(key) for key in dict.fromkeys([*own, *rivals])],
        run_config={"ops": ops},
        tags={ALARM_TAG: str(alarm.sequence), KIND_TAG: alarm.kind, VERSION_TAG: alarm.version},
    )


def _as_trained(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The run config of a model that repeats a fingerprint's choices: its hyperparameters and training, and the profile by its number of seeds."""
    # A seed among the overrides would make it the only one.
    training = {name: value for name, value in fingerprint.get("config", {}).items() if name != "seed" and value is not None}
    profile = ProfileName.FULL if len(fingerprint.get("seeds", ())) > 1 else ProfileName.FAST
    return {"profile": profile.name, "hyperparameters": dict(fingerprint.get("hyperparameters", {})), "training": training}
