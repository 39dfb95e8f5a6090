"""What was measured: the reports of the newest releases, as the ledger knows them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Select, func, select
from starlette.concurrency import run_in_threadpool

from finml_ledger import Ledger, Release
from finml_models.core import catalog
from finml_models.core.errors import CorruptArtifact, NotBuilt
from finml_models.core.home import home
from finml_models.core.recommend import Evidence
from finml_models.evaluation.document import Report
from finml_models.evaluation.states import STATES_JSON, States

READY_SECONDS = 0.5
"""What passed is read again after it: a version that was just judged shows within a second."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A release and the report that judged it."""

    release: Release
    report: Report


class Evidences:
    """The reports behind a ledger's releases. A report's file is read once: its folder is named by what is in it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ready: frozenset[str] = frozenset()
        self._ready_until = 0.0

    def newest(self, task: str | None = None, entry: str | None = None) -> dict[tuple[str, str], Release]:
        """By use case and entry, the release that was judged last."""
        last = select(func.max(Release.judged)).group_by(Release.task, Release.entry)
        query = select(Release).where(Release.judged.in_(last)).order_by(Release.judged)
        with self._ledger.read() as session:
            found = session.scalars(_narrowed(query, task, entry))
            return {(release.task, release.entry): release for release in found}

    def page(
        self, *, task: str | None = None, entry: str | None = None, passed: bool | None = None, before: int | None = None, limit: int = 50
    ) -> list[Release]:
        """Releases that hold every given condition, the one that was judged last first, of judgements below `before`."""
        query = _narrowed(select(Release).order_by(Release.judged.desc()).limit(limit), task, entry)
        if passed is not None:
            query = query.where(Release.gate_passed == passed)
        if before is not None:
            query = query.where(Release.judged < before)
        with self._ledger.read() as session:
            return list(session.scalars(query))

    def of_runs(self, run_ids: Collection[str]) -> dict[str, list[Release]]:
        """By run, the releases that it made, in the order of their judgements; runs that made none are left out."""
        found: dict[str, list[Release]] = {}
        with self._ledger.read() as session:
            for release in session.scalars(select(Release).where(Release.run_id.in_(run_ids)).order_by(Release.judged)):
                found.setdefault(str(release.run_id), []).append(release)
        return found

    def ready(self) -> set[str]:
        """Ids of the models and baselines whose newest version in some use case passed its gate."""
        last = select(func.max(Release.judged)).group_by(Release.task, Release.entry)
        with self._ledger.read() as session:
            return set(session.scalars(select(Release.entry).where(Release.judged.in_(last), Release.gate_passed)))

    async def ready_lately(self) -> frozenset[str]:
        """`ready` as of `READY_SECONDS` ago at most, so that a list that all ask for all the time costs no query each time."""
        asked = time.monotonic()
        if asked >= self._ready_until:
            self._ready = frozenset(await run_in_threadpool(self.ready))
            self._ready_until = asked + READY_SECONDS
        return self._ready

    def of_entry(self, entry: str) -> list[Judged]:
        """The newest judgement of a model or baseline in each use case that has one."""
        return self._read(self.newest(entry=entry).values())

    def of_task(self, task: str) -> list[Judged]:
        """The newest judgement of each model and baseline of a use case."""
        return self._read(self.newest(task).values())

    def picked(self, task: str, names: Iterable[str]) -> list[Judged]:
        """Versions of a use case by `model`, the newest, or `model:version`.

        Raises `UnknownName` for what there is not, `NotBuilt` for what was never judged.
        """
        releases = [self._named(task, name) for name in dict.fromkeys(names)]
        return [Judged(release, self.report_of(release)) for release in releases]

    def measured(self, task: str) -> dict[str, Evidence]:
        """What the newest reports say, in the terms of a recommendation."""
        return {judged.release.entry: judged.report.evidence() for judged in self.of_task(catalog.task(task).id())}

    def report_of(self, release: Release) -> Report:
        """The report of a release; `NotBuilt` where it has none, `CorruptArtifact` where the file cannot be read."""
        path = self._file(release)
        try:
            return _report(path, path.stat().st_mtime_ns)
        except (OSError, ValidationError) as error:
            raise CorruptArtifact(f"the report of {_name(release)} cannot be read ({type(error).__name__}); run its use case again to make it anew") from error

    def page_of(self, release: Release) -> bytes:
        """The self-contained HTML page beside a release's report; raises as `report_of` does."""
        path = self._file(release).with_name("report.html")
        try:
            return path.read_bytes()
        except OSError as error:
            raise CorruptArtifact(f"the page of {_name(release)} cannot be read ({type(error).__name__}); run its use case again to make it anew") from error

    def states_of(self, release: Release) -> States:
        """The regimes and embedding by date beside a release's report; `NotBuilt` where there are none, `CorruptArtifact` where the file cannot be read."""
        path = self._file(release).with_name(STATES_JSON)
        if not path.is_file():
            raise NotBuilt(
                f"{_name(release)} was judged before its regimes and embedding were kept by date; "
                f"make them with: finml run --use-case {release.task} --model {release.entry}"
            )
        try:
            return _states(path, path.stat().st_mtime_ns)
        except (OSError, ValidationError) as error:
            raise CorruptArtifact(
                f"the states of {_name(release)} cannot be read ({type(error).__name__}); run its use case again to make them anew"
            ) from error

    def has_states(self, release: Release) -> bool:
        """Whether there is something for `states_of` to read."""
        return release.report is not None and self._file(release).with_name(STATES_JSON).is_file()

    def _file(self, release: Release) -> Path:
        if release.report is None:
            raise NotBuilt(f"{_name(release)} has no report; run its use case again to make one")
        root = home()
        path = (root / release.report).resolve()
        path = path / "report.json" if path.suffix != ".json" else path
        if not path.is_relative_to(root):
            raise CorruptArtifact(f"the ledger says that the report of {_name(release)} lies outside the state folder; it is not read")
        return path

    def _named(self, task: str, name: str) -> Release:
        model_id, _, version = name.partition(":")
        pair = catalog.pair(f"{task}-{model_id}")
        found = self._ledger.release(task, model_id, version) if version else self._ledger.newest_release(task, model_id)
        if found is None:
            raise NotBuilt(f"{pair.id} was never judged here; do it with: finml run --use-case {task} --model {model_id}")
        return found

    def _read(self, releases: Iterable[Release]) -> list[Judged]:
        return [Judged(release, self.report_of(release)) for release in releases if release.report is not None]


def _narrowed(query: Select[Release], task: str | None, entry: str | None) -> Select[Release]:
    if task is not None:
        query = query.where(Release.task == task)
    return query if entry is None else query.where(Release.entry == entry)


@lru_cache(maxsize=256)
def _report(path: Path, _changed: int) -> Report:
    return Report.model_validate_json(path.read_bytes())


@lru_cache(maxsize=32)
def _states(path: Path, _changed: int) -> States:
    return States.model_validate_json(path.read_bytes())


def _name(release: Release) -> str:
    return f"{release.task}-{release.entry}:{release.version}"
