"""The work of each asset in plain functions, callable without Dagster; imported inside the step, for it is heavy."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue

from finml_ledger import Ledger
from finml_ledger.challenges import CHALLENGE
from finml_ledger.trials import LedgerTrials
from finml_models import datasets
from finml_models.core import artifact, catalog, serving
from finml_models.core.catalog import Pair
from finml_models.core.errors import DataError, FinmlError
from finml_models.core.estimator import Estimator, OnProgress, TrainingConfig
from finml_models.core.files import write_atomic
from finml_models.core.home import artifacts, home, reports
from finml_models.core.profile import ProfileName
from finml_models.core.spec import Hyperparameters
from finml_models.core.task import Task
from finml_models.evaluation import report as reporting
from finml_models.evaluation import splits, tracing
from finml_models.evaluation.audit import Audit, truncation_audit
from finml_models.evaluation.backtest import Fit, Walk
from finml_models.evaluation.ceiling import known_best
from finml_models.evaluation.fingerprint import fingerprint
from finml_models.evaluation.leaderboard import LeaderboardRow, beside_newest, leaderboard, write_leaderboard
from finml_models.evaluation.scored import Scored
from finml_models.evaluation.scores import Scores
from finml_models.evaluation.states import STATES_JSON, Embedding
from finml_models.evaluation.verdict import ablated, contamination, waiver_for

from . import records
from .challenges import against_champion
from .records import FeaturesRecord, ModelRecord, RawRecord, ReportRecord, ServiceRecord

LATENCY_REPEATS = 30
SIMULATED = (
    "These rows are simulated by a seeded generator of this project. They show how a model compares on data whose rules are known; they are no "
    "benchmark, and say nothing of its worth on real rows."
)


FAULTED = "The faults in these rows are injected by a seeded generator of this project: nobody has seen all the ways in which real data go wrong."


def ingest(dataset_id: str) -> RawRecord:
    """Load a registered dataset under its rules and keep it as a snapshot named by its content."""
    data = datasets.load(dataset_id)
    path = home() / "data" / f"{data.snapshot}.parquet"
    if not path.exists():
        _write_parquet(path, data.frame)
    truth = None if data.truth is None else path.with_suffix(".truth.parquet")
    if truth is not None and not truth.exists():
        _write_parquet(truth, data.truth)
    times = data.frame["time"]
    return RawRecord(
        dataset=dataset_id,
        snapshot=data.snapshot,
        path=records.relative(path),
        rows=len(data.frame),
        entities=data.frame["entity"].nunique(),
        first=f"{times.min():%Y-%m-%d}",
        last=f"{times.max():%Y-%m-%d}",
        repairs=data.repairs.counts(),
        truth=None if truth is None else records.relative(truth),
        simulated=data.spec.source == "simulated",
        faults=getattr(data.spec, "faults", None) is not None,
    )


def derive(use_case: type[Task], raw: RawRecord) -> FeaturesRecord:
    """Features and targets of a task, side by side in the raw rows' order."""
    frame = pd.read_parquet(records.locate(raw.path))
    task = use_case()
    x, y = task.features(frame), task.target(frame)
    path = home() / "features" / use_case.id() / f"{raw.snapshot}.parquet"
    _write_parquet(path, pd.concat([x, y.drop(columns=["entity", "time"])], axis=1))
    return FeaturesRecord(task=use_case.id(), dataset=raw.dataset, snapshot=raw.snapshot, path=records.relative(path), rows=len(x))


def audit(use_case: type[Task], raw: RawRecord) -> Audit:
    """Whether anything that the task computes changes when the future is cut away."""
    return truncation_audit(use_case(), pd.read_parquet(records.locate(raw.path)))


