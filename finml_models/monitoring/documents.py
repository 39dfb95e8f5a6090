"""What monitoring says, as documents: light, so that a server, its client and a page can share them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from finml_models.core.spec import Frozen

READ = "at any time: the level holds for all looks together, so an experiment may be read as often as wanted and ended at any look"


class Shift(StrEnum):
    """What is known of an input."""

    TOO_FEW = "too_few"
    NONE = "none"
    MODERATE = "moderate"
    LARGE = "large"


class FeatureDrift(Frozen):
    """One input, or one category. `p` is the smaller of both tests' times two, `p_adjusted` after Holm over all inputs that were tested."""

    feature: str
    shift: Shift
    psi: float
    ks: float | None = Field(None, description="largest distance of the two distribution functions at the reference's percentiles; none for categories")
    p: float | None = None
    p_adjusted: float | None = None
    independent: float = Field(description="rows that tell as much as independent ones")
    drifted: bool


class DriftReport(Frozen):
    """All inputs of a version in a window, the largest shift first."""

    rows: int
    features: tuple[FeatureDrift, ...]
    alpha: float
    reason: str

    @property
    def drifted(self) -> tuple[str, ...]:
        """Inputs whose shift is large and no accident."""
        return tuple(one.feature for one in self.features if one.drifted)


class Promise(Frozen):
    """The use case's first metric on the rows of the report, with its interval."""

    metric: str
    value: float
    low: float
    high: float
    level: float
    higher_is_better: bool


class Quality(StrEnum):
    """What is known of a version's realised quality."""

    TOO_FEW = "too_few"
    KEPT = "kept"
    DECAYED = "decayed"


class Decay(Frozen):
    """Realised quality beside the promise. Decayed: its whole interval lies beyond the worse end of the promised one."""

    state: Quality
    promise: Promise
    value: float | None = Field(None, description="the metric over the realised answers that the test has read")
    low: float | None = None
    high: float | None = None
    units: int
    unit: str
    test: str
    alpha: float
    reason: str


class CoursePoint(Frozen):
    """The metric over consecutive units, from a date to a date; None where those rows alone have no value, as a ranking without a positive."""

    first: str
    last: str
    units: int
    value: float | None


class Design(StrEnum):
    """Which answers are compared."""

    PAIRED = "paired"
    """Both versions answered for the same entity and time: a shadow, or clients that share entities."""
    RANDOMISED = "randomised"
    """Each entity was given to one version by chance: its first realised answer, weighted by that chance."""


class Decision(StrEnum):
    """What the confidence sequence says at this moment."""

    BETTER = "challenger_better"
    WORSE = "challenger_worse"
    OPEN = "open"
    TOO_EARLY = "too_early"


class Point(Frozen):
    """The confidence sequence after so many units."""

    units: int
    difference: float
    low: float | None = None
    high: float | None = None


class Comparison(Frozen):
    """Challenger less champion, in loss: below 0 the challenger is better. The bounds are None while it is too early to look."""

    metric: str
    design: Design
    unit: str
    units: int
    answers: int = Field(description="realised answers behind the units, of both versions")
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    level: float
    decision: Decision
    reason: str
    read: str = READ
    path: tuple[Point, ...] = ()


class Result(StrEnum):
    """What came of a challenge."""

    WON = "won"
    LOST = "lost"
    UNDECIDED = "undecided"
    TOO_FEW = "too_few"


class Challenge(Frozen):
    """Challenger less champion in loss on the same fresh rows, below 0 the challenger is better. Only one that `won` may replace the champion."""

    outcome: Result
    task: str
    metric: str
    champion: str
    challenger: str
    by: Literal["artifacts", "backtest"] = Field(
        "artifacts",
        description="the challenger's artifact, on rows behind both trainings; or, where it was trained on all newer rows, its walk-forward fits, each on "
        "rows behind its own training and behind the champion's",
    )
    after: str = Field(description="newest moment that a training knew a label of; fresh rows lie behind it")
    rows: int
    units: int = 0
    first: str | None = None
    last: str | None = None
    champion_value: float | None = None
    challenger_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = Field(None, description="one-sided: the challenger loses less")
    alpha: float
    reason: str
