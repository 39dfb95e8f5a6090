"""The names of the pipeline's assets, `<stage>/<use case>/<entry>`: what whoever makes them and whoever orders them share."""

from __future__ import annotations

from .catalog import Pair

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


def op(key: Key) -> str:
    """What the run configuration and the event log call the step of an asset."""
    return "__".join(key)