def train(
    pair: Pair,
    source: FeaturesRecord,
    *,
    hyperparameters: Hyperparameters,
    config: TrainingConfig,
    seeds: tuple[int, ...],
    profile: str,
    on_progress: Callable[[int | None, int], OnProgress],
    on_plan: Callable[[Sequence[int]], None] = lambda rows: None,
    run_id: str | None = None,
) -> ModelRecord:
    """Walk-forward fits, each a trial of the ledger, and the artifact of the fit on everything.

    `on_plan` hears the training rows of every fit to come, in their order, before `on_progress(fold, seed)` hears each of them.
    """
    started = time.perf_counter()
    frame = pd.read_parquet(records.locate(source.path))
    batch = pair.task().view(pair.kind, frame, frame)
    mark = _fingerprint(pair, source, hyperparameters, config, seeds)
    trials = _trials(pair, source, hyperparameters, config, mark, run_id)
    resume = home() / "checkpoints" / pair.task.id() / pair.entry.id / str(mark["id"])[:16]
    walk, asked = Walk(pair, batch, hyperparameters, config, seeds, trials, resume), _ablations(pair, profile)
    rows = walk.rows()
    on_plan([*rows, len(splits.latest(pair.task, batch)[0]), *(rows * len(asked))])
    result = walk.run(on_progress)
    folder = artifact.save(
        artifacts(pair.task.id(), pair.entry.id),
        result.released,
        task=pair.task.id(),
        entry=pair.entry.id,
        fingerprint=mark,
        reference=serving.reference(pair.task(), batch, frame),
    )
    results = home() / "backtests" / pair.task.id() / pair.entry.id / folder.name
    _write_parquet(results / "predictions.parquet", result.predictions)
    write_atomic(results / "fits.json", json.dumps([asdict(fit) for fit in result.fits]).encode())
    if result.embedding is not None:
        write_atomic(results / "embedding.json", result.embedding.model_dump_json().encode())
    ablations = {}
    for name, changes in asked.items():
        other = type(hyperparameters).model_validate(hyperparameters.model_dump() | dict(changes))
        counted = _trials(pair, source, other, config, _fingerprint(pair, source, other, config, seeds), run_id)
        predictions, _ = Walk(pair, batch, other, config, seeds, counted, resume / name).score(on_progress)
        _write_parquet(results / f"{name}.parquet", predictions)
        ablations[name] = records.relative(results / f"{name}.parquet")
    shutil.rmtree(resume, ignore_errors=True)
    return ModelRecord(
        task=pair.task.id(),
        entry=pair.entry.id,
        dataset=source.dataset,
        snapshot=source.snapshot,
        version=folder.name,
        artifact=records.relative(folder),
        predictions=records.relative(results / "predictions.parquet"),
        ablations=ablations,
        fits=records.relative(results / "fits.json"),
        embedding=None if result.embedding is None else records.relative(results / "embedding.json"),
        profile=profile,
        seconds=time.perf_counter() - started,
        fingerprint=mark,
    )


def _ablations(pair: Pair, profile: str) -> dict[str, Mapping[str, Any]]:
    """What of the card's ablations a profile runs: a first look those alone that the gate asks for."""
    wanted = {*pair.task.gate.naive, *pair.task.gate.ablations}
    return {name: changes for name, changes in pair.entry.card.ablations.items() if profile != ProfileName.FAST or name in wanted}


