"""Monitoring: how what is deployed does, by latency, drift, realised quality and freshness; A/B tests, outcomes, alarms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from finml_console.schemas.monitoring import AlarmPage, Drift, Experiment, Freshness, Latency, Outcomes, OutcomesRecorded, Performance, Summary, UseCaseName
from finml_console.services.monitoring import Monitoring

router = APIRouter(prefix="/v1", tags=["monitoring"])
LONGEST = 24 * 366


def of_request(request: Request) -> Monitoring:
    """The application's monitoring, made from its ledger when it is first asked for."""
    state = request.app.state
    if not hasattr(state, "monitoring"):
        state.monitoring = Monitoring(state.ledger)
    found: Monitoring = state.monitoring
    return found


Watching = Annotated[Monitoring, Depends(of_request)]
Hours = Annotated[int, Query(ge=1, le=LONGEST, description="how far back")]
Step = Annotated[int, Query(ge=1, le=LONGEST * 3600, description="seconds a point; a series has at most 500 points")]


@router.get("/monitoring/{use_case}")
def summary(use_case: UseCaseName, watching: Watching, hours: Hours = 24) -> Summary:
    """What serves a use case, with its traffic, failures, latency, freshness and alarms."""
    return watching.summary(use_case, hours)


@router.get("/monitoring/{use_case}/latency")
def latency(use_case: UseCaseName, watching: Watching, hours: Hours = 24, step_seconds: Step = 600) -> Latency:
    """Latency quantiles, error rate and share of the traffic, a version and step."""
    return watching.latency(use_case, hours, step_seconds)


@router.get("/monitoring/{use_case}/freshness")
def freshness(use_case: UseCaseName, watching: Watching, hours: Hours = 24, step_seconds: Step = 3600) -> Freshness:
    """Age of the newest row that was asked about, in sessions of the exchange where the data follow one."""
    return watching.freshness(use_case, hours, step_seconds)


@router.get("/monitoring/{use_case}/drift")
def drift(use_case: UseCaseName, watching: Watching, hours: Hours = 24 * 90) -> Drift:
    """Drift by input of every version that serves, against its own training. Computed anew after 20 seconds at the earliest, later where it is costly."""
    return watching.drift(use_case, hours)


@router.get("/monitoring/{use_case}/performance")
def performance(use_case: UseCaseName, watching: Watching) -> Performance:
    """Realised metric of every version that serves, beside the interval that its report promised."""
    return watching.performance(use_case)


@router.get("/experiments/{use_case}")
def experiment(use_case: UseCaseName, watching: Watching) -> Experiment:
    """The A/B test that runs: the difference with its confidence sequence, which may be read at any time, and the guard-rails that end it."""
    return watching.experiment(use_case)


@router.post("/outcomes")
def record_outcomes(outcomes: Outcomes, watching: Watching) -> OutcomesRecorded:
    """Report what came true. Sending a report again changes nothing; a later one about the same entity and time corrects it."""
    return watching.record(outcomes)


@router.get("/alarms")
def alarms(
    watching: Watching,
    use_case: Annotated[UseCaseName | None, Query(description="only of this use case")] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,17}$", description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AlarmPage:
    """Alarms, newest first."""
    return watching.alarms(use_case, None if cursor is None else int(cursor), limit)
