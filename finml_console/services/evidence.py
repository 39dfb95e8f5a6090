"""What was measured: the reports of the newest releases, as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from finml_ledger import Ledger, Release
from finml_models.core import catalog
from finml_models.core.errors import CorruptArtifact, NotBuilt
from finml_models.core.home import home
from finml_models.core.recommend import Evidence
from finml_models.evaluation.document import Report


@dataclass(frozen=True, slots=True)
class Judged:
    """A release and the report that judged it."""

    release: Release
    report: Report


class Evidences:
    """The reports behind a ledger's releases. A report's file is read once: its folder is named by what is in it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def newest(self, task: str | None = None, entry: str | None = None) -> dict[tuple[str, str], Release]:
        """By use case and entry, the release that was judged last."""
        return {(release.task, release.entry): release for release in self._ledger.releases(task, entry)}

    def ready(self) -> set[str]:
        """Ids of the models and baselines whose newest version in some use case passed its gate."""
        return {entry for (_, entry), release in self.newest().items() if release.gate_passed}

    def of_entry(self, entry: str) -> list[Judged]:
        """The newest judgement of a model or baseline in each use case that has one."""
        return self._read(self.newest(entry=entry).values())

    def of_task(self, task: str) -> list[Judged]:
        """The newest judgement of each model and baseline of a use case."""
        return self._read(self.newest(task).values())

    def measured(self, task: str) -> dict[str, Evidence]:
        """What the newest reports say, in the terms of a recommendation."""
        return {
            judged.release.entry: Evidence(
                verdict=judged.report.verdict.value,
                metric=judged.report.metrics[0].id,
                value=judged.report.judgement.model_value,
                baseline=judged.report.judgement.against,
                baseline_value=judged.report.judgement.baseline_value,
                milliseconds=judged.report.resources.milliseconds,
                megabytes=judged.report.resources.megabytes,
                released=judged.report.gate.passed,
            )
            for judged in self.of_task(catalog.task(task).id())
        }

    def report(self, release: Release) -> Report:
        """The report of a release; `NotBuilt` where it has none, `CorruptArtifact` where the file cannot be read."""
        path = self._file(release)
        try:
            return _report(path, path.stat().st_mtime_ns)
        except (OSError, ValidationError) as error:
            raise CorruptArtifact(f"the report of {_name(release)} cannot be read ({type(error).__name__}); run its use case again to make it anew") from error

    def page(self, release: Release) -> bytes:
        """The self-contained HTML page beside a release's report; raises as `report` does."""
        path = self._file(release).with_name("report.html")
        try:
            return path.read_bytes()
        except OSError as error:
            raise CorruptArtifact(f"the page of {_name(release)} cannot be read ({type(error).__name__}); run its use case again to make it anew") from error

    def _file(self, release: Release) -> Path:
        if release.report is None:
            raise NotBuilt(f"{_name(release)} has no report; run its use case again to make one")
        root = home()
        path = (root / release.report).resolve()
        path = path / "report.json" if path.suffix != ".json" else path
        if not path.is_relative_to(root):
            raise CorruptArtifact(f"the ledger says that the report of {_name(release)} lies outside the state folder; it is not read")
        return path

    def _read(self, releases: object) -> list[Judged]:
        return [Judged(release, self.report(release)) for release in releases if release.report is not None]  # type: ignore[attr-defined]


@lru_cache(maxsize=256)
def _report(path: Path, _changed: int) -> Report:
    return Report.model_validate_json(path.read_bytes())


def _name(release: Release) -> str:
    return f"{release.task}-{release.entry}:{release.version}"