def judge(
    pair: Pair, raw: RawRecord, source: FeaturesRecord, model: ModelRecord, baselines: Mapping[str, ModelRecord], run_id: str | None = None
) -> ReportRecord:
    """The evaluation report of an entry beside all baselines of its task; the ledger keeps the judgement, also of a version that lost."""
    if stale := sorted(name for name, other in baselines.items() if other.snapshot != model.snapshot):
        raise DataError(
            f"{pair.id}: {', '.join(stale)} were trained on another snapshot than {model.snapshot[:12]}; run them again on dataset {model.dataset!r}"
        )
    fits = [Fit(**fit) for fit in json.loads(records.locate(model.fits).read_bytes())]
    trials = _tried(pair, model.snapshot)
    paths = {name: other.predictions for name, other in {**baselines, pair.entry.id: model}.items()}
    paths |= {ablated(pair.entry.id, name): path for name, path in model.ablations.items()}
    known = {name: _scored(pair.task, name, records.locate(path)) for name, path in paths.items()}
    predictions = {name: frame for name, (frame, _) in known.items()}
    truth = None if raw.truth is None else pd.read_parquet(records.locate(raw.truth))
    estimator = artifact.load(records.locate(model.artifact)).estimator
    rows = pd.read_parquet(records.locate(raw.path))
    contaminated = estimator.contaminated_by(pair.task().corpora(rows))
    document, plots = reporting.build(
        pair,
        predictions,
        Scores.of({name: own for name, (_, own) in known.items()}),
        fits=fits,
        fingerprint=model.fingerprint,
        data=reporting.DataSection(
            dataset=raw.dataset, snapshot=raw.snapshot, rows=raw.rows, entities=raw.entities, first=raw.first, last=raw.last, repairs=raw.repairs
        ),
        version=model.version,
        profile=model.profile,
        milliseconds=_latency(pair, source, estimator),
        megabytes=_size(records.locate(model.artifact)) / 1e6,
        seconds=model.seconds,
        parameters=fits[-1].parameters,
        tried=trials.configurations,
        trials=trials,
        waiver=waiver_for(pair.task.id(), pair.entry.id),
        ceilings=() if truth is None else known_best(pair.task, truth, predictions[pair.entry.id]),
        notes=(*((SIMULATED,) if raw.simulated else ()), *((FAULTED,) if raw.faults else ()), *pair.task.notes, *estimator.notes),
        extra=(contamination(contaminated),) if contaminated else (),
    )
    folder = reports(pair.task.id(), pair.entry.id) / model.version
    embedding = None if model.embedding is None else Embedding.model_validate_json(records.locate(model.embedding).read_bytes())
    states = tracing.states_of(pair, predictions[pair.entry.id], embedding, version=model.version, dataset=raw.dataset, snapshot=raw.snapshot)
    if states is not None:
        write_atomic(folder / STATES_JSON, states.model_dump_json().encode())
    reporting.write(document, plots, folder)
    judged = ReportRecord(
        task=pair.task.id(),
        entry=pair.entry.id,
        version=model.version,
        artifact=model.artifact,
        report=records.relative(folder / reporting.REPORT_JSON),
        page=records.relative(folder / reporting.REPORT_HTML),
        verdict=document.verdict,
        passed=document.gate.passed,
    )
    _record(judged, document, None, run_id, model, rows)
    return judged


