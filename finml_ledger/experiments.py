"""An A/B test of two deployed versions as a document."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from finml_models.core.spec import Frozen
from finml_models.monitoring.documents import Comparison

from .deployments import Slot


class RailState(Frozen):
    """A guard-rail and the counts behind it."""

    name: str
    requests: int
    bad: int
    share: float
    allowed: float
    limit_milliseconds: float | None
    broken: bool


class Experiment(Frozen):
    """The comparison of the champion with its challenger, or with a shadow, since the two met."""

    task: str
    running: bool
    champion: Slot | None = None
    challenger: Slot | None = None
    shadow: bool = False
    share: float = 0.0
    revision: int = Field(0, description="of the deployment, since when the two are compared")
    since: datetime | None = None
    comparison: Comparison | None = None
    rails: tuple[RailState, ...] = ()
    stop: bool = Field(False, description="a guard-rail is broken: take the challenger out now, whatever its quality")
    reason: str
