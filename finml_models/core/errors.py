"""The exception tree. Every message names the field, the value and the remedy.

FinmlError
├── UnknownName       an id that the catalogue does not hold (names the near matches)
├── NotBuilt          a catalogue entry whose code is not there yet
├── DataError         rows that a task or a dataset refuses
├── TooFewSamples     fewer training rows than the card allows
├── CorruptArtifact   a folder that does not match its manifest
├── LedgerUnavailable a database that cannot be opened, read or written
├── Conflict          a change that the present state does not allow
├── ServiceFailed     a service that was not built or does not come up
├── NoOutcome         a use case whose single answers nothing that comes later scores
├── NotFitted         a prediction asked of an estimator that has learned nothing
├── Diverged          a training whose loss is no longer a number
├── LeaseHeld         a training that another process is writing
├── NotExplained      an explanation asked of a model that has none to give
└── NotExported       a network that no other runtime runs
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FinmlError(Exception):
    """Base of all errors that a user can act on."""


class UnknownName(FinmlError, KeyError):
    """An id that is not in the catalogue, with the ids that come nearest."""

    def __init__(self, noun: str, value: str, known: Iterable[str]) -> None:
        names = sorted(known)
        self.value = value
        self._asked = noun, value, tuple(names)
        self.near = get_close_matches(value, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(self.near)}?" if self.near else f"known: {', '.join(names)}"
        self.message = f"unknown {noun} {value!r}: {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, tuple[str, ...]]]:
        """An exception is made again from its message alone, which is not what this one is made of: it must cross a process border."""
        return type(self), self._asked


class NotBuilt(FinmlError):
    """A catalogue entry that is described but has no code yet."""


class DataError(FinmlError, ValueError):
    """Rows that cannot be used; says which row and column, and what to do."""


class TooFewSamples(DataError):
    """Fewer training samples than the card's minimum."""


class CorruptArtifact(FinmlError):
    """An artifact that does not match its manifest, or is not one."""


class LedgerUnavailable(FinmlError):
    """The ledger's database cannot be opened, read or written; says which one and what to do."""


class Conflict(FinmlError):
    """A change that the present state does not allow, such as ending a trial twice."""


class ServiceFailed(FinmlError):
    """A service that was not built or does not come up; says why, with the newest lines of its log."""


class NotFitted(FinmlError):
    """A prediction or state asked of an estimator before `fit` or `restore`."""


class Diverged(FinmlError):
    """A training whose loss is NaN or infinite; says in which epoch and what to change."""


class LeaseHeld(FinmlError):
    """A training folder that another process writes to, or that was taken away from this one."""


class NotExplained(FinmlError):
    """An explanation asked of a model that has none to give."""


class NoOutcome(FinmlError):
    """Outcomes asked or reported of a use case that has none for a single answer; says why."""


class NotExported(FinmlError):
    """A network that cannot be exported, or that another runtime cannot run; says what stood in the way."""
