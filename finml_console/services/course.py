"""How far a run is, from its log: entries in, events and figures out. No clock, no network: the same log tells everyone the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from finml_console.schemas.training import ENDED, RunEvent, State
from finml_models.core import catalog
from finml_models.core.keys import Key, op

from .dagster import Entry

STATES: Mapping[str, State] = {
    "QUEUED": "queued",
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "STARTING": "starting",
    "STARTED": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELING": "cancelling",
    "CANCELED": "cancelled",
}
"""By Dagster's word for it."""
TURNS: Mapping[str, State] = {
    "RunEnqueuedEvent": "queued",
    "RunDequeuedEvent": "starting",
    "RunStartingEvent": "starting",
    "RunStartEvent": "running",
    "RunSuccessEvent": "succeeded",
    "RunFailureEvent": "failed",
    "RunCancelingEvent": "cancelling",
    "RunCanceledEvent": "cancelled",
}
CHANGES: Mapping[str, Literal["started", "succeeded", "failed", "skipped", "retried"]] = {
    "ExecutionStepStartEvent": "started",
    "ExecutionStepSuccessEvent": "succeeded",
    "ExecutionStepFailureEvent": "failed",
    "ExecutionStepSkippedEvent": "skipped",
    "ExecutionStepUpForRetryEvent": "retried",
}
WEIGHTS = {"raw": 1.0, "features": 2.0, "model": 60.0, "report": 5.0, "service": 3.0, "leaderboard": 0.2}
"""What a step is of a run beside the others: round numbers near the seconds that the fast profile takes; a percentage needs no better."""
BASELINE_WEIGHT = 1.0
TOLD = frozenset({"WARNING", "ERROR", "CRITICAL"})
"""Levels of messages that are events."""


def weight(key: Key) -> float:
    """What an asset is of a run, beside other assets."""
    if key[0] == "model" and key[-1] in catalog.baselines():
        return BASELINE_WEIGHT
    return WEIGHTS.get(key[0], 1.0)


@dataclass
class Course:
    """What the log has told so far. `percentage` never falls: a step that is tried again starts where it was."""

    steps: Sequence[Key]
    state: State = "queued"
    percentage: float | None = None
    step: str | None = None
    fit: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    began: datetime | None = None
    """When the run began to work."""
    heard: datetime | None = None
    """Of the newest entry."""
    _shares: dict[str, float] = field(default_factory=dict)
    _weights: dict[str, float] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._weights = {op(key): weight(key) for key in self.steps}
        self._names = {op(key): "/".join(key) for key in self.steps}
        self.percentage = 0.0 if self.steps else None

    @property
    def ended(self) -> bool:
        """Whether the log told the end of the run."""
        return self.state in ENDED

    @property
    def steps_done(self) -> int:
        """How many assets are made, or were left out."""
        return sum(share == 1.0 for name, share in self._shares.items() if name in self._weights)

    def seconds_left(self, now: datetime) -> float | None:
        """By the pace so far, or None while it is too early to tell."""
        if self.ended or self.began is None or not self.percentage or self.percentage < 1:
            return None
        return max((now - self.began).total_seconds(), 0.0) * (100 - self.percentage) / self.percentage

    def hear(self, number: int, entry: Entry) -> RunEvent | None:
        """Take the next entry of the log, the `number`-th from 1; returns the event that watchers see of it, if any."""
        self.heard = entry.at
        if entry.kind in TURNS:
            return self._turn(number, entry)
        if entry.kind in CHANGES and entry.step is not None:
            return self._change(number, entry)
        if entry.kind == "ObservationEvent" and entry.facts.keys() & {"fit", "attempts"}:
            return self._progress(number, entry) if "fit" in entry.facts else self._searched(number, entry)
        match entry.kind:
            case "AssetCheckEvaluationEvent":
                return self._event(number, entry, "check", message=entry.message, passed=entry.passed)
            case "MaterializationEvent":
                return self._event(number, entry, "asset")
        return self._event(number, entry, "message", message=_short(entry.message)) if entry.level in TOLD else None

    def _turn(self, number: int, entry: Entry) -> RunEvent:
        self.state = TURNS[entry.kind]
        if self.state == "running":
            self.began = entry.at
        if self.state == "succeeded" and self.percentage is not None:
            self.percentage = 100.0
        if self.state == "failed" and self.error is None:
            self.error = _short(entry.message)
        if self.ended:
            self.step = None
        return self._event(number, entry, "state", message=self.error if self.state == "failed" else None)

    def _change(self, number: int, entry: Entry) -> RunEvent:
        name, change = str(entry.step), CHANGES[entry.kind]
        failed = change in {"failed", "retried"}
        if change == "started":
            self.step = self._name(name)
            self.fit = self.epoch = self.epochs = None
        elif change in {"succeeded", "skipped"}:
            self._rise(name, 1.0)
        if change == "failed":
            self.error = f"{self._name(name)}: {_short(entry.message)}"
        return self._event(number, entry, "step", change=change, message=_short(entry.message) if failed else None)

    def _progress(self, number: int, entry: Entry) -> RunEvent:
        facts = entry.facts
        self.fit, self.epoch, self.epochs = str(facts["fit"]), _whole(facts.get("epoch")), _whole(facts.get("epochs"))
        figures = {name: value for name in ("loss", "validation") if (value := _finite(facts.get(name))) is not None}
        self.metrics = {**self.metrics, **figures}
        if entry.step is not None and (done := _finite(facts.get("done"))) is not None:
            # All but the last bit: the step still has to save what it learned.
            self._rise(entry.step, min(max(done, 0.0), 0.999))
        return self._event(
            number,
            entry,
            "progress",
            fit=self.fit,
            epoch=self.epoch,
            epochs=self.epochs,
            loss=figures.get("loss"),
            validation=figures.get("validation"),
            seconds_left=_finite(facts.get("seconds_left")),
        )

    def _searched(self, number: int, entry: Entry) -> RunEvent:
        """An attempt of a search has scored a fold, or has ended."""
        facts = {name: _finite(entry.facts.get(name)) or 0.0 for name in ("attempt", "attempts", "fold", "folds")}
        ended = entry.facts.get("state", "running") != "running"
        within = 1.0 if ended else facts["fold"] / max(facts["folds"], 1.0)
        done = (facts["attempt"] - 1 + min(within, 1.0)) / max(facts["attempts"], 1.0)
        self.percentage = max(self.percentage or 0.0, min(round(100 * done, 2), 99.9))
        self.fit = f"attempt {facts['attempt']:.0f} of {facts['attempts']:.0f}"
        return self._event(number, entry, "progress", fit=self.fit, seconds_left=_finite(entry.facts.get("seconds_left")))

    def _rise(self, step: str, share: float) -> None:
        if step not in self._weights:
            return
        self._shares[step] = max(share, self._shares.get(step, 0.0))
        done = sum(self._shares[name] * self._weights[name] for name in self._shares)
        self.percentage = max(self.percentage or 0.0, round(100 * done / sum(self._weights.values()), 2))

    def _name(self, step: str) -> str:
        return self._names.get(step, step.replace("__", "/"))

    def _event(self, number: int, entry: Entry, kind: Literal["state", "step", "progress", "check", "asset", "message"], **more: Any) -> RunEvent:
        step = None if entry.step is None else self._name(entry.step)
        return RunEvent(id=number, kind=kind, at=entry.at, state=self.state, percentage=self.percentage, step=step, **more)


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _short(text: str, most: int = 600) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
