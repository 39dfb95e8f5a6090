"""The states of a market by date, as a document beside a report: out-of-sample probabilities of regimes, and a picture of an embedding.

Light enough for whoever shows it: the numbers are made by `tracing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from finml_models.core.spec import Frozen

STATES_JSON = "states.json"
MOST_DATES = 4_000
"""Dates that a document holds at most, the newest: sixteen years of sessions, and a file below half a megabyte."""


class RegimeLaw(Frozen):
    """What a regime means: its name by order of volatility, and the law of the next session's return in it, as the fit learned it from its training rows."""

    name: str
    volatility: float = Field(gt=0, description="deviation of the next session's market return in it, annualised with 252 sessions")
    mean: float = Field(description="of the next session's market return in it, a log return")


class Stretch(Frozen):
    """The scored dates of one walk-forward fold, by a fit that saw no row of them or after them."""

    fold: int
    regimes: tuple[RegimeLaw, ...] = Field(min_length=1, description="calmest first")
    dates: tuple[date, ...] = Field(min_length=1, description="ascending")
    probabilities: tuple[tuple[float, ...], ...] = Field(description="by regime, then by date: given the rows up to the date alone, never smoothed")
    market: tuple[float, ...] = Field(description="log return of the market from the first date of the document to the close of this one")

    @model_validator(mode="after")
    def _lengths(self) -> Stretch:
        n = len(self.dates)
        if len(self.probabilities) != len(self.regimes) or any(len(values) != n for values in (*self.probabilities, self.market)):
            raise ValueError(f"fold {self.fold}: {n} dates and {len(self.regimes)} regimes need as many probabilities and market returns")
        return self


class Embedding(Frozen):
    """Two dimensions of an embedding by date, as the fit of the newest fold makes it; where a date has rows of several entities, their mean.

    The axes are the first two principal components of the fold's training dates. The fit has seen the first `seen` dates, in training
    or to decide when to stop; it saw none of the others.
    """

    fold: int
    seed: int
    width: int = Field(ge=1, description="dimensions of the embedding itself")
    entities: int = Field(ge=1, description="whose rows are averaged on a date, at most")
    explained: tuple[float, float] = Field(description="share of the embedding's variance over the training dates along each axis")
    seen: int = Field(ge=0)
    dates: tuple[date, ...] = Field(min_length=1, description="ascending")
    x: tuple[float, ...]
    y: tuple[float, ...]

    @model_validator(mode="after")
    def _lengths(self) -> Embedding:
        if not len(self.x) == len(self.y) == len(self.dates) >= self.seen:
            raise ValueError(f"embedding: {len(self.dates)} dates, {len(self.x)} and {len(self.y)} coordinates, {self.seen} seen; give one of each a date")
        return self


class Moment(NamedTuple):
    """A date, its regimes' probabilities calmest first, and the fold that they are of."""

    date: date
    stretch: Stretch
    probabilities: tuple[float, ...]
    market: float

    @property
    def likeliest(self) -> int:
        """Position of the regime with the highest probability, the calmer of two equal ones."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def regime(self) -> str:
        """Its name."""
        return self.stretch.regimes[self.likeliest].name


class Spell(NamedTuple):
    """An unbroken stay in one regime by name, refits in between or not."""

    regime: str
    first: Moment
    last: Moment
    sessions: int


class States(Frozen):
    """What is known of a pair's regimes and embedding by date; equal inputs give an equal document."""

    format: Literal[1] = 1
    task: str
    entry: str
    version: str
    dataset: str
    snapshot: str
    seed: int = Field(description="of the fits that are shown, the first of the run, with which the released one was made too")
    regimes: tuple[Stretch, ...] = Field(description="oldest first; empty for a model that finds none")
    left_out: int = Field(0, ge=0, description="older scored dates that are not in the document")
    embedding: Embedding | None

    def moments(self) -> Iterator[Moment]:
        """Every scored date, oldest first."""
        for stretch in self.regimes:
            for day, market, *probabilities in zip(stretch.dates, stretch.market, *stretch.probabilities, strict=True):
                yield Moment(day, stretch, tuple(probabilities), market)

    def spells(self) -> tuple[Spell, ...]:
        """The stays in one regime, oldest first. Where the first began nobody knows: the document starts in it."""
        found: list[Spell] = []
        for moment in self.moments():
            if found and found[-1].regime == moment.regime:
                found[-1] = found[-1]._replace(last=moment, sessions=found[-1].sessions + 1)
            else:
                found.append(Spell(moment.regime, moment, moment, 1))
        return tuple(found)

    def places(self) -> dict[str, float]:
        """The names of all regimes, calmest first, each with its place between 0 (calmest) and 1 (most turbulent)."""
        found: dict[str, float] = {}
        for stretch in self.regimes:
            for i, law in enumerate(stretch.regimes):
                found.setdefault(law.name, i / max(len(stretch.regimes) - 1, 1))
        return dict(sorted(found.items(), key=lambda item: item[1]))
