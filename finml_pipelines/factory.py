# No `from __future__ import annotations`: Dagster resolves the annotations of locally built config classes.
"""What the assets are, made from the catalogue. The work is in `steps`, imported inside the step."""

from collections.abc import Iterator

import dagster as dg

from finml_models.core import catalog, keys
from finml_models.core.catalog import Pair
from finml_models.core.errors import FinmlError
from finml_models.core.task import Task

from . import config, records
from .listener import Course, Listener

OWNERS = ["team:finml"]
TRAINING_POOL = "training"
KINDS = {"report": {"pandas"}, "service": {"bentoml"}}


class RecordStore(dg.IOManager):
    """Hands records from asset to asset as JSON under the state folder."""

    def handle_output(self, context: dg.OutputContext, obj: records.Record) -> None:
        """Make the record the asset's current one."""
        records.put(tuple(context.asset_key.path), obj)

    def load_input(self, context: dg.InputContext) -> records.Record:
        """The current record of the upstream asset."""
        record = records.get(tuple(context.asset_key.path))
        if record is None:
            raise dg.Failure(f"{context.asset_key.to_user_string()} was never made; materialise it first", allow_retries=False)
        return record


def raw_asset(source: str) -> dg.AssetsDefinition:
    """The snapshot of a kind of raw data, or of a use case's own default dataset."""
    from .metadata import of_raw

    @dg.asset(
        key=dg.AssetKey(keys.raw(source)),
        group_name="raw_data",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"A registered {source} dataset under its declared rules, kept by content hash.",
    )
    def raw(config: config.raw_config(source)) -> dg.Output[records.RawRecord]:
        from . import steps

        with as_failure():
            record = steps.ingest(config.dataset)
        return dg.Output(record, metadata=of_raw(record))

    return raw


def task_assets(task: type[Task]) -> Iterator[dg.AssetsDefinition]:
    """Features and leaderboard of a use case."""

    @dg.asset(
        key=dg.AssetKey(keys.features(task.id())),
        ins={"raw": dg.AssetIn(dg.AssetKey(keys.raw(task.source())))},
        group_name=task.id(),
        kinds={"pandas", "parquet"},
        owners=OWNERS,
        check_specs=[
            dg.AssetCheckSpec(
                "truncation_audit",
                asset=dg.AssetKey(keys.features(task.id())),
                blocking=True,
                description="Features, targets and views come out the same, bit for bit, on data cut at sampled dates. Red stops the run: a leak is no result.",
            )
        ],
        description=f"Causal features and targets. {task.description}",
    )
    def features(raw: records.RawRecord) -> Iterator[object]:
        from . import steps
        from .metadata import of_audit

        with as_failure():
            record, audit = steps.derive(task, raw), steps.audit(task, raw)
        yield dg.Output(record, metadata={"rows": record.rows, "snapshot": record.snapshot, "path": record.path})
        yield of_audit(audit)

    @dg.asset(
        key=dg.AssetKey(keys.leaderboard(task.id())),
        # Not on the services: where one was not packaged, Dagster would skip what depends on it.
        deps=[dg.AssetKey(keys.report(pair)) for pair in catalog.contenders(task.id())],
        group_name=task.id(),
        owners=OWNERS,
        description=f"Every model and baseline of {task.name.lower()} by its newest report, and the champion.",
    )
    def leaderboard() -> dg.MaterializeResult:
        from . import steps
        from .metadata import of_leaderboard

        return dg.MaterializeResult(metadata=of_leaderboard(*steps.publish(task.id())))

    yield features
    yield leaderboard


