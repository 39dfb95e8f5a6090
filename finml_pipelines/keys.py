"""The names of the assets: `<stage>/<use case>/<entry>`."""

from __future__ import annotations

from finml_models.core.catalog import Pair

Key = tuple[str, ...]


def raw(source: str) -> Key:
    """Snapshot of a kind of raw data, or of the dataset that a use case takes instead of its kind's default (`Task.source`)."""
    return ("raw", source)


def features(task: str) -> Key:
    """Features and targets of a use case."""
    return ("features", task)


def model(pair: Pair) -> Key:
    """A trained entry."""
    return ("model", pair.task.id(), pair.entry.id)


def report(pair: Pair) -> Key:
    """A judged entry."""
    return ("report", pair.task.id(), pair.entry.id)


def service(pair: Pair) -> Key:
    """A packaged entry."""
    return ("service", pair.task.id(), pair.entry.id)


def leaderboard(task: str) -> Key:
    """All entries of a use case compared."""
    return ("leaderboard", task)
