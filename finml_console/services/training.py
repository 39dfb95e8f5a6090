"""Configurations and the runs that they lead to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from finml_console import problems
from finml_console.schemas.training import (
    Accepted,
    Configuration,
    ConfigureRequest,
    Links,
    Result,
    RunPage,
    RunStatus,
    RunSummary,
    TrainRequest,
)
from finml_ledger import Ledger
from finml_ledger.models import Configuration as ConfigurationRow
from finml_ledger.models import Release
from finml_models.core import catalog, keys
from finml_models.core.catalog import Pair
from finml_models.core.errors import Conflict, FinmlError, UnknownName
from finml_models.core.profile import ProfileName

from . import orders
from .audit import Audit
from .course import STATES
from .dagster import Dagster, Run
from .feeds import Feed, Feeds
from .line import Commit, Line

STALE_SECONDS = 90.0
"""A daemon that was silent for longer is taken for down; it says that it lives every 30 s."""
DAEMON_DOWN = "Dagster's daemon, which starts queued runs, was not heard of for over 90 s: the run waits until it is started with: finml up"
TUNE = "tune"


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an order."""

    run: Run
    baselines: tuple[str, ...]
    warnings: tuple[str, ...]


class Training:
    """Configures, launches and follows trainings. Its methods raise the errors that the routes answer."""

    def __init__(self, ledger: Ledger, dagster: Dagster, feeds: Feeds | None = None) -> None:
        self.ledger, self.dagster = ledger, dagster
        self.feeds = feeds or Feeds(dagster)
        self.line: Line[Placed] = Line(dagster.seconds)
        self._audit = Audit(ledger)

    def configure(self, request: ConfigureRequest, actor: str) -> Configuration:
        """Validate a configuration by its model's card and keep it under the hash of its content.

        Raises `UnknownName`, `FinmlError`, and a `Problem` with the paths of hyperparameters that are wrong.
        """
        entry = catalog.entry(request.model_id)
        if request.use_case is not None:
            orders.pair_of(request.model_id, request.use_case)
        fitting = orders.use_cases_of(request.model_id)
        use_case = request.use_case or (fitting[0] if len(fitting) == 1 else None)
        try:
            hyperparameters = entry.card.hyperparameters.model_validate(request.hyperparameters)
        except ValidationError as error:
            raise problems.invalid([{**e, "loc": ("body", "hyperparameters", *e["loc"])} for e in error.errors(include_input=False)]) from None
        content = {
            "model_id": request.model_id,
            "use_case": use_case,
            "hyperparameters": hyperparameters.model_dump(mode="json"),
            "training": request.training_config.model_dump(mode="json", exclude_none=True),
        }
        return _configuration(self._keep(content, actor))

    def configuration(self, config_id: str) -> Configuration:
        """A configuration that was kept; raises `UnknownName`."""
        with self.ledger.read() as session:
            row = session.scalar(select(ConfigurationRow).where(ConfigurationRow.id == config_id))
        if row is None:
            raise UnknownName("config_id", config_id, ())
        return _configuration(row)

    async def train(self, request: TrainRequest, actor: str) -> Accepted:
        """Launch the training of a configuration. Nothing that is wrong with it reaches Dagster. Raises `ServiceFailed` where that is away."""
        order, warnings = await run_in_threadpool(self._order, request, actor)
        placed = await self.line.place(f"train {order.config_id} {order.pair.id} {order.dataset}", partial(self._place, order))
        run = placed.run
        warnings += placed.warnings
        accepted = Accepted(
            job_id=run.id,
            state=STATES[run.status],
            use_case=order.pair.task.id(),
            model_id=order.pair.entry.id,
            config_id=order.config_id,
            data_source=order.dataset,
            profile=order.profile,
            baselines=placed.baselines,
            warnings=tuple(warnings),
            links=self.links(run),
        )
        await self.record(actor, "train", run.id, accepted.model_dump(mode="json", exclude={"links"}))
        return accepted

    async def status(self, run_id: str) -> RunStatus:
        """How far a run has come. Raises `UnknownName`; `ServiceFailed` unless its end is known here already."""
        return (await self.follow(run_id))[1]

    async def follow(self, run_id: str) -> tuple[Run, RunStatus]:
        """`status`, and the run itself."""
        feed = await self.feeds.refreshed(run_id)
        run = _of(feed)
        course = feed.course
        # A run that waits needs the daemon; whether that lives is asked for those alone.
        warnings = await self.daemon_warnings() if course.state == "queued" else ()
        summary = self._summary(run, course.state).model_dump(exclude={"ended_at"})
        return run, RunStatus(
            **summary,
            ended_at=(run.ended or course.heard) if course.ended else None,
            step=course.step,
            steps_done=course.steps_done,
            steps=len(course.steps),
            percentage=course.percentage,
            fit=course.fit,
            epoch=course.epoch,
            epochs=course.epochs,
            metrics=course.metrics,
            eta_seconds=course.seconds_left(self.ledger.clock()),
            error=course.error if course.state == "failed" else None,
            result=await run_in_threadpool(self._result, run) if course.ended else None,
            warnings=warnings,
        )

    async def page(self, *, after: str | None, limit: int, state: str | None, use_case: str | None, model_id: str | None) -> RunPage:
        """Runs older than the run `after`, newest first. Raises `ServiceFailed`."""
        statuses = [word for word, meaning in STATES.items() if meaning == state and word != "MANAGED"]
        tags = {name: value for name, value in {orders.USE_CASE: use_case, orders.MODEL: model_id}.items() if value is not None}
        found = await self.dagster.runs(after=after, limit=limit + 1, statuses=statuses, tags=tags)
        shown = found[:limit]
        return RunPage(items=tuple(self._summary(run, STATES[run.status]) for run in shown), next=shown[-1].id if len(found) > limit else None)

    async def cancel(self, run_id: str, actor: str) -> RunSummary:
        """Ask a run to end. Raises `UnknownName`, `Conflict` for one that has ended, `ServiceFailed`."""
        async with self.dagster.limit():
            before = await self.dagster.run(run_id)
            if STATES[before.status] in {"succeeded", "failed", "cancelled"}:
                raise Conflict(f"run {run_id} has {STATES[before.status]} already")
            await self.dagster.cancel(run_id)
            after = await self.dagster.run(run_id)
        await self.record(actor, "cancel", run_id, {"state": STATES[after.status]}, {"state": STATES[before.status]})
        return self._summary(after, STATES[after.status])

    async def beside(self, pair: Pair, dataset: str, profile: ProfileName) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
        """The baselines that would be trained with a pair if it were ordered now, and what to know of the daemon. Raises `ServiceFailed`."""
        wanted = [keys.raw(pair.task.source()), *(keys.model(other) for other in orders.rivals(pair))]
        made, active, warnings = await asyncio.gather(self.dagster.newest(wanted), self.dagster.runs(statuses=orders.ACTIVE, limit=200), self.daemon_warnings())
        # Files are looked at for their age.
        return await run_in_threadpool(orders.missing, pair, dataset, profile, made, active), warnings

    async def _place(self, order: orders.Order, commit: Commit) -> Placed:
        baselines, warnings = await self.beside(order.pair, order.dataset, order.profile)
        whole = replace(order, baselines=baselines)
        commit()
        run = await self.dagster.launch(whole.ops(), whole.tags(), assets=whole.assets())
        return Placed(run, tuple(other.entry.id for other in baselines), warnings)

    async def daemon_warnings(self) -> tuple[str, ...]:
        """What whoever waits for a run must know of the daemon that starts it. Raises `ServiceFailed`."""
        return (DAEMON_DOWN,) if orders.is_late(await self.dagster.heartbeat(), self.ledger.clock(), STALE_SECONDS) else ()

    def _order(self, request: TrainRequest, actor: str) -> tuple[orders.Order, list[str]]:
        configuration = self.configuration(request.config_id)
        if configuration.model_id != request.model_id:
            raise FinmlError(f"config_id: {request.config_id} is a configuration of {configuration.model_id}, not of {request.model_id}")
        if request.use_case and configuration.use_case and request.use_case != configuration.use_case:
            raise FinmlError(f"use_case: configuration {request.config_id} is for {configuration.use_case}; configure the model for {request.use_case}")
        pair = orders.pair_of(request.model_id, configuration.use_case or request.use_case, request.data_source)
        dataset = orders.dataset_of(pair.task, request.data_source)
        # Also those of an older version of the card are held against the present one.
        hyperparameters = pair.entry.card.hyperparameters.model_validate(configuration.hyperparameters)
        training = dict(configuration.training)
        profile = ProfileName(training.pop("profile", ProfileName.FAST))
        order = orders.Order(pair, dataset, profile, hyperparameters.model_dump(mode="json"), training, request.config_id, actor)
        return order, orders.check_size(pair, dataset)

    def _keep(self, content: Mapping[str, Any], actor: str) -> ConfigurationRow:
        name = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()[:16]
        row = ConfigurationRow(
            id=name,
            model=content["model_id"],
            use_case=content["use_case"],
            hyperparameters=content["hyperparameters"],
            training=content["training"],
            created_at=self.ledger.clock(),
        )
        with self.ledger.read() as session:
            kept = session.scalar(select(ConfigurationRow).where(ConfigurationRow.id == name))
        if kept is not None:
            return kept
        try:
            with self.ledger.write() as session:
                session.add(row)
        except IntegrityError:
            # Somebody else kept the same one between our look and our insert.
            return self._keep(content, actor)
        self._audit.record(actor=actor, action="configure", subject=name, after=dict(content))
        return row

    def _summary(self, run: Run, state: Any) -> RunSummary:
        kind: Literal["training", "tuning", "other"] = "tuning" if run.job == TUNE else "training" if orders.CONFIG in run.tags else "other"
        return RunSummary(
            job_id=run.id,
            kind=kind,
            state=state,
            use_case=run.tags.get(orders.USE_CASE),
            model_id=run.tags.get(orders.MODEL),
            config_id=run.tags.get(orders.CONFIG),
            data_source=run.tags.get(orders.DATASET),
            profile=run.tags.get(orders.PROFILE),
            actor=run.tags.get(orders.ACTOR),
            created_at=run.created,
            started_at=run.started,
            ended_at=run.ended,
            links=self.links(run),
        )

    def _result(self, run: Run) -> Result | None:
        task, entry = run.tags.get(orders.USE_CASE), run.tags.get(orders.MODEL)
        if task is None or entry is None:
            return None
        with self.ledger.read() as session:
            query = select(Release).where(Release.run_id == run.id, Release.task == task, Release.entry == entry)
            found = session.scalar(query.order_by(Release.judged.desc()).limit(1))
        if found is None:
            return None
        return Result(version=found.version, verdict=found.verdict, gate_passed=found.gate_passed, bento_tag=found.bento_tag, report=found.report)

    def links(self, run: Run) -> Links:
        """Where to go on from a run."""
        status = f"/v1/tuning/{run.id}" if run.job == TUNE else f"/models/training-status/{run.id}"
        return Links(status=status, events=f"/v1/runs/{run.id}/events", cancel=f"/v1/runs/{run.id}/cancel", dagster=self.dagster.page(run.id))

    async def record(self, actor: str, action: str, subject: str, after: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
        """A row of the audit trail."""
        await run_in_threadpool(partial(self._audit.record, actor=actor, action=action, subject=subject, after=after, before=before))


def _of(feed: Feed) -> Run:
    if feed.run is None:
        raise UnknownName("run", feed.run_id, ())
    return feed.run


def _configuration(row: ConfigurationRow) -> Configuration:
    created: datetime = row.created_at
    return Configuration(
        config_id=row.id, model_id=row.model, use_case=row.use_case, hyperparameters=row.hyperparameters, training=row.training, created_at=created
    )
