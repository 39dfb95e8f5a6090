"""Whether and how often faults are put into market data; light, for specifications are read before any data are."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Frozen


class FaultPolicy(Frozen):
    """Seeded faults in clean rows: the truth that detectors of anomalies are judged by, also on one's own prices."""

    seed: int = Field(0, ge=0, le=2**31 - 1)
    every: int = Field(700, ge=40, le=100_000, description="sessions from one fault of an asset to its next, on average")
