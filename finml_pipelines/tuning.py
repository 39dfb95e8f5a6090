# No `from __future__ import annotations`: Dagster resolves the annotations of locally built ops.
"""The job `tune`: a search for a pair's hyperparameters on rows that no report scores, every fit a trial of the ledger."""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from finml_models.core import catalog, keys
from finml_models.core.errors import FinmlError
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.datasets.registry import datasets, default_of
from finml_models.training.search_space import search_space
from finml_models.training.tuning_report import TuningReport, read

from .factory import TRAINING_POOL, as_failure

if TYPE_CHECKING:
    from finml_models.training.tuning import Step

OnStep = Callable[["Step"], None]


class TuneConfig(dg.Config):
    """What to search, and how long."""

    pair: str = Field(description="<use case>-<model or baseline>")
    trials: int = Field(20, ge=1, le=1_000, description="configurations in all, the default first; a study that has some already goes on")
    dataset: str | None = Field(None, description="registered dataset id; the use case's default where none is named")
    only: list[str] = Field(default_factory=list, description="hyperparameters to search; all that the card lets be searched where none is named")
    profile: ProfileName = Field(ProfileName.FAST, description="training of each configuration, one seed")
    timeout_seconds: float | None = Field(None, gt=0, description="seconds after which no further configuration is begun")


def tune_job(on_step: OnStep | None = None, pool: str | None = TRAINING_POOL) -> dg.JobDefinition:
    """The job with its one op. `on_step` hears what happens beside the run's log; searches take turns with trainings in `pool`."""

    @dg.op(name="search_hyperparameters", pool=pool, out=dg.Out(dg.Nothing), description="Fit and score configurations on inner folds.")
    def search(context: dg.OpExecutionContext, config: TuneConfig) -> None:
        with as_failure():
            _search(context, config, on_step)

    @dg.job(
        name="tune",
        executor_def=dg.in_process_executor,
        description="Search hyperparameters of a pair on rows before the first date that a report scores. The result is a file under tuning/runs/.",
    )
    def tune() -> None:
        search.alias("tune")()

    return tune


def tune(
    pair_id: str,
    *,
    trials: int = 20,
    only: Sequence[str] = (),
    dataset: str | None = None,
    profile: str = "fast",
    timeout: float | None = None,
    on_step: OnStep | None = None,
) -> TuningReport:
    """Run the job in this process; `timeout` is in seconds.

    Raises `UnknownName` for ids, `FinmlError` for a pair that cannot run, a dataset of another kind, or with what the run failed of.
    """
    from .instance import instance
    from .launcher import PROCESS_TAG, this_process
    from .run import QUIET, failure_of

    pair = _runnable(pair_id)
    _source(pair, dataset)
    search_space(pair.entry.card.hyperparameters, only)
    config = {"pair": pair.id, "trials": trials, "only": list(only), "dataset": dataset, "profile": ProfileName(profile).name, "timeout_seconds": timeout}
    run_id = str(uuid.uuid4())
    with instance() as home:
        # No turns in a pool: a step of this executor that waits for its turn spins.
        result = tune_job(on_step, pool=None).execute_in_process(
            instance=home,
            run_id=run_id,
            run_config={"ops": {"tune": {"config": {name: value for name, value in config.items() if value is not None}}}, "loggers": QUIET},
            tags={PROCESS_TAG: this_process()},
            raise_on_error=False,
        )
    if not result.success:
        raise FinmlError(next((said for event in result.all_events if (said := failure_of(event))), f"run {run_id} of the job tune failed"))
    return read(run_id)


