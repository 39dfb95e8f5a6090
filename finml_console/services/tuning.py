"""Searches over hyperparameters: started as a job of Dagster, followed by the trials that they leave in the ledger."""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import fmean

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from finml_console.schemas.training import ENDED, Accepted, RunStatus, Tuned, TuneRequest, TuningStatus
from finml_ledger import Trial
from finml_models.core.errors import FinmlError, UnknownName

from . import orders
from .course import STATES
from .line import Commit
from .training import TUNE, Placed, Training


class Tuning:
    """Starts and follows searches."""

    def __init__(self, training: Training) -> None:
        self._training = training

    async def start(self, request: TuneRequest, actor: str) -> Accepted:
        """Launch a search. Raises `UnknownName`, `FinmlError` for what cannot be searched, `ServiceFailed` where Dagster is away."""
        pair = orders.pair_of(request.model_id, request.use_case)
        if not pair.entry.card.hyperparameters.model_fields:
            raise FinmlError(f"model_id: {pair.entry.id} has no hyperparameters to search")
        dataset = orders.dataset_of(pair.task, request.data_source)
        warnings = await run_in_threadpool(orders.check_size, pair, dataset)
        config = {
            "pair": pair.id,
            "trials": request.trials,
            "dataset": dataset,
            "profile": request.profile.name,
            "timeout_seconds": float(request.timeout_seconds),
        }
        tags = {
            orders.USE_CASE: pair.task.id(),
            orders.MODEL: pair.entry.id,
            orders.DATASET: dataset,
            orders.PROFILE: request.profile.value,
            orders.ACTOR: actor,
            orders.TRIALS: str(request.trials),
        }
        training = self._training

        async def place(commit: Commit) -> Placed:
            silent = await training.daemon_warnings()
            commit()
            return Placed(await training.dagster.launch({TUNE: config}, tags, job=TUNE), (), silent)

        placed = await training.line.place(f"tune {json.dumps(config, sort_keys=True)}", place)
        run = placed.run
        accepted = Accepted(
            job_id=run.id,
            state=STATES[run.status],
            use_case=pair.task.id(),
            model_id=pair.entry.id,
            config_id=None,
            data_source=dataset,
            profile=request.profile,
            warnings=(*warnings, *placed.warnings),
            links=training.links(run),
        )
        await training.record(actor, "tune", run.id, accepted.model_dump(mode="json", exclude={"links"}) | {"trials": request.trials})
        return accepted

    async def status(self, run_id: str) -> TuningStatus:
        """How far a search has come, and the best that it found. Raises `UnknownName` for a run that is none."""
        run, status = await self._training.follow(run_id)
        if status.kind != "tuning":
            raise UnknownName("tuning", run_id, ())
        asked = run.tags.get(orders.TRIALS)
        done, best = await run_in_threadpool(self._found, run_id, status.state in ENDED)
        shared = {name: getattr(status, name) for name in TuningStatus.model_fields if name in RunStatus.model_fields}
        return TuningStatus(**shared, trials=int(asked) if asked and asked.isdecimal() else None, trials_done=done, best=best)

    def _found(self, run_id: str, ended: bool) -> tuple[int, Tuned | None]:
        """How many configurations have ended, and the best of those with a value for every fold that any has."""
        from finml_models.evaluation.metrics import METRICS

        with self._training.ledger.read() as session:
            rows = list(session.scalars(select(Trial).where(Trial.run_id == run_id).order_by(Trial.sequence)))
        by_config: dict[str, list[Trial]] = defaultdict(list)
        for row in rows:
            by_config[row.config_hash].append(row)
        # The newest one may be between two of its folds.
        done = len(by_config) if ended else max(len(by_config) - 1, 0)
        values = {name: [row.value for row in tried if row.value is not None] for name, tried in by_config.items()}
        most = max(map(len, values.values()), default=0)
        whole = {name: fmean(scored) for name, scored in values.items() if scored and len(scored) == most}
        metric = next((row.metric for row in rows if row.metric is not None), None)
        if not whole or metric is None or metric not in METRICS:
            return done, None
        pick = min if METRICS[metric].lower_is_better is not False else max
        name = pick(whole, key=lambda hashed: whole[hashed])
        return done, Tuned(hyperparameters=by_config[name][0].hyperparameters, metric=metric, value=whole[name])
