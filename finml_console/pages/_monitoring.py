"""What the pages of monitoring draw and say: series on a grid of time, marks of promotions, the promised band, the way to retrain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from finml_console.schemas.monitoring import Freshness, Latency, Summary, VersionPerformance
from finml_console.services import Services
from finml_ledger import Release, Slot
from finml_ledger.monitoring import FreshnessPoint, TrafficPoint
from finml_models.core.errors import FinmlError
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.task import Task
from finml_models.evaluation.document import MetricNote

from ._deployments import name_of
from ._figures import number

WINDOWS = {1: ("1 h", 60), 24: ("24 h", 1_200), 24 * 7: ("7 d", 7_200), 24 * 90: ("90 d", 86_400)}
"""Hours that a page looks back: what the choice is called, and the seconds of a point."""
TONES = ("accent", "warn", "good", "bad", "soft")
MARKS = {"promote": "promoted", "rollback": "rolled back", "deploy": "deployed", "withdraw": "withdrawn"}
DAY = 86_400


class Line(NamedTuple):
    """A version's numbers over the window; what it was not asked for is None."""

    role: str
    slot: Slot
    point: TrafficPoint | None
    age: FreshnessPoint | None


def lines(summary: Summary) -> tuple[Line, ...]:
    """The versions that serve, and those that did earlier in the window."""
    ages = {(one.entry, one.version): one for one in summary.freshness}
    points = {(one.role, one.entry, one.version): one for one in summary.traffic}
    found = [Line(role, slot, points.pop((role, slot.entry, slot.version), None), ages.get((slot.entry, slot.version))) for role, slot in summary.roles.items()]
    earlier = [Line(f"earlier as {p.role}", Slot(entry=p.entry, version=p.version), p, ages.get((p.entry, p.version))) for p in points.values()]
    return (*found, *earlier)


def asked(summary: Summary) -> tuple[int, int]:
    """Requests that clients sent in the window, and how many of them failed."""
    answering = [point for point in summary.traffic if point.role != "shadow"]
    return sum(point.requests for point in answering), sum(point.failed for point in answering)


def age_of(point: FreshnessPoint | None) -> str:
    """How old the newest row was, in sessions where the data follow an exchange."""
    if point is None:
        return "–"
    if point.sessions is not None:
        return f"{point.sessions:,} session{'' if point.sessions == 1 else 's'}"
    return f"{number(point.age_seconds / DAY, 3)} d" if point.age_seconds >= DAY else f"{number(point.age_seconds / 3600, 2)} h"


