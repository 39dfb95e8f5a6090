"""What a gateway counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from .pool import Version

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
WHO = ("task", "entry", "version", "role")
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram("finml_gateway_request_seconds", "from a request's arrival to its answer", WHO, buckets=SECONDS, registry=self.registry)
        self.answers = self._counter("answers", "requests that a version answered or failed to, by status", *WHO, "status")
        self.refusals = self._counter("refusals", "requests that reached no version, by status", "status")
        self.loads = self._counter("loads", "versions that were loaded or failed to", "task", "entry", "version", "outcome")
        self._answered: dict[tuple[Version, str, int], Counter] = {}
        self._took: dict[tuple[Version, str], Histogram] = {}
        self.shadows_dropped = self._counter("shadows_dropped", "requests that a shadow did not see because it was busy", "task")

    def answered(self, version: Version, role: str, status: int) -> None:
        """Count an answer of a version. To look a series up by its labels costs more than to count, so it is done once."""
        if (series := self._answered.get(key := (version, role, status))) is None:
            series = self._answered[key] = self.answers.labels(version.task, version.entry, version.version, role, str(status))
        series.inc()

    def took(self, version: Version, role: str, seconds: float) -> None:
        """Count the time that a version took to predict."""
        if (series := self._took.get(key := (version, role))) is None:
            series = self._took[key] = self.seconds.labels(version.task, version.entry, version.version, role)
        series.observe(seconds)

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """A number that is asked for when somebody reads."""
        Gauge(f"finml_gateway_{name}", told, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"finml_gateway_{name}", told, labels, registry=self.registry)