def _search(context: dg.OpExecutionContext, config: TuneConfig, on_step: OnStep | None) -> None:
    import pandas as pd

    from finml_ledger import Ledger
    from finml_models.evaluation.fingerprint import code
    from finml_models.training import tuning, tuning_report

    from . import records, steps

    began = time.monotonic()
    pair = _runnable(config.pair)
    profile = PROFILES[config.profile]
    seed = profile.seeds_for(pair.entry.card)[0]
    data = steps.ingest(_source(pair, config.dataset))
    raw = pd.read_parquet(records.locate(data.path))
    before = tuning.first_scored(pair, raw)
    batch = tuning.inner(pair, raw, before)
    study = tuning.study_id(
        pair,
        snapshot=data.snapshot,
        before=before,
        config=profile.training,
        seed=seed,
        only=config.only,
        code_version=str(code()["code_version"]),
    )
    context.log.info("study %s: %d rows before %s", study, len(batch), before)

    def hear(step: "Step") -> None:
        if on_step is not None:
            on_step(step)
        context.log_event(dg.AssetObservation(asset_key=dg.AssetKey(keys.model(pair)), metadata=_metadata(study, step)))

    ledger = Ledger.open()
    search = tuning.Search(
        pair,
        batch,
        profile.training,
        seed,
        trials=_trials(ledger, pair, data.snapshot, config.profile, {"tuning": study, "before": str(before)}, context.run.run_id),
        folder=tuning_report.folder() / pair.task.id() / pair.entry.id / study,
        only=tuple(config.only),
        on_step=hear,
    )
    try:
        attempts = search.run(config.trials, config.timeout_seconds)
    finally:
        ledger.close()
    report = TuningReport(
        study=study,
        task=pair.task.id(),
        entry=pair.entry.id,
        dataset=data.dataset,
        snapshot=data.snapshot,
        profile=str(config.profile.value),
        metric=pair.task.metrics[0],
        lower_is_better=search.lower_is_better,
        seed=seed,
        before=str(before.astype("datetime64[D]")),
        rows=len(batch),
        inner_folds=search.folds,
        attempts=attempts,
        seconds=time.monotonic() - began,
        timed_out=search.timed_out,
    )
    path = tuning_report.write(context.run.run_id, report)
    found = {"study": study, "best": report.best.value, "hyperparameters": dg.MetadataValue.json(report.best.hyperparameters), "worth": report.sentence}
    context.log_event(dg.AssetObservation(asset_key=dg.AssetKey(keys.model(pair)), metadata={**found, "report": records.relative(path)}))


def _trials(ledger: Any, pair: catalog.Pair, snapshot: str, profile: ProfileName, note: Mapping[str, str], run_id: str) -> Callable[[Any], Any]:
    """Counts of a configuration. Its hash is the one that a run with these hyperparameters has, so that the chosen one is paid for once."""
    from finml_ledger.trials import LedgerTrials
    from finml_models.evaluation.fingerprint import fingerprint

    training, seeds = PROFILES[profile].training, PROFILES[profile].seeds_for(pair.entry.card)

    def counted(hyperparameters: Any) -> LedgerTrials:
        mark = fingerprint(
            snapshot=snapshot,
            entry=pair.entry.id,
            task=pair.task.id(),
            hyperparameters=hyperparameters,
            config=training,
            seeds=seeds,
            split=pair.task.split,
        )
        return LedgerTrials(
            ledger=ledger,
            task=pair.task.id(),
            entry=pair.entry.id,
            metric=pair.task.metrics[0],
            config_hash=str(mark["config_hash"]),
            hyperparameters=hyperparameters.model_dump(mode="json"),
            config=training.model_dump(mode="json") | note,
            data_snapshot=snapshot,
            code_version=str(mark["code_version"]),
            # Of other rows than the run's: another result.
            fingerprint_id=hashlib.sha256(f"{mark['id']} {note['tuning']}".encode()).hexdigest(),
            run_id=run_id,
        )

    return counted


def _runnable(pair_id: str) -> catalog.Pair:
    pair = catalog.pair(pair_id)
    if pair.gap:
        raise FinmlError(f"{pair.id} cannot be tuned: {pair.gap}")
    if not pair.entry.card.hyperparameters.model_fields:
        raise FinmlError(f"{pair.id}: {pair.entry.id} has no hyperparameters, so there is nothing to tune")
    return pair


def _source(pair: catalog.Pair, dataset: str | None) -> str:
    """The registered dataset to take; raises `UnknownName`, or `FinmlError` for one of another kind."""
    if dataset is None:
        return default_of(pair.task.source())
    from finml_models.core.errors import UnknownName

    known = datasets()
    if dataset not in known:
        raise UnknownName("dataset", dataset, known)
    if known[dataset].kind != pair.task.dataset:
        raise FinmlError(f"dataset {dataset!r} holds {known[dataset].kind} data, {pair.task.id()} needs {pair.task.dataset}; name one of that kind")
    return dataset


def _metadata(study: str, step: "Step") -> dict[str, Any]:
    known = {
        "tuning": study,
        "attempt": step.attempt,
        "attempts": step.attempts,
        "fold": step.fold,
        "folds": step.folds,
        "state": step.state or "running",
        "value": step.value,
        "best": step.best,
        "default": step.default,
        "seconds_left": step.seconds_left,
    }
    return {name: value for name, value in known.items() if value is not None}
