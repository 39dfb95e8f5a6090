"""A state folder as some weeks of work leave it: releases that passed and one that did not, regimes by date, an A/B test, requests, outcomes, an alarm."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console_cases import GRU_1, GRU_2, HAR, LOSER, TASK, release
from served_cases import TRAINED, answer, asked, bars, prediction, released
from served_cases import keep as log
from states_cases import HMM, REGIMES, keep, keep_vae, states, stretch

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.alarms import Finding, record_alarm
from finml_ledger.models import ServedPrediction
from finml_ledger.outcomes import record_known
from finml_models.core import catalog
from finml_models.evaluation.verdict import Verdict

RUN = str(uuid.uuid4())
"""That made `HAR`."""
ANSWERED = 30
"""Requests of each version whose outcomes are known."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Where it is, and which versions were really fitted: these two serve."""

    home: Path
    champion: Slot
    challenger: Slot


def seed(home: Path) -> Seeded:
    """Make the state; `FINML_HOME` is `home` already."""
    home.mkdir(parents=True)
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    release(ledger, home, HAR, run_id=RUN, value=0.3, verdict=Verdict.NON_INFERIOR)
    release(ledger, home, GRU_1, run_id=str(uuid.uuid4()), value=0.25)
    release(ledger, home, LOSER, run_id=str(uuid.uuid4()), value=0.4, passed=False, verdict=Verdict.INFERIOR)
    release(ledger, home, GRU_2, run_id=str(uuid.uuid4()), value=0.2)
    keep_vae(ledger, home)
    keep(ledger, home, HMM, states(REGIMES, HMM, (stretch(0, 0, [0, 1, 0, 1, 1]),), None))
    champion, challenger = released(ledger, "log_har"), released(ledger, "ewma")
    book = Deployments(ledger)
    book.deploy(TASK, champion, actor="ana", reason="the best baseline")
    book.split(TASK, challenger, 0.2, actor="ana", reason="it is simpler")
    record_known(ledger, catalog.task(TASK), bars())
    log(ledger, [served_request(number, champion, challenger) for number in range(2 * ANSWERED)])
    record_alarm(ledger, Finding(task=TASK, slot=champion, kind="drift", detail={"reason": "2 of 9 inputs drifted: log_var_d, return_d", "rows": 180}))
    ledger.close()
    return Seeded(home, champion, challenger)


def served_request(number: int, champion: Slot, challenger: Slot) -> ServedPrediction:
    """One of the requests of the last hour, in turn to the champion and the challenger; some are in vain."""
    role, slot = ("challenger", challenger) if number % 2 else ("champion", champion)
    request = asked(TRAINED + number)
    row = {"role": role, "revision": 2, "at": datetime.now(UTC) - timedelta(seconds=50 * number), "milliseconds": 3.0 + number % 7, "request": request}
    failed = {"status": 503, "error": "the version was not ready"} if number % 20 == 19 else {"answer": answer(slot, request)}
    return prediction(number, slot, **row, **failed)