def pair_assets(pair: Pair, pool: str | None = TRAINING_POOL) -> Iterator[dg.AssetsDefinition]:
    """Model, report with its gate, and service of one entry of a use case. Trainings take turns in `pool`, across all runs of the instance."""
    task, entry = pair.task, pair.entry
    tags = {"finml/entry": entry.id, "finml/role": "baseline" if entry.is_baseline else "model"}
    common = {"group_name": task.id(), "owners": OWNERS, "tags": tags}
    rivals = [other for other in catalog.contenders(task.id()) if other.entry.is_baseline and other.entry.id != entry.id]

    @dg.asset(
        key=dg.AssetKey(keys.model(pair)),
        ins={"features": dg.AssetIn(dg.AssetKey(keys.features(task.id())))},
        kinds={"numpy" if entry.is_baseline else "pytorch"},
        pool=pool,
        description=f"{entry.card.name}: walk-forward fits and the artifact of the fit on everything. {entry.card.description}",
        required_resource_keys={"listener"},
        **common,
    )
    def model(context: dg.AssetExecutionContext, config: config.model_config(entry), features: records.FeaturesRecord) -> dg.Output[records.ModelRecord]:
        from . import steps
        from .config import resolve
        from .metadata import of_model

        hyperparameters, training, seeds = resolve(entry, config)
        listener: Listener | None = context.resources.listener
        course = Course(context, pair.id, listener)
        with as_failure(retries=1):
            record = steps.train(
                pair,
                features,
                hyperparameters=hyperparameters,
                config=training,
                seeds=seeds,
                profile=str(config.profile.value),
                on_plan=course.plan,
                on_progress=course.begin,
                run_id=context.run.run_id,
            )
        return dg.Output(record, metadata=of_model(record))

    @dg.asset(
        key=dg.AssetKey(keys.report(pair)),
        ins={
            "model": dg.AssetIn(dg.AssetKey(keys.model(pair))),
            "features": dg.AssetIn(dg.AssetKey(keys.features(task.id()))),
            "raw": dg.AssetIn(dg.AssetKey(keys.raw(task.source()))),
            **{f"baseline_{rival.entry.id}": dg.AssetIn(dg.AssetKey(keys.model(rival))) for rival in rivals},
        },
        check_specs=[dg.AssetCheckSpec("gate", asset=dg.AssetKey(keys.report(pair)), description=f"May {entry.card.name} be released? Red is a result.")],
        kinds={"pandas"},
        description=f"{entry.card.name} beside every baseline of {task.name.lower()}: metrics with intervals, tests, verdict, plots.",
        **common,
    )
    def report(
        context: dg.AssetExecutionContext,
        model: records.ModelRecord,
        features: records.FeaturesRecord,
        raw: records.RawRecord,
        **baselines: records.ModelRecord,
    ) -> Iterator[object]:
        from . import steps
        from .metadata import of_gate, of_report

        with as_failure():
            rivals_by_name = {name.removeprefix("baseline_"): rival for name, rival in baselines.items()}
            record = steps.judge(pair, raw, features, model, rivals_by_name, context.run.run_id)
        yield dg.Output(record, metadata=of_report(record))
        yield of_gate(record)

    @dg.asset(
        key=dg.AssetKey(keys.service(pair)),
        ins={"report": dg.AssetIn(dg.AssetKey(keys.report(pair)))},
        output_required=False,
        kinds={"bentoml"},
        description=f"The bento of {entry.card.name}, built when its gate passed; nothing otherwise.",
        **common,
    )
    def service(context: dg.AssetExecutionContext, report: records.ReportRecord) -> Iterator[dg.Output[records.ServiceRecord]]:
        from . import steps

        if not report.passed:
            context.log.info("%s did not pass its gate (%s): nothing to package", pair.id, report.verdict)
            return
        with as_failure():
            record = steps.package(report, context.run.run_id)
        yield dg.Output(record, metadata={"tag": record.tag, "version": record.version})

    yield model
    yield report
    yield service


class as_failure:  # noqa: N801  (reads as a statement where it is used)
    """Errors that a user can act on end the step at once: trying again would meet the same data. Others are tried again so many times.

    Not by a retry policy of Dagster's, which also tries again what somebody has cancelled.
    """

    def __init__(self, retries: int = 0) -> None:
        self._retries = retries

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FinmlError):
            raise dg.Failure(str(error), allow_retries=False) from error
        if isinstance(error, Exception) and self._retries:
            raise dg.RetryRequested(max_retries=self._retries, seconds_to_wait=1) from error