def package(report: ReportRecord, run_id: str | None = None) -> ServiceRecord:
    """Build the bento of a version that passed its gate and record the release."""
    # A process of its own: BentoML reads BENTOML_HOME at import, and the pipeline does not import the serving side.
    command = [sys.executable, "-m", "bento.package", "--artifact", str(records.locate(report.artifact)), "--home", str(home() / "bentoml"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FinmlError(f"bento of {report.task}-{report.entry}:{report.version} was not built: {done.stderr.strip()[-2000:]}")
    tag = json.loads(done.stdout.strip().splitlines()[-1])["tag"]
    _record(report, reporting.read(records.locate(report.report)), tag, run_id)
    return ServiceRecord(task=report.task, entry=report.entry, version=report.version, tag=tag)


def _record(
    judged: ReportRecord,
    document: reporting.Report,
    tag: str | None,
    run_id: str | None,
    model: ModelRecord | None = None,
    raw: pd.DataFrame | None = None,
) -> None:
    """Keep a judgement in the ledger, beside it the challenge of the champion: made where the model and raw rows are given, else as it was."""
    ledger = Ledger.open()
    if model is not None and raw is not None:
        found = against_champion(ledger, model, raw)
        challenge = None if found is None else found.model_dump(mode="json")
    else:
        known = [one for one in ledger.releases(judged.task, judged.entry) if one.version == judged.version]
        challenge = known[0].headline.get(CHALLENGE) if known else None
    ledger.record_release(
        task=judged.task,
        entry=judged.entry,
        version=judged.version,
        artifact=judged.artifact,
        report=judged.report,
        bento_tag=tag,
        verdict=judged.verdict,
        gate_passed=judged.passed,
        headline={"sentence": document.headline, **({} if challenge is None else {CHALLENGE: challenge})},
        fingerprint=document.fingerprint,
        run_id=run_id,
    )
    ledger.close()


def _fingerprint(pair: Pair, source: FeaturesRecord, hyperparameters: Hyperparameters, config: TrainingConfig, seeds: tuple[int, ...]) -> dict[str, JsonValue]:
    return fingerprint(
        snapshot=source.snapshot, entry=pair.entry.id, task=pair.task.id(), hyperparameters=hyperparameters, config=config, seeds=seeds, split=pair.task.split
    )


def _trials(
    pair: Pair, source: FeaturesRecord, hyperparameters: Hyperparameters, config: TrainingConfig, mark: Mapping[str, JsonValue], run_id: str | None
) -> LedgerTrials:
    return LedgerTrials(
        ledger=Ledger.open(),
        task=pair.task.id(),
        entry=pair.entry.id,
        metric=pair.task.metrics[0],
        config_hash=str(mark["config_hash"]),
        hyperparameters=hyperparameters.model_dump(mode="json"),
        config=config.model_dump(mode="json"),
        data_snapshot=source.snapshot,
        code_version=str(mark["code_version"]),
        fingerprint_id=str(mark["id"]),
        run_id=run_id,
    )


def rank(use_case: str) -> list[LeaderboardRow]:
    """The newest reports of a use case on the data of the newest of all, best first, with the champion named."""
    return leaderboard(beside_newest([reporting.read(path) for path in records.report_paths(use_case)]))


def publish(use_case: str) -> tuple[list[LeaderboardRow], Path | None]:
    """`rank`, and the page of it beside the use case's reports."""
    rows = rank(use_case)
    return rows, write_leaderboard(rows, home() / "reports" / use_case)


def _scored(task: type[Task], name: str, path: Path) -> tuple[pd.DataFrame, Scored]:
    """The predictions in a file and what they scored. Every report of a use case asks for those of all baselines: they are read and scored once."""
    return _scored_file(task, name, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=12)
def _scored_file(task: type[Task], name: str, path: Path, written: int) -> tuple[pd.DataFrame, Scored]:
    del written  # another file under the same name is another one
    frame = pd.read_parquet(path)
    return frame, reporting.scored(task, name, frame)


def _tried(pair: Pair, snapshot: str) -> reporting.TrialCount:
    """How many fits and configurations of models were tried on these data: what Holm's correction has to pay for.

    A model of the task that was not tried yet counts as one configuration, so that the order of the runs decides nothing.
    """
    ledger, task = Ledger.open(), pair.task.id()
    models = [other.entry.id for other in catalog.contenders(task) if not other.entry.is_baseline]
    configurations = sum(max(1, ledger.count_configurations(task, name, snapshot)) for name in models)
    fits = sum(ledger.count_trials(task, name, snapshot) for name in models)
    ledger.close()
    return reporting.TrialCount(fits=fits, configurations=configurations)


def _latency(pair: Pair, source: FeaturesRecord, estimator: Estimator[Any]) -> float:
    """Median milliseconds of processor time for one prediction, features given."""
    frame = pd.read_parquet(records.locate(source.path))
    dates = np.unique(frame["time"].to_numpy())
    recent = frame[frame["time"] >= dates[-min(len(dates), 2 * pair.task.history)]].reset_index(drop=True)
    row = pair.task().view(pair.kind, recent).take(np.array([0]))
    seconds = []
    for _ in range(LATENCY_REPEATS):
        started = time.process_time()
        estimator.predict(row)
        seconds.append(time.process_time() - started)
    return float(np.median(seconds) * 1e3)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _write_parquet(path: Path, frame: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())