def grid(series: Latency | Freshness) -> list[int]:
    """The beginnings of all steps of a window, as seconds since 1970: what nothing was asked in shows as a gap."""
    step = series.step_seconds
    return list(range(int(series.since.timestamp()) // step * step, int(series.until.timestamp()) + 1, step))


def _placed(at: Sequence[int], points: Iterable[Any], value: Callable[[Any], float | None]) -> list[float | None]:
    found = {int(point.at.timestamp()): value(point) for point in points}
    return [found.get(moment) for moment in at]


def _versions(points: Iterable[Any]) -> dict[tuple[str, ...], list[Any]]:
    held: dict[tuple[str, ...], list[Any]] = {}
    for point in points:
        held.setdefault((point.entry, point.version, getattr(point, "role", "")), []).append(point)
    return held


def _label(key: tuple[str, ...]) -> str:
    entry, version, role = key
    return f"{name_of(Slot(entry=entry, version=version))}{f' ({role})' if role else ''}"


def by_version(series: Latency, value: Callable[[TrafficPoint], float | None], marks: list[dict[str, object]], unit: str) -> dict[str, object]:
    """One line a version and role."""
    at = grid(series)
    drawn = [
        {"label": _label(key), "values": _placed(at, points, value), "tone": TONES[i % len(TONES)], "points": True}
        for i, (key, points) in enumerate(_versions(series.points).items())
    ]
    return {"x": at, "time": True, "unit": unit, "marks": marks, "series": drawn}


def quantiles(series: Latency, slot: Slot, marks: list[dict[str, object]]) -> dict[str, object]:
    """Latency of one version's answers, whatever its role was."""
    at, own = grid(series), [point for point in series.points if point.version == slot.version and point.role != "shadow"]
    drawn = [
        {"label": name, "values": _placed(at, own, attrgetter(name)), "tone": tone, "points": True, "dash": dash}
        for name, tone, dash in (("p50", "accent", False), ("p95", "warn", False), ("p99", "bad", True))
    ]
    return {"x": at, "time": True, "unit": "ms", "marks": marks, "series": drawn}


def ages(series: Freshness, marks: list[dict[str, object]]) -> dict[str, object]:
    """Age of the newest row, in sessions where the data follow an exchange, else in hours."""
    at = grid(series)
    sessions = any(point.sessions is not None for point in series.points)
    drawn = [
        {
            "label": _label(key),
            "values": _placed(at, points, lambda point: point.sessions if sessions else point.age_seconds / 3600),
            "tone": TONES[i % len(TONES)],
            "points": True,
        }
        for i, (key, points) in enumerate(_versions(series.points).items())
    ]
    return {"x": at, "time": True, "unit": "sessions" if sessions else "h", "marks": marks, "series": drawn}


def marks(serving: Services, use_case: str, since: datetime) -> list[dict[str, object]]:
    """Changes of the champion within a window, as marks on a line of time."""
    found = [held for held in serving.deployments.history(use_case, limit=100) if held.at is not None and held.at >= since and held.action in MARKS]
    return [{"at": held.at.timestamp(), "label": MARKS[held.action]} for held in found if held.at and held.action]


def course(one: VersionPerformance) -> dict[str, object] | None:
    """The realised metric over time before the band that was promised; None without a point."""
    if one.decay is None or not one.course:
        return None
    promised, count = one.decay.promise, len(one.course)
    ends = [int(datetime.fromisoformat(point.last).replace(tzinfo=UTC).timestamp()) for point in one.course]
    # Parts of entities may overlap in time; they still have an order.
    in_time = ends == sorted(set(ends))
    return {
        "x": ends if in_time else list(range(1, count + 1)),
        "x_label": "until" if in_time else "part",
        "time": in_time,
        "series": [
            {"label": "realised", "values": [point.value for point in one.course], "tone": "accent", "points": True},
            {"label": "promised", "values": [promised.value] * count, "tone": "good", "dash": True},
            {"label": "promised, low", "values": [promised.low] * count, "tone": "good"},
            {"label": "promised, high", "values": [promised.high] * count, "tone": "good"},
        ],
        "bands": [{"low": 3, "high": 4, "tone": "good"}],
    }


def notes(serving: Services, use_case: str, found: Iterable[VersionPerformance]) -> dict[str, MetricNote]:
    """How to read the promised metrics, by the reports that promised them."""
    held: dict[str, MetricNote] = {}
    for one in found:
        if one.decay is not None and one.decay.promise.metric not in held:
            report = serving.evidence.report_of(serving.ledger.release(use_case, one.slot.entry, one.slot.version))
            held |= {note.id: note for note in report.metrics}
    return held


def again(serving: Services, task: type[Task], release: Release) -> dict[str, object] | None:
    """What configures and trains a version's model anew as it was trained; None where its report does not say how."""
    try:
        report = serving.evidence.report_of(release)
        profile = ProfileName(report.training.profile)
    except (FinmlError, ValueError):
        return None
    chosen = release.fingerprint.get("hyperparameters")
    return {
        "model_id": release.entry,
        "use_case": task.id(),
        "hyperparameters": chosen if isinstance(chosen, dict) else {},
        "training_config": {"profile": profile.value, **PROFILES[profile].departures(release.fingerprint.get("config"))},
    }
