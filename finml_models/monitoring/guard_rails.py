"""What ends an experiment early: a challenger that fails or is slow too often, by a test that holds at every look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from finml_models.core.errors import DataError

ALPHA = 0.01
"""Chance, over the whole experiment, that a guard-rail stops a challenger that keeps it."""
ERROR_RATE = 0.01
"""Share of requests that may fail, where the champion's own is not larger."""
SLOW_SHARE = 0.05
"""Share of requests that may take longer than the limit: then the limit is the 95th percentile."""
SLOWER = 2.0
"""The limit, in units of the champion's own 95th percentile."""


@dataclass(frozen=True, slots=True)
class GuardRail:
    """`broken` where more than the share `allowed` of requests went wrong, at level `ALPHA` at whatever time it is read."""

    name: Literal["errors", "latency"]
    requests: int
    bad: int
    allowed: float
    evidence: float
    """How much likelier the counts are above the limit than at it; 1 / `ALPHA` breaks the rail."""
    limit_milliseconds: float | None = None

    @property
    def broken(self) -> bool:
        """Whether the experiment has to stop."""
        return self.evidence >= 1 / ALPHA

    @property
    def share(self) -> float:
        """Of requests that went wrong; 0 without any request."""
        return self.bad / self.requests if self.requests else 0.0


def evidence_above(bad: int, requests: int, allowed: float) -> float:
    """Likelihood of `bad` of `requests` under a uniform mixture of shares above `allowed`, over that at `allowed` itself.

    For independent requests whose share lies at or below `allowed` it is a supermartingale that begins at 1, so that it ever
    reaches 1/α with probability at most α (Ville 1939; Robbins, Annals of Mathematical Statistics 41(5), 1970).
    """
    from scipy.special import betaincc, betaln

    if not 0 < allowed < 1 or not 0 <= bad <= requests:
        raise DataError(f"guard-rail: {bad} of {requests} requests against a share of {allowed:g}; counts must fit, the share lie between 0 and 1")
    a, b = 1 + bad, 1 + requests - bad
    above = float(betaincc(a, b, allowed))
    if above == 0:
        return 0.0
    log = betaln(a, b) + np.log(above) - np.log1p(-allowed) - bad * np.log(allowed) - (requests - bad) * np.log1p(-allowed)
    return float(np.exp(np.clip(log, -700, 700)))


def errors(bad: int, requests: int, champion_rate: float) -> GuardRail:
    """The challenger's failed requests, against the larger of `ERROR_RATE` and the champion's own rate."""
    allowed = min(max(ERROR_RATE, champion_rate), 0.99)
    return GuardRail("errors", requests, bad, allowed, evidence_above(bad, requests, allowed))


def latency(slow: int, requests: int, limit_milliseconds: float) -> GuardRail:
    """The challenger's requests that took longer than the limit, see `slow_limit`."""
    return GuardRail("latency", requests, slow, SLOW_SHARE, evidence_above(slow, requests, SLOW_SHARE), limit_milliseconds)


def slow_limit(champion_p95: float | None, budget: float) -> float:
    """Milliseconds above which a request is slow: `SLOWER` times the champion's 95th percentile, and at least the budget of one prediction."""
    return max(SLOWER * (champion_p95 or 0.0), budget)
