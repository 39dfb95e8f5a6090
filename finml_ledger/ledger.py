"""The ledger's calls: start, finish or fail a trial; record a release; ask."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from statistics import variance as sample_variance
from typing import Any, Self

from sqlalchemy import ColumnElement, Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from finml_models.core.errors import Conflict, DataError, LedgerUnavailable, UnknownName
from finml_models.core.home import home

from .engine import connect, guarded, migrate
from .models import Release, Status, Trial

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class TrialStatistics:
    """Values of `count` finished trials; variances are unbiased, and None below two values.

    `variance_between` is that of the configurations' means over folds and seeds: what the deflated Sharpe ratio calls the
    variance of the trials. `variance` also holds how much folds and seeds differ.
    """

    count: int
    mean: float | None
    variance: float | None
    configurations: int
    variance_between: float | None


class Ledger:
    """What was tried and what was released. Rows come back in the order of `sequence`, detached from the database.

    Safe to share between threads; each process opens its own.
    """

    def __init__(self, engine: Engine, clock: Clock = now) -> None:
        self._reader = engine
        self._writer = engine.execution_options(immediate=True)
        self._clock = clock

    @classmethod
    def open(cls, url: str | None = None, clock: Clock = now) -> Self:
        """Open the ledger at `url`, else at `FINML_LEDGER_URL`, else in the state folder; creates and migrates it.

        Raises `LedgerUnavailable` when the database cannot be reached, its folder is missing or it is read-only.
        """
        engine = connect(url or os.environ.get("FINML_LEDGER_URL") or _default())
        migrate(engine)
        return cls(engine, clock)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.dispose()

    def start_trial(
        self,
        *,
        task: str,
        entry: str,
        fold: int | None,
        seed: int,
        config_hash: str,
        hyperparameters: Mapping[str, Any],
        config: Mapping[str, Any],
        data_snapshot: str,
        code_version: str,
        fingerprint_id: str,
        run_id: str | None = None,
    ) -> str:
        """Record that a fit begins, before it does, so that a killed one counts too. Returns the trial's id."""
        trial = Trial(
            id=uuid.uuid4().hex,
            task=task,
            entry=entry,
            fold=fold,
            seed=seed,
            config_hash=config_hash,
            hyperparameters=dict(hyperparameters),
            config=dict(config),
            data_snapshot=data_snapshot,
            code_version=code_version,
            fingerprint_id=fingerprint_id,
            run_id=run_id,
            status=Status.RUNNING,
            started_at=self._clock(),
        )
        with self.write() as session:
            session.add(trial)
        return trial.id

    def finish_trial(
        self, trial_id: str, *, metric: str, value: float | None = None, variance: float | None = None, samples: int | None = None, seconds: float
    ) -> None:
        """Record what a fit came to; the final fit has no later rows to score and so no value.

        Raises `DataError` on a value that is not finite (that is a failed trial) or that comes without its variance and
        number of samples: the tests that pay for all that was tried need them.
        """
        if value is not None and (variance is None or samples is None):
            raise DataError(f"trial {trial_id}: its value {value} has variance {variance} and {samples} samples; record all three")
        for name, number in {"value": value, "variance": variance, "seconds": seconds}.items():
            if number is not None and not math.isfinite(number):
                raise DataError(f"trial {trial_id}: {name} is {number}; record it with fail_trial")
        self._end(trial_id, status=Status.FINISHED, metric=metric, value=value, variance=variance, samples=samples, seconds=seconds)

    def fail_trial(self, trial_id: str, error: str) -> None:
        """Record that a fit failed, and why. It still counts as tried."""
        # A message that no database can hold (NUL, half a surrogate pair) must not hide the failure.
        self._end(trial_id, status=Status.FAILED, error=error.encode(errors="replace").decode().replace("\0", "?"))

    def count_trials(self, task: str | None = None, entry: str | None = None, data_snapshot: str | None = None) -> int:
        """How many fits were started, failed and running ones included: the number that statistics must pay for."""
        with self.read() as session:
            return session.scalar(select(func.count()).select_from(Trial).where(*_equal(Trial, task=task, entry=entry, data_snapshot=data_snapshot))) or 0

    def count_configurations(self, task: str, entry: str | None = None, data_snapshot: str | None = None) -> int:
        """How many different configurations were tried, failed and running ones included; seeds and folds of one are one.

        Without `entry` those of all entries, each entry's counted apart.
        """
        tried = select(Trial.entry, Trial.config_hash).where(*_equal(Trial, task=task, entry=entry, data_snapshot=data_snapshot)).distinct()
        with self.read() as session:
            return session.scalar(select(func.count()).select_from(tried.subquery())) or 0

    def trial_statistics(self, task: str, entry: str | None, metric: str, data_snapshot: str | None = None) -> TrialStatistics:
        """Count, mean and variance of the values that finished trials had in a metric, and the variance between configurations."""
        query = select(Trial.entry, Trial.config_hash, Trial.value).where(
            *_equal(Trial, task=task, entry=entry, metric=metric, status=Status.FINISHED, data_snapshot=data_snapshot)
        )
        with self.read() as session:
            rows = session.execute(query).all()
        values: dict[tuple[str, str], list[float]] = {}
        for owner, config_hash, value in rows:
            if value is not None:
                values.setdefault((owner, config_hash), []).append(value)
        means = [fmean(own) for own in values.values()]
        flat = [value for own in values.values() for value in own]
        return TrialStatistics(
            count=len(flat),
            mean=fmean(flat) if flat else None,
            variance=sample_variance(flat) if len(flat) > 1 else None,
            configurations=len(means),
            variance_between=sample_variance(means) if len(means) > 1 else None,
        )

    def trials(
        self,
        task: str | None = None,
        entry: str | None = None,
        *,
        status: Status | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Trial]:
        """The trials that hold every given condition, oldest first, beginning behind the sequence `after`."""
        query = select(Trial).where(Trial.sequence > after, *_equal(Trial, task=task, entry=entry, status=status, run_id=run_id))
        with self.read() as session:
            return list(session.scalars(query.order_by(Trial.sequence).limit(limit)))

    def record_release(
        self,
        *,
        task: str,
        entry: str,
        version: str,
        artifact: str,
        verdict: str,
        gate_passed: bool,
        headline: Mapping[str, Any],
        fingerprint: Mapping[str, Any],
        bento_tag: str | None = None,
        report: str | None = None,
        run_id: str | None = None,
    ) -> Release:
        """Record a version and how it was judged. A version that is known keeps its row; the newer judgement replaces the older.

        `artifact` and `report` are paths relative to the state folder; `DataError` otherwise.
        """
        for name, path in {"artifact": artifact, "report": report}.items():
            if path is not None and (Path(path).is_absolute() or ".." in Path(path).parts):
                raise DataError(f"{name} {path!r} must be relative to the state folder {home()}, so that the folder may be moved")
        facts: dict[str, Any] = {
            "bento_tag": bento_tag,
            "artifact": artifact,
            "report": report,
            "verdict": verdict,
            "gate_passed": gate_passed,
            "headline": dict(headline),
            "fingerprint": dict(fingerprint),
            "run_id": run_id,
        }
        try:
            return self._put_release(task, entry, version, facts)
        except IntegrityError:
            # On Postgres another process may insert the same version between our look and our insert.
            return self._put_release(task, entry, version, facts)

    def releases(self, task: str | None = None, entry: str | None = None) -> list[Release]:
        """The releases of a task and entry (or of all), the one that was judged last at the end."""
        with self.read() as session:
            return list(session.scalars(select(Release).where(*_equal(Release, task=task, entry=entry)).order_by(Release.judged)))

    def newest_release(self, task: str, entry: str | None = None) -> Release | None:
        """The release that was judged last, or None."""
        query = select(Release).where(*_equal(Release, task=task, entry=entry)).order_by(Release.judged.desc()).limit(1)
        with self.read() as session:
            return session.scalar(query)

    def release(self, task: str, entry: str, version: str) -> Release:
        """The release of this version; raises `UnknownName` with the versions that there are."""
        known = {release.version: release for release in self.releases(task, entry)}
        if version not in known:
            raise UnknownName(f"version of {task}-{entry}", version, known)
        return known[version]

    @property
    def clock(self) -> Clock:
        """Where moments come from."""
        return self._clock

    def _put_release(self, task: str, entry: str, version: str, facts: Mapping[str, Any]) -> Release:
        with self.write() as session:
            judged = (session.scalar(select(func.max(Release.judged))) or 0) + 1
            release = session.scalar(select(Release).where(*_equal(Release, task=task, entry=entry, version=version)))
            if release is None:
                release = Release(task=task, entry=entry, version=version, created_at=self._clock())
                session.add(release)
            for name, value in {**facts, "judged": judged}.items():
                setattr(release, name, value)
        return release

    def _end(self, trial_id: str, **facts: Any) -> None:
        with self.write() as session:
            ended = update(Trial).where(Trial.id == trial_id, Trial.status == Status.RUNNING).values(finished_at=self._clock(), **facts)
            if session.scalar(ended.returning(Trial.sequence)) is not None:
                return
            status = session.scalar(select(Trial.status).where(Trial.id == trial_id))
        if status is None:
            raise UnknownName("trial", trial_id, ())
        raise Conflict(f"trial {trial_id} is already {status}; a trial ends once")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that has the right to write from its beginning, committed when the block ends well; for the ledger's other books."""
        with guarded(self._reader.url), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to ask with."""
        with guarded(self._reader.url), Session(self._reader, expire_on_commit=False) as session:
            yield session


def _default() -> str:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnavailable(f"the state folder {folder} cannot be made ({error}); set FINML_HOME to a folder that can be written") from error
    return f"sqlite:///{folder / 'ledger.sqlite'}"


def _equal(table: type[Trial] | type[Release], **wanted: Any) -> list[ColumnElement[bool]]:
    return [getattr(table, name) == value for name, value in wanted.items() if value is not None]
