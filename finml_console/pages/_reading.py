"""Reports for a page: those that can be read, and what is to be said of those that cannot."""

from __future__ import annotations

from collections.abc import Iterable

from finml_console.services.evidence import Evidences, Judged
from finml_ledger import Release
from finml_models.core.errors import CorruptArtifact


def readable(evidence: Evidences, releases: Iterable[Release]) -> tuple[list[Judged], tuple[str, ...]]:
    """The releases with their reports; a report that is lost hides no other one, its sentence says what to do."""
    found, lost = [], []
    for release in releases:
        if release.report is None:
            continue
        try:
            found.append(Judged(release, evidence.report_of(release)))
        except CorruptArtifact as error:
            lost.append(str(error))
    return found, tuple(lost)
